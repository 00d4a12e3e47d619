"""The front end: its metadata of the running cell, the reports of its page, and the display of answers."""

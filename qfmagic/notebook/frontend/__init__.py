"""The front end: what it says about the cell that runs and its page, and what can be shown there."""

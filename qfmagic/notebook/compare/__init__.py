"""``%%qf compare``: several models side by side."""

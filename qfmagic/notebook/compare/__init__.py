"""``%%qf compare``: several models beside each other."""

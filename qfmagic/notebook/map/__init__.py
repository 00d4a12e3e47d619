"""``%%qf map``: the question of a cell about every row."""

"""``%%qianfan``: questions of cells, on their way and shown."""

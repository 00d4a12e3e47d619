"""The same question about every row of a table."""

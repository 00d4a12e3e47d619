"""How answers and tables are shown, and what stays in the cell."""

"""What is used and what it costs: calls counted, prices, budgets, totals."""

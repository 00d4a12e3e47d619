"""When to ask again, how often to ask, and how long to wait."""

"""Exchanges recorded in a file, and played from it."""

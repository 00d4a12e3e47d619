"""Prompts with Python values in them."""

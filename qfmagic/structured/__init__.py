"""Answers that must fit a schema."""

"""Audits of notebooks."""

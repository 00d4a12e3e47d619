"""Reads the value in the text of an answer; the entry is :func:`evidence.read_answer`."""

from .evidence import Reading, read_answer

__all__ = ["Reading", "read_answer"]

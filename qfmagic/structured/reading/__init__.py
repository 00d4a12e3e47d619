"""From the text of an answer to the value it holds."""

from .evidence import Reading, read_answer

__all__ = ["Reading", "read_answer"]

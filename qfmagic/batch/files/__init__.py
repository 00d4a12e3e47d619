"""Tables in files."""

from .read import is_file_name, read_file

__all__ = ["is_file_name", "read_file"]

"""The names of the columns qfmagic adds to the fields of a schema and the columns of the data."""

from collections.abc import Collection


def own_column(name: str, fields: Collection[str]) -> str:
    """The name of a column of ours; where a field has it, ours begins with ``qf_``."""
    while name in fields:
        name = f"qf_{name}"
    return name

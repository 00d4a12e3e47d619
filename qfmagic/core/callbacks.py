"""Defaults of optional callbacks."""


def ignore(*_: object) -> None:
    """Do nothing: no callback was given."""


def always(*_: object) -> bool:
    """Allow everything."""
    return True

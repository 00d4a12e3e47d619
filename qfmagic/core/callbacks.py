"""What stands in for a callable that isn't given."""


def ignore(*_: object) -> None:
    """Do nothing: nobody wants to be told."""


def always(*_: object) -> bool:
    """Allow everything."""
    return True

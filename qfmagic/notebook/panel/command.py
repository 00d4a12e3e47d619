"""``%qf panel``."""

from ...core.errors import OptionError
from ..session import Session
from ..tables import Said
from .table import settings_table


def panel(session: Session, words: str) -> Said:
    """Do ``%qf panel``."""
    if words:
        raise OptionError("command.usage", usage="%qf panel")
    return settings_table(session)

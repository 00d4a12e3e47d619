"""``%qf panel``."""

from ...core.errors import OptionError
from ..output.tables import Rendered
from ..session.session import Session
from .static_table import settings_table


def panel(session: Session, words: str) -> Rendered:
    """Do ``%qf panel``."""
    if words:
        raise OptionError("command.usage", usage="%qf panel")
    return settings_table(session)

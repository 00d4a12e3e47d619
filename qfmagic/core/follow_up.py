"""Who asks a question that follows on an answer."""

from collections.abc import Hashable
from typing import NamedTuple


class FollowUp(NamedTuple):
    """
    Who asks a question that follows on an answer, such as a repair of one row.

    Its recording has the number of the first question's: two rows that ask the same at last are told apart as they
    were at first, in whatever order their answers come.

    Attributes:
        request: The first request's hash.
        slot: Who asked it.
        number: Which of the questions that follow, from 1.
    """

    request: str
    slot: Hashable
    number: int

"""The origin of a request that follows on an answer, such as a repair."""

from collections.abc import Hashable
from typing import NamedTuple


class FollowUp(NamedTuple):
    """
    The origin of a request that follows on an answer, such as a repair of one row.

    A cassette numbers it as it numbered the first request: two rows whose repairs are equal keep the order of their
    first requests, in whatever order the answers arrive.

    Attributes:
        request: The first request's hash.
        slot: The cell or row that sent the first request.
        number: The number of the request that follows, from 1.
    """

    request: str
    slot: Hashable
    number: int

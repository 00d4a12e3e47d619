"""What the service's safety check asks for: which turns leave the history, and which text may not be shown."""

from collections.abc import Sequence

NOTED, BANNED, WITHHELD = 1, 2, 3  # flags from there on: a note; out of the history; not to be shown either


def flagged_rounds(rounds: Sequence[int], *, ban_round: int | None, flag: int, clears: bool) -> tuple[int, ...] | None:
    """
    The rounds that leave the history; None where that can't be told, and all have to.

    The base of ``ban_round`` is documented on neither API. V1 describes the number of a round, which is taken to count
    from 1. With a V2 ``flag`` the rounds of both readings are taken out. The question just asked always leaves with
    them: its answer is the flagged one.

    Args:
        rounds: The rounds that were sent, as the caller numbers them, the question just asked last.
        ban_round: The round the service names, -1 for the question just asked; None for none.
        flag: V2's flag.
        clears: Whether the service asks to drop the conversation (V1's ``need_clear_history``).
    """
    if flag < BANNED and not clears:
        return ()
    asked = rounds[-1]
    if ban_round == -1 or (ban_round is None and not clears):
        return (asked,)
    bases = (1, 0) if flag >= BANNED else (1,)
    named = [] if ban_round is None else [ban_round - base for base in bases]
    found = {rounds[place] for place in named if 0 <= place < len(rounds)}
    return tuple(sorted({*found, asked})) if found else None

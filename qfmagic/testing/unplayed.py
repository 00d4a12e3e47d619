"""What is said of recorded answers that nothing asked for: a cassette is to hold what is used, and no more."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..core.errors import CassetteError
from ..core.i18n import Text, reader_language, text
from ..core.messages import text_of
from ..transport.cassette import file as cassette
from ..transport.cassette.recording import Key, Recorded

SHOWN = 5  # exchanges named
LONGEST = 40  # characters of a question shown


def left_over(path: Path, used: Iterable[Key]) -> list[Recorded]:
    """
    The exchanges of a cassette that aren't among those *used*; none where there is no file.

    Raises:
        CassetteError: It can't be read, or is none.
    """
    if not path.exists():
        return []
    keys = set(used)
    return [one for key, one in cassette.read(path).exchanges.items() if key not in keys]


def complaint(path: Path, left: Sequence[Recorded]) -> CassetteError:
    """Make the error that names them."""
    named: list[Text] = [_named(one) for one in left[:SHOWN]]
    if len(left) > SHOWN:
        named.append(Text("cassette.more", {"count": len(left) - SHOWN}))
    error = CassetteError("testing.unplayed", path=cassette.shown(path), count=len(left), exchanges=named)
    error.lang = language()
    return error


def say(key: str, **values: object) -> str:
    """A text of the catalogue, in the language of who runs the tests."""
    return text(key, language(), **values)


def language() -> str:
    """The language of who runs the tests."""
    return reader_language(os.environ.get("QFMAGIC_LANG") or "auto", os.environ)


def _named(recorded: Recorded) -> Text:
    messages = recorded.body.get("messages") or [{}]
    question = " ".join(text_of(messages[-1].get("content")).split())
    question = question if len(question) <= LONGEST else f"{question[:LONGEST]}…"
    number = f" #{recorded.n + 1}" if recorded.n else ""
    values = {"model": recorded.model, "question": question, "hash": f"{recorded.hash}{number}"}
    return Text("testing.exchange", values)

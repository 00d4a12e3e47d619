"""The one place that chooses: one model or several, an answer as it comes or one that must fit a schema."""

from collections.abc import Callable, Mapping
from typing import Any

from ..session.session import Session
from .question import Question, prepare


def prepare_any(
    session: Session,
    prompt: str,
    given: Mapping[str, Any],
    flags: frozenset[str] = frozenset(),
    namespace: Callable[[], Mapping[str, Any]] = dict,
) -> tuple[Mapping[str, Any], Question]:
    """
    Decide everything about a question; return the options it is sent with, and it. Nothing is sent or changed.

    Args:
        session: Whose settings and conversations hold.
        prompt: The question.
        given: The options of the line.
        flags: Its flags.
        namespace: Gives the names a schema may have.

    Raises:
        InputError: It can't be asked like that.
    """
    several = "," in str(given.get("model", ""))
    if "schema" not in given and not several:
        return given, prepare(session, prompt, given, flags)
    if "schema" not in given:
        from .several import prepare_several  # noqa: PLC0415 - most questions are for one model

        return given, prepare_several(session, prompt, given, flags)
    if several:
        from .several import prepare_several_structured  # noqa: PLC0415 - fewer still ask several

        return given, prepare_several_structured(session, prompt, given, flags, namespace())
    from .structured import prepare_structured  # noqa: PLC0415 - few questions have a schema

    return prepare_structured(session, prompt, given, flags, namespace())

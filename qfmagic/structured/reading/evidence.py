"""Chooses the value that is the answer among all JSON values in a text."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...core.errors import SchemaError
from ..json_schemas import branches, choices_of
from ..validator import Checker, Unfit
from .json_in_text import BrokenJson, JsonCandidate, NoJSON, found_json
from .near_values import mended, respelled, spelled, unwrapped

# With one of these, names that aren't among the fields may be right.
_OPEN = frozenset(("additionalProperties", "patternProperties"))


@dataclass(frozen=True)
class Reading:
    """
    The object in a model's text.

    Attributes:
        value: The object.
        despite: What of the text was not as it should be and has one meaning, by key (``schema.despite.KEY``).
    """

    value: Any
    despite: tuple[str, ...] = ()


def read_answer(text: str, checker: Checker, *, lists: bool) -> Reading:
    """
    Return the one object in a text that fits.

    An object before it that doesn't fit is a draft; one behind it is not: the last word decides, and where that can't
    be had, there is no answer.

    Args:
        text: The text.
        checker: What checks the values.
        lists: As for :func:`found_json`.

    Raises:
        SchemaError: There is none, it doesn't fit, or several do.
    """
    try:
        candidates = found_json(text, lists=lists)
    except NoJSON as error:
        if (word := _bare_word(text, checker)) is not None:
            return word
        key = "schema.broken" if error.reason else "schema.no_json"
        raise SchemaError(key, reason=error.reason) from None
    found: list[Reading] = []
    problem: SchemaError | None = None
    seen: dict[str, Reading | SchemaError] = {}
    for candidate in candidates:
        came = _judged(candidate, checker, seen)
        if isinstance(came, Reading):
            same = next((n for n, one in enumerate(found) if _same(one.value, came.value)), None)
            if same is None:
                found.append(came)
            elif len(came.despite) < len(found[same].despite):
                found[same] = came
            problem = None
        elif _claims(candidate) or not found:
            problem = problem or came
    if len(found) > 1:
        raise SchemaError("schema.several", count=len(found))
    if problem is not None:
        raise problem
    return found[0]


def _judged(
    candidate: JsonCandidate | BrokenJson, checker: Checker, seen: dict[str, Reading | SchemaError]
) -> Reading | SchemaError:
    """The object that is meant, or what is wrong; of what was seen before, the same."""
    if isinstance(candidate, BrokenJson):
        return SchemaError("schema.broken", reason=candidate.reason)
    if candidate.written not in seen:
        try:
            came: Reading | SchemaError = _fitting(candidate, checker)
        except Unfit as fault:
            came = SchemaError("schema.unfit", reason=str(fault))
        seen[candidate.written] = came
    return seen[candidate.written]


def _claims(candidate: JsonCandidate | BrokenJson) -> bool:
    """Whether a value looks like an answer: a number or empty brackets do not, where the text has an object."""
    return isinstance(candidate, BrokenJson) or (isinstance(candidate.value, (dict, list)) and bool(candidate.value))


def _fitting(candidate: JsonCandidate, checker: Checker) -> Reading:
    """
    The object that is meant.

    Raises:
        Unfit: Neither it fits nor one thing inside of it.
    """
    tree = spelled(candidate.written)
    try:
        return _reading(_near(tree, checker), candidate.defects)
    except Unfit:
        inside = _insides(tree, checker)
        if len(inside) != 1:
            raise
    return _reading(inside[0], candidate.defects)


_Near = tuple[Any, frozenset[str], Any]  # the object, what was not as it should be, and the value it was made of


def _reading(near: _Near, defects: frozenset[str]) -> Reading:
    return Reading(near[0], tuple(sorted(near[1] | defects)))


def _insides(tree: Any, checker: Checker) -> list[_Near]:
    """The different objects inside of a wrapping."""
    found: list[_Near] = []
    for inside, around in unwrapped(tree):
        if not isinstance(inside, dict) and _fields(checker):
            continue
        with suppress(Unfit):
            near = _near(inside, checker)
            if not any(_same(near[0], one[0]) for one in found):
                found.append((near[0], near[1] | around, near[2]))
    return found


def _near(tree: Any, checker: Checker) -> _Near:
    """
    The object a value is meant to be.

    Raises:
        Unfit: What is wrong with the value as it is.
    """
    exact, meant = (tree, frozenset[str]()), mended(tree, checker.json_schema)
    fault = Unfit()
    # A name in another spelling fits as it is where the field may be left out.
    for value, defects in (meant, exact) if "name" in meant[1] else (exact, meant) if meant[1] else (exact,):
        try:
            found = _checked(value, checker)
            return found, defects or _coerced(found, meant, checker), value
        except Unfit as error:
            fault = fault if defects else error
    raise fault


def _coerced(found: Any, meant: tuple[Any, frozenset[str]], checker: Checker) -> frozenset[str]:
    """What a class that takes ``"3"`` for a number has mended itself: where the mended value comes to the same."""
    with suppress(Unfit):
        if meant[1] and _same(_checked(meant[0], checker), found):
            return meant[1]
    return frozenset()


def _checked(tree: Any, checker: Checker) -> Any:
    if not _is_asked_for(tree, checker):
        raise Unfit(f"Input should have one of the fields {', '.join(checker.names)}")
    value = checker.check(respelled(tree))
    checker.columns(value)
    return value


def _is_asked_for(value: Any, checker: Checker) -> bool:
    """Whether an object has one of the fields that are asked for, where all of them may be left out."""
    several = _branches(checker)
    if not isinstance(value, dict) or not value or any(one.keys() & _OPEN for one in several):
        return True
    fields = _fields(checker)
    return not fields or any(name in one for one in fields for name in value)


def _branches(checker: Checker) -> Sequence[Mapping[str, Any]]:
    return branches(checker.json_schema, checker.json_schema)


def _fields(checker: Checker) -> list[Mapping[str, Any]]:
    return [one["properties"] for one in _branches(checker) if one.get("properties")]


def _bare_word(text: str, checker: Checker) -> Reading | None:
    """One of the choices that are all a schema asks for, written without quotation marks."""
    choices = [choice for one in _branches(checker) for choice in choices_of(one) or ()]
    if not any(isinstance(choice, str) for choice in choices):
        return None
    try:
        return _reading(_near(text.strip().strip("`").strip(), checker), frozenset(("quotes",)))
    except Unfit:
        return None


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - the class is the user's
        return False

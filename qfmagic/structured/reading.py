"""Which value of a text is the answer: all that the text holds is evidence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import SchemaError
from .json_in_text import BrokenJson, JsonCandidate, NoJSON, found_json
from .json_schemas import branches, choices_of
from .near_values import mended, respelled, spelled, unwrapped
from .validator import Checker, Unfit


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
    """Whether it looks like an answer: a number or an empty pair of brackets beside an object doesn't."""
    return isinstance(candidate, BrokenJson) or (isinstance(candidate.value, (dict, list)) and bool(candidate.value))


def _fitting(candidate: JsonCandidate, checker: Checker) -> Reading:
    """
    The object that is meant.

    Raises:
        Unfit: Neither it fits nor one thing inside of it.
    """
    fault: Unfit | None = None
    try:
        value = _checked(candidate.written, checker)
        if _knows(candidate.value, checker):
            return Reading(value, tuple(sorted(candidate.defects)))
    except Unfit as error:
        fault = error
    tree = spelled(candidate.written)
    if fault is not None and (near := _near(tree, checker)) is not None:
        return _reading(near, candidate.defects)
    # What no field of the schema is in fits only where all of them may be left out.
    inside = _insides(tree, checker)
    if len(inside) == 1:
        return _reading(inside[0], candidate.defects)
    if fault is not None:
        raise fault
    return Reading(value, tuple(sorted(candidate.defects)))


_Near = tuple[Any, frozenset[str], Any]  # the object, what was not as it should be, and the value it was made of


def _reading(near: _Near, defects: frozenset[str]) -> Reading:
    return Reading(near[0], tuple(sorted(near[1] | defects)))


def _insides(tree: Any, checker: Checker) -> list[_Near]:
    """The different objects inside of a wrapping."""
    found: list[_Near] = []
    for inside, around in unwrapped(tree):
        near = _near(inside, checker)
        if near is not None and _is_asked_for(near[2], checker) and not any(_same(near[0], one[0]) for one in found):
            found.append((near[0], near[1] | around, near[2]))
    return found


def _near(tree: Any, checker: Checker) -> _Near | None:
    """The object a value is meant to be; None for none."""
    for value, defects in _spellings(tree, checker.json_schema):
        try:
            return _checked(respelled(value), checker), defects, value
        except Unfit:
            continue
    return None


def _spellings(tree: Any, schema: Mapping[str, Any]) -> Iterator[tuple[Any, frozenset[str]]]:
    yield tree, frozenset()
    value, defects = mended(tree, schema)
    if defects:
        yield value, defects


def _checked(written: str, checker: Checker) -> Any:
    value = checker.check(written)
    checker.columns(value)
    return value


def _fields_of(checker: Checker) -> list[Mapping[str, Any]]:
    """The fields of an object that is asked for, or of each of several; none where something else would do."""
    schema = checker.json_schema
    fields = [one.get("properties") or {} for one in branches(schema, schema)]
    return fields if all(fields) else []


def _knows(value: Any, checker: Checker) -> bool:
    """Whether a value is no object, or has one of the fields that are asked for, as far as there are any."""
    if not isinstance(value, dict) or not value:
        return True
    fields = _fields_of(checker)
    return not fields or any(name in one for one in fields for name in value)


def _is_asked_for(value: Any, checker: Checker) -> bool:
    """Whether what is inside a wrapping is what was asked for: an object with its fields, where it has any."""
    return not _fields_of(checker) or (isinstance(value, dict) and bool(value) and _knows(value, checker))


def _bare_word(text: str, checker: Checker) -> Reading | None:
    """One of the choices that are all a schema asks for, written without quotation marks."""
    schema = checker.json_schema
    choices = [choice for one in branches(schema, schema) for choice in choices_of(one) or ()]
    if not any(isinstance(choice, str) for choice in choices):
        return None
    near = _near(text.strip().strip("`").strip(), checker)
    return None if near is None else Reading(near[0], tuple(sorted(near[1] | {"quotes"})))


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - the class is the user's
        return False

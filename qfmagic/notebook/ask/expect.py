"""``expect=``: what an answer must meet, or else its cell fails. Loaded with the first cell that expects something."""

import ast
import builtins
import re
import symtable
from collections.abc import Callable, Collection, Mapping
from inspect import iscoroutine
from typing import Any, NamedTuple

from ...core.answer import Answer
from ...core.errors import ExpectationError, OptionError
from ...core.i18n import Text
from ...core.safe_json import read_json
from ...core.terminal import printable
from ...prompts.template import render
from ..output.formats import code_blocks

SHOWN_CHARACTERS = 80  # characters of an answer or a reason in an error
_PATTERN = re.compile(r"/(.*)/([A-Za-z]*)", re.DOTALL)
_FLAGS = {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE}
# What stands for a {{ }} in an expression until it's evaluated.
_STAND_IN = re.compile(r"__qianfan_\d+__")

# Says what is wrong with an answer in the user's namespace; None if nothing is.
Fault = Callable[[Answer, Mapping[str, Any]], Text | None]


class Expectation(NamedTuple):
    """What an answer must meet: as it was written, and how it's looked at."""

    written: str
    fault: Fault

    def check(self, answer: Answer, namespace: Mapping[str, Any], keep: Callable[[Answer], object]) -> None:
        """
        Fail if the answer doesn't meet it.

        Args:
            answer: The answer.
            namespace: The user's, where an expression is evaluated.
            keep: Called with the answer before this fails: a cell that fails has no result to find it by.

        Raises:
            ExpectationError: It doesn't.
        """
        try:
            broken = None if answer.complete else Text("expect.broken")
            fault, cause = broken or self.fault(answer, namespace), None
        except Exception as error:  # noqa: BLE001 - the user's expression may raise what it likes
            fault, cause = Text("expect.raised", {"reason": _reason(error)}), error
        if fault is None:
            return
        keep(answer)
        beginning = _short(answer.shown) or Text("expect.empty")
        raise ExpectationError("expect.unmet", expected=self.written, fault=fault, beginning=beginning) from cause


def expectation(
    written: str, namespace: Mapping[str, Any], *, into: str | None = None, raw: bool = False
) -> Expectation:
    """
    Read what stands behind ``expect=``, before anything is sent.

    A ``{{ }}`` in a pattern is filled in as in every option. In an expression it is a value, never code, whatever text
    it holds: an earlier answer may be in there.

    Args:
        written: ``/pattern/flags``, ``json``, or a Python expression of ``answer``.
        namespace: Where ``{{ }}`` is evaluated, and later the expression.
        into: The variable that will hold the answer too.
        raw: Whether ``{{ }}`` stays as it is.

    Raises:
        OptionError: It can't be looked at, or no answer could fail it.
        PromptError: An expression in ``{{ }}`` failed.
    """
    values: dict[str, Any] = {}

    def stand_in(value: object) -> str:
        name = f"__qianfan_{len(values)}__"
        values[name] = value
        return name

    source = written if raw else render(written, namespace, stand_in)
    filled = _filled(source, values)
    if filled.startswith("/"):
        return Expectation(filled, _pattern(filled))
    if filled == "json":
        return Expectation(filled, _no_json)
    return Expectation(written, _expression(written, source, values, {*namespace, *filter(None, (into,))}, into))


# ---- patterns and JSON


def _pattern(written: str) -> Fault:
    found = _PATTERN.fullmatch(written)
    if found is None:
        raise OptionError("expect.unclosed", value=written)
    if not found[1] or {*found[2]} - _FLAGS.keys():
        raise OptionError("expect.flags" if found[1] else "expect.always", value=written)
    try:
        pattern = re.compile(found[1], sum(_FLAGS[flag] for flag in {*found[2]}))
    except (re.error, OverflowError, RecursionError) as error:
        raise OptionError("expect.pattern", value=written, reason=_short(str(error))) from error
    return lambda answer, _: None if pattern.search(answer.text) else Text("expect.no_match")


def _no_json(answer: Answer, _: Mapping[str, Any]) -> Text | None:
    """The text counts, or the only fenced block in it."""
    blocks = code_blocks(answer.text)
    candidates = [answer.text, *blocks] if len(blocks) == 1 else [answer.text]
    reasons = [reason for reason in map(_why_no_json, candidates) if reason is not None]
    return Text("expect.no_json", {"reason": reasons[-1]}) if len(reasons) == len(candidates) else None


def _why_no_json(candidate: str) -> str | None:
    try:
        read_json(candidate, parse_constant=_refuse)
    except ValueError as error:
        return _short(str(error))
    return None


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are Python's own, no other reader of JSON takes them


# ---- expressions


def _expression(
    written: str, source: str, values: Mapping[str, Any], known: Collection[str], into: str | None
) -> Fault:
    try:
        tree = ast.parse(source.strip(), mode="eval")
        names = _names(symtable.symtable(source.strip(), "<expect>", "eval"))
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise OptionError("expect.expression", value=written, reason=reason) from error
    if _misplaced(tree, names - values.keys()):
        raise OptionError("expect.placeholder", value=written)
    unknown = sorted(names - {*known, *values, *vars(builtins), "answer"})
    if unknown:
        raise OptionError("expect.unknown", value=written, name=unknown[0])
    if not {"answer", into} & names:
        raise OptionError("expect.always", value=written)
    code = compile(ast.fix_missing_locations(_Filled(values).visit(tree)), "<expect>", "eval")

    def fault(answer: Answer, namespace: Mapping[str, Any]) -> Text | None:
        found = eval(code, {**namespace, **values, "answer": answer})  # noqa: S307 - the user's own, as their cell is
        if iscoroutine(found):
            found.close()
        if callable(found) or iscoroutine(found) or found is answer:  # always true: a call or more was forgotten
            return Text("expect.no_verdict", {"kind": type(found).__name__})
        return None if found else Text("expect.false")

    return fault


def _names(table: symtable.SymbolTable) -> set[str]:
    """The names an expression takes from around it."""
    symbols = table.get_symbols()
    assigned = {symbol.get_name() for symbol in symbols if symbol.is_assigned()}
    own = {symbol.get_name() for symbol in symbols if symbol.is_global() and symbol.is_referenced()}
    return own.union(*map(_names, table.get_children())) - assigned


def _misplaced(tree: ast.AST, names: Collection[str]) -> bool:
    """Whether a ``{{ }}`` stands for a part of a name: there it can't be a value."""
    fields = [
        value
        for node in ast.walk(tree)
        if not isinstance(node, (ast.Constant, ast.Name))
        for _, value in ast.iter_fields(node)
    ]
    return any(isinstance(part, str) and _STAND_IN.search(part) for part in (*names, *fields))


class _Filled(ast.NodeTransformer):
    """Fills in what ``{{ }}`` stands for inside strings."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(_filled(node.value, self._values)) if isinstance(node.value, str) else node


def _filled(source: str, values: Mapping[str, Any]) -> str:
    return _STAND_IN.sub(lambda found: str(values.get(found[0], found[0])), source)


# ---- what is said


def _reason(error: BaseException) -> str:
    return _short(f"{type(error).__name__}: {error}".removesuffix(": "))


def _short(said: str) -> str:
    """In one line, without what a terminal would obey: a model's text may be in it."""
    line = printable(" ".join(said.split()))
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 3]}..."

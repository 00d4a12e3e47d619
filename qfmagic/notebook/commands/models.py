"""``%qf models``."""

from collections.abc import Callable, Sequence

from ...core.i18n import text
from ...core.models import Capabilities, Model, did_you_mean, registry
from ...core.wire.model_list import ListedModel
from ..output.tables import Rendered, TextTable, heads
from ..session.session import Session

# The fields of a row that are true or false, in the order they are shown in.
_FEATURES = ("thinking", "vision", "tools", "json_schema", "web_search")


def show_models(session: Session, words: str) -> Rendered:
    """Do ``%qf models``."""
    if words in _LISTS:
        return _LISTS[words](session)
    row = registry().find(words) or registry().generic(words)
    return _one_model(row, session.listed(), session.lang)


def _table(session: Session) -> Rendered:
    lang = session.lang
    head = heads("models.head", lang)
    rows = [
        (one.name, _apis(one), _limits(one, lang), _features(one.capabilities, lang)) for one in registry().offered()
    ]
    return TextTable(head, rows, text("said.models", lang)).said()


def _retired(session: Session) -> Rendered:
    lang = session.lang
    head = heads("models.head.retired", lang)
    rows = []
    for model in registry().models.values():
        if model.retirement is not None and not model.offered:
            day = model.retirement.retired or "-"
            announced = text("word.announced", lang, date=day)
            rows.append((model.name, announced if model.retirement.announced else day, model.retirement.instead))
    return TextTable(head, rows, text("said.models_retired", lang)).said()


def _live(session: Session) -> Rendered:
    """The models the service lists for the key."""
    lang = session.lang
    head = heads("models.head.live", lang)
    rows = [
        tuple(
            "" if value is None else value
            for value in (one.name, one.kind, one.context, one.max_output, one.input_price, one.output_price)
        )
        for one in sorted(session.list_models(), key=lambda one: (not one.chats, one.name))
    ]
    return TextTable(head, rows, text("said.models_live", lang, count=len(rows))).said()


_LISTS: dict[str, Callable[[Session], Rendered]] = {"": _table, "live": _live, "retired": _retired}


def _one_model(model: Model, listed: Sequence[ListedModel], lang: str) -> Rendered:
    head = heads("models.head.one", lang)
    rows = [
        (wire, name, parameter.describe(lang), "" if parameter.default is None else parameter.default)
        for wire, api in model.apis.items()
        for name, parameter in api.parameters.items()
    ]
    in_table = model.name in registry().models
    names = {one.name: one for one in listed}
    unlisted = not in_table and model.name not in names
    hint = did_you_mean(registry().suggest(model.name, names)) if unlisted else ""
    facts = [
        f"{model.title} ({', '.join((model.name, *model.aliases))})" if in_table else model.name,
        "" if in_table else text("said.model_generic", lang),
        hint if isinstance(hint, str) else hint.describe(lang),
        _limits(model, lang) if in_table else ", ".join(_listed_sizes(names.get(model.name), lang)),
        _features(model.capabilities, lang),
        model.retirement.said(model.name).describe(lang) if model.retirement else "",
        text("said.model_listed" if model.name in names else "said.model_unlisted", lang) if names else "",
        model.note.get(lang, ""),
        f"{model.source.title} {model.source.url}".strip() if in_table else "",
        model.capabilities.as_of or "",
    ]
    return TextTable(head, rows, " · ".join(filter(None, facts))).said()


def _apis(model: Model) -> str:
    endpoint = "" if any(api.endpoint or wire == "v2" for wire, api in model.apis.items()) else " + endpoint="
    return ", ".join(model.wires) + endpoint


def _limits(model: Model, lang: str) -> str:
    limits = model.limits
    parts = []
    if limits.max_chars:
        parts.append(text("word.chars", lang, count=limits.max_chars))
    if limits.max_tokens:
        parts.append(text("word.tokens", lang, count=limits.max_tokens))
    if limits.system_counts and parts:
        parts.append(text("word.system", lang))
    return ", ".join([*parts, *capability_facts(model.capabilities, lang)]) or text("word.none", lang)


def capability_facts(known: Capabilities, lang: str) -> list[str]:
    """The sizes V2's catalogue prints."""
    sizes = {"context": known.context, "input": known.max_input, "output": known.max_output}
    return [text(f"word.max_{name}", lang, size=size) for name, size in sizes.items() if size is not None]


def _listed_sizes(listed: ListedModel | None, lang: str) -> list[str]:
    """The sizes in the service's own list, for a model the table lacks."""
    sizes = {"context": listed.context, "output": listed.max_output} if listed else {}
    return [text(f"word.max_{name}", lang, size=size) for name, size in sizes.items() if size is not None]


def _features(known: Capabilities, lang: str) -> str:
    """The features that were read, each as yes or no; the switch and the efforts of thinking with it."""
    detail = {"thinking": ", ".join(filter(None, (known.thinking_switch, *known.efforts)))}
    shown = []
    for name in _FEATURES:
        value = getattr(known, name)
        if value is not None:
            word = text(f"word.{name}", lang)
            word = word if value else text("word.no_feature", lang, name=word)
            shown.append(f"{word} ({detail[name]})" if detail.get(name) else word)
    return ", ".join(shown)

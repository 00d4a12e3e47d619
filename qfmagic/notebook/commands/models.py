"""``%qf models``."""

from ...core.errors import OptionError
from ...core.i18n import text
from ...core.models import Model, did_you_mean, registry
from ..output.tables import Rendered, TextTable, heads
from ..session.session import Session


def show_models(session: Session, words: str) -> Rendered:
    """Do ``%qf models``."""
    lang = session.lang
    if words:
        row = registry().find(words)
        if row is None:
            hint = did_you_mean(registry().suggest(words))
            raise OptionError("command.no_model", name=words, suggestions=hint)
        return _one_model(row, lang)
    head = heads("models.head", lang)
    rows = []
    for model in registry().models.values():
        api = next(iter(model.apis.values()))
        endpoint = "" if any(api.endpoint or wire == "v2" for wire, api in model.apis.items()) else " + endpoint="
        shown = ", ".join(api.parameters) if api.wire == "v1" else "V2"
        rows.append((model.name, ", ".join(model.wires) + endpoint, _limits(model, lang), shown))
    return TextTable(head, rows, text("said.models", lang)).said()


def _one_model(model: Model, lang: str) -> Rendered:
    head = heads("models.head.one", lang)
    rows = [
        (wire, name, parameter.describe(lang), "" if parameter.default is None else parameter.default)
        for wire, api in model.apis.items()
        for name, parameter in api.parameters.items()
    ]
    facts = [
        f"{model.title} ({', '.join((model.name, *model.aliases))})",
        f"{_limits(model, lang)}",
        model.note.get(lang, ""),
        f"{model.source.title} {model.source.url}".strip(),
    ]
    return TextTable(head, rows, " · ".join(filter(None, facts))).said()


def _limits(model: Model, lang: str) -> str:
    limits = model.limits
    parts = []
    if limits.max_chars:
        parts.append(text("word.chars", lang, count=limits.max_chars))
    if limits.max_tokens:
        parts.append(text("word.tokens", lang, count=limits.max_tokens))
    if limits.system_counts and parts:
        parts.append(text("word.system", lang))
    return ", ".join(parts) or text("word.none", lang)

"""How the rows of ``%%qf map`` and ``%%qf compare over=`` are asked: by the options of the line and the settings."""

from collections.abc import Callable, Mapping
from typing import Any

from ...accounting.totals import Kind
from ...batch.row_prompts import Questions
from ...batch.row_runner import Work
from ...core.models import Wire, registry
from ...prompts.template import Template
from ...structured.schema import Schema
from ..cell import CellContext
from ..output.tables import Rendered
from .answer_cache import Opened, kept_of, usable


def row_work(
    cell: CellContext,
    given: Mapping[str, Any],
    *,
    kept_as: str,
    job: str,
    fresh: bool,
    opened: Opened,
    kind: Kind = "map",
) -> Callable[[Template, Schema | None], Work]:
    """
    Return what says how rows are asked, of a template and a schema as they were read.

    Args:
        cell: Where they are asked.
        given: The options of the line, read.
        kept_as: What the answers are kept under.
        job: What a tape knows the job by.
        fresh: Whether what is kept counts for nothing.
        opened: Closes what is opened for it.
        kind: What asks, for the meter.

    Raises:
        ModelError: There is no such model.
    """
    session, preferences = cell.session, cell.session.preferences
    target = registry().target(*preferences.where(given))
    session.keys.check_not_in({"endpoint": target.endpoint})  # which is sent in the address

    def work(template: Template, schema: Schema | None) -> Work:
        client, call = session.client(), preferences.call(given).checked()
        parameters = preferences.parameters(given, target.parameters)
        stream = bool(preferences.setting("stream", given).value)
        questions = Questions(template, target, parameters, cell.namespace, schema, stream, session.keys.check_not_in)
        return Work(
            client=client,
            questions=questions,
            kept=opened(kept_of(session, kept_as)),
            usable=usable(session, job, fresh=fresh),
            job=job,
            call=call,
            repairs=int(preferences.setting("repairs", given).value),
            meter=session.meter,
            kind=kind,
        )

    return work


def warn_of_terms(cell: CellContext, wire: Wire) -> None:
    """Show before many requests that the terms of the address may not allow them."""
    session = cell.session
    base = None if session.transport.kind.keyless else session.keys.settings().named_base
    warning = base.warning(wire) if base is not None else None
    if warning is not None:
        said = Rendered.of(warning.describe(session.lang))
        cell.front.publish({"text/markdown": said.markdown, "text/plain": said.plain})

"""``%%qf map`` over a Dask frame: handed to its cluster."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from ...batch.dask import check_frame, map_cluster
from ...batch.job import DEFAULT_WORKERS
from ...batch.row_prompts import offered
from ...core.errors import OptionError, PromptError
from ...core.i18n import text
from ...core.models import registry
from ..cell import CellContext
from ..parsing.line import checked_into
from ..session.keys import check_holds_none
from .row_work import warn_of_terms


def map_dask(cell: CellContext, data: Any, template: str, given: Mapping[str, Any], flags: frozenset[str]) -> None:
    """
    Hand a frame's partitions to its cluster; the frame with the results goes to ``into=``, else to ``_``.

    Raises:
        OptionError: An option has no meaning there.
        InputError: It can't be asked like that.
    """
    session, preferences = cell.session, cell.session.preferences
    into = checked_into(given)
    check_frame(data)
    _check(cell, given, flags)
    if not template.strip():
        raise PromptError("map.no_template", names=offered(tuple(data.columns)))
    model, endpoint, api = preferences.where(given)
    warn_of_terms(cell, registry().target(model, endpoint, api).wire)
    result = map_cluster(
        data,
        template,
        client=session.client(),
        model=model,
        endpoint=endpoint,
        api=api,
        workers=given.get("workers", DEFAULT_WORKERS),
        schema=given.get("schema"),
        repairs=int(preferences.setting("repairs", given).value),
        prefix=given.get("prefix", ""),
        sample=given.get("sample"),
        namespace=cell.namespace,
        **preferences.call(given)._asdict(),
        stream=bool(preferences.setting("stream", given).value),
        lang=session.lang,
        check=partial(check_holds_none, session.keys.secrets()),
        **preferences.parameters(given, registry().target(model, endpoint, api).parameters),
    )
    if into is None:
        cell.set_result(result)
    else:
        cell.bind(into, result)
    if "quiet" not in flags:
        said = text("map.dask_said", session.lang, partitions=result.npartitions, name=into or "_")
        cell.front.publish({"text/markdown": said, "text/plain": said})


def _check(cell: CellContext, given: Mapping[str, Any], flags: frozenset[str]) -> None:
    """Refuse what can't be held on a cluster."""
    session = cell.session
    if "," in str(given.get("model", "")):
        raise OptionError("compare.not_here", name="%%qf map")
    if "dry" in flags:
        raise OptionError("map.dask_option", option="dry")
    if session.transport.kind.taped:
        raise OptionError("map.dask_mode", mode=session.mode)
    if session.meter.limited:
        raise OptionError("map.dask_budget", budget=session.preferences.budget())

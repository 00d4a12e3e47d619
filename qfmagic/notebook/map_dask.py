"""``%%qf map`` over a Dask frame: handed to its cluster."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..analysis.batch import WORKERS
from ..analysis.cluster import map_cluster
from ..core.catalogue import text
from ..core.errors import OptionError
from ..core.models import registry

if TYPE_CHECKING:
    from .engine import Engine


def map_dask(engine: "Engine", data: Any, template: str, given: Mapping[str, Any], flags: frozenset[str]) -> None:
    """
    Hand a frame's partitions to its cluster; the frame with the results goes to ``into=``, else to ``_``.

    Raises:
        OptionError: An option has no meaning there.
        InputError: It can't be asked like that.
    """
    from .mapping import checked_into  # noqa: PLC0415 - it imports this module

    session, preferences = engine.session, engine.session.preferences
    into = checked_into(given)
    for name in ("dry", "fresh"):
        if name in flags:
            raise OptionError("map.dask_option", option=name)
    model, endpoint, api = preferences.where(given)
    result = map_cluster(
        data,
        template,
        client=session.client(),
        model=model,
        endpoint=endpoint,
        api=api,
        workers=given.get("workers", WORKERS),
        schema=given.get("schema"),
        repairs=int(preferences.setting("repairs", given).value),
        prefix=given.get("prefix", ""),
        sample=given.get("sample"),
        keep=None,
        fresh=False,
        namespace=engine.namespace,
        timeout=preferences.setting("timeout", given).value,
        stream=bool(preferences.setting("stream", given).value),
        on_done=bool,
        **preferences.parameters(given, registry().target(model, endpoint, api).parameters),
    )
    if into is None:
        engine.shell.displayhook.update_user_ns(result)
    else:
        engine.shell.user_ns[into] = result
    said = text("map.dask_said", session.lang, partitions=result.npartitions, name=into or "_")
    engine.front.publish({"text/markdown": said, "text/plain": said})

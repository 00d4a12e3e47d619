"""The service's lists of models as last read: for completion, the panel and near misses, which never wait for it."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ...client.auth.credentials import available
from ...client.model_place import list_place
from ...client.settings import Settings, fingerprint
from ...core.safe_json import read_object
from ...core.wire.model_list import ListedModel, read_model_list
from ...home import HomeError, home_folder, private_file, private_folder

KEPT_S = 24 * 3600.0  # seconds a list counts


class ModelLists:
    """
    The lists, by key and address.

    Args:
        environ: Where the folder is named.
        clock: Seconds since 1970.
    """

    def __init__(self, environ: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._environ, self._clock = environ, clock
        self._read: dict[str, tuple[float, tuple[ListedModel, ...]]] = {}

    def keep(self, settings: Settings, models: Sequence[ListedModel], *, saved: bool) -> None:
        """Keep the list of the key for V2 in *settings*; *saved*: for other kernels as well, where that is possible."""
        name = _name(settings)
        self._read[name] = self._clock(), tuple(models)
        if not saved:
            return
        with suppress(HomeError, OSError):
            path = self._path(name)
            private_folder(path.parent)
            content = json.dumps({"at": self._clock(), "data": [model.row() for model in models]})
            with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
                file.write(content)
            Path(file.name).replace(path)

    def known(self, settings: Settings) -> tuple[ListedModel, ...]:
        """The list of the key for V2 in *settings*; empty where none was read within a day."""
        name = _name(settings)
        if name not in self._read:
            self._read[name] = self._from_file(name)
        at, models = self._read[name]
        return models if 0 <= self._clock() - at < KEPT_S else ()

    def _path(self, name: str) -> Path:
        return home_folder(self._environ) / "models" / f"{name}.json"

    def _from_file(self, name: str) -> tuple[float, tuple[ListedModel, ...]]:
        path = self._path(name)
        try:
            private_file(path)
            saved = read_object(path.read_bytes())
        except (HomeError, OSError):
            return 0.0, ()
        at = saved.get("at")
        return (float(at) if isinstance(at, (int, float)) else 0.0), read_model_list(saved) or ()


def _name(settings: Settings) -> str:
    """The name of the file: the fingerprint of the key's fingerprint and the address."""
    used = available(settings, "v2")
    key = fingerprint(used[0].key + used[0].secret) if used else ""
    return fingerprint(f"{''.join(list_place(settings))} {key}")

"""The notebook's settings: which value holds, where it comes from, and what a question would go to."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...accounting.prices import Budget, Prices
from ...client.call_options import CallOptions
from ...core.context import parse_policy
from ...core.errors import OptionError
from ...core.i18n import reader_language
from ...core.models import DEFAULT_MODEL, Target, registry
from ...core.models.params import EXTRA, Parameter, check_parameters
from ..parsing.option_table import help_table
from .transport_mode import here, user_path

# Settings that are the client's own: their variables are read with the keys, from .env too.
ADDRESSES = ("base", "app_id")
CLIENT = ("qps", "rpm", "tpm", "retry_count", "backoff_factor", "retry_timeout", *ADDRESSES)


class Setting(NamedTuple):
    """A value, and where it comes from."""

    value: Any
    source: str


class Preferences:
    """
    The settings of one notebook.

    Args:
        environ: The environment.
        config: The settings made with ``%config`` or in ``ipython_config.py``, read at each use.
    """

    def __init__(self, environ: Mapping[str, str], config: Callable[[], Mapping[str, Any]] = dict) -> None:
        self.environ = environ
        self._config = config
        self.changed: dict[str, Any] = {}
        self._folder = self._set_in = here()  # where the kernel began, and where the prices were set

    def setting(self, name: str, given: Mapping[str, Any] | None = None) -> Setting:
        """One setting's value and source: the line, ``%qf set``, ``%config``, the environment, the default."""
        row = help_table().settable.get(name) or help_table().on_line[name]
        if given and name in given:
            return Setting(given[name], "line")
        if name in self.changed:
            return Setting(self.changed[name], "%qf set")
        configured = self._config().get(name)
        if configured is not None:
            return Setting(configured, "%config")
        if row.env and self.environ.get(row.env):
            try:
                return Setting(row.parse(self.environ[row.env]), row.env)
            except OptionError as error:
                raise _as_variable(error, row.env) from None
        return Setting(row.default, "default")

    @property
    def lang(self) -> str:
        """``en`` or ``zh``."""
        return reader_language(str(self.setting("lang").value), self.environ)

    def change(self, values: Mapping[str, Any]) -> None:
        """
        Take settings over, all or none of them.

        Raises:
            InputError: They don't fit together, or not with the model that is set.
        """
        before, folder = dict(self.changed), self._set_in
        if "model" in values and "endpoint" not in values:
            self.changed.pop("endpoint", None)
        if "endpoint" in values and "model" not in values:
            self.changed.pop("model", None)
        self.changed |= values
        if "prices" in values:
            self._set_in = here()
        try:
            self.check(values)
        except BaseException:
            self.changed, self._set_in = before, folder
            raise
        if self.setting("nest_asyncio").value:
            import nest_asyncio2  # noqa: PLC0415 - only for who asks for it

            nest_asyncio2.apply()

    def check(self, names: Collection[str] | None = None) -> None:
        """
        Check that what is set fits together; of the parameters, those of *names* and what they need, or all.

        Raises:
            InputError: It doesn't.
        """
        if names is None or "context" in names:
            parse_policy(self.setting("context").value)
        if names is None or "budget" in names:
            self.budget()
        prices = self.prices_path()
        if names is not None and "prices" in names and prices is not None:
            Prices.of_toml(prices)
        target = self.target()
        given = self.parameters({}, target.parameters)
        if names is not None:
            needed = {parameter.requires for name, parameter in target.parameters.items() if name in names}
            given = {name: value for name, value in given.items() if name in names or name in needed}
        check_parameters(given, target.parameters, model=target.title, source=target.source.title)

    def budget(self) -> Budget | None:
        """
        The most that may be spent; None for no limit.

        Raises:
            OptionError: What is set is no amount.
        """
        setting = self.setting("budget")
        if setting.value is None:
            return None
        try:
            return Budget.parse(str(setting.value))
        except OptionError as error:
            raise _as_variable(error, setting.source) from None

    def prices_path(self) -> Path | None:
        """The prices' file, as seen from where it was set, or from where the kernel began; None for none."""
        setting = self.setting("prices")
        if setting.value is None:
            return None
        folder = self._set_in if setting.source == "%qf set" else self._folder
        return (folder or Path()) / user_path(str(setting.value))

    def target(self) -> Target:
        """What a question without options would go to."""
        return registry().target(*self.where({}))

    def where(self, given: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
        """
        Model, endpoint and API; a model on the line isn't asked at an endpoint that was set, or vice versa.

        Raises:
            OptionError: Several models are set: they are for a question's own line.
        """
        api = self.setting("api", given).value
        if "model" in given or "endpoint" in given:
            return given.get("model"), given.get("endpoint"), api
        model, endpoint = self.setting("model").value, self.setting("endpoint").value
        if "," in str(model or ""):
            raise OptionError("option.several_models", value=model)
        return (model if model or endpoint else DEFAULT_MODEL), endpoint, api

    def parameters(self, given: Mapping[str, Any], taken: Mapping[str, Parameter]) -> dict[str, Any]:
        """
        The parameters for a call: those on the line, and of those that are set, the ones the model takes.

        A parameter set for the notebook is a wish for every model that has it; one on the line is for this model, and
        wrong there if it doesn't.
        """
        found = {name: given[name] for name in help_table().parameters if name in given}
        fields = {taken[name].wire_name for name in found if name in taken}  # of two names, the line's counts
        names = [name for name, parameter in taken.items() if parameter.wire_name not in fields]
        settings = {name: self.setting(name).value for name in (*names, EXTRA.name) if name not in found}
        return found | {name: value for name, value in settings.items() if value is not None}

    def call(self, given: Mapping[str, Any]) -> CallOptions:
        """How a call waits and is retried: by the line, and by what is set for the notebook."""
        return CallOptions(*(self.setting(name, given).value for name in CallOptions._fields))

    def client(self) -> dict[str, Any]:
        """What is set here, and not in the environment, of the client's own settings."""
        return self._chosen(CLIENT)

    def addresses(self) -> dict[str, Any]:
        """What is set here of where requests go."""
        return self._chosen(ADDRESSES)

    def _chosen(self, names: Collection[str]) -> dict[str, Any]:
        found = {name: self.setting(name) for name in names}
        return {name: kept.value for name, kept in found.items() if kept.source in ("%qf set", "%config")}

    def unsent(self, target: Target) -> tuple[str, ...]:
        """The parameters that are set for the notebook and that this target doesn't take."""
        takes = {*target.parameters, EXTRA.name}
        return tuple(name for name in help_table().parameters if name in self.changed and name not in takes)


def _as_variable(error: OptionError, source: str) -> OptionError:
    """The error, naming the variable that was written, where one was."""
    written = source in {row.env for row in help_table().settable.values() if row.env}
    return OptionError(error.key, **{**error.values, **({"name": source} if written else {})})

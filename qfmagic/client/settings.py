"""Settings from arguments, environment and ``.env``, by the official SDK's names and precedence."""

import hashlib
import io
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from ..core.errors import OptionError
from ..core.i18n import Text
from ..core.keys.pasted import read_key, unquoted
from ..core.models.params import parse_value
from ..core.pacing.limits import RateLimits
from ..core.pacing.retry import RetryPolicy
from ..home import HomeError, check_regular
from .addresses import place_of_route, read_address, without_route
from .bases import DEFAULT_BASE, Base, base_of, bases

PREFIX = "QIANFAN_"
# Variables that are no setting of the official SDK's, and have their whole names here.
_OTHERS = ("QFMAGIC_", "AISTUDIO_")
# Forbids the network to every client. No field below: code that makes settings of its own isn't to get around it.
OFFLINE = "QFMAGIC_OFFLINE"


def _setting(env: str, default: Any = "", *, secret: bool = False, zero: bool = False) -> Any:
    env = env if env.startswith(_OTHERS) else PREFIX + env
    return field(default=default, repr=not secret, metadata={"env": env, "secret": secret, "zero": zero})


@dataclass(frozen=True, slots=True)
class Settings:
    """
    How to reach the service. Each field's environment variable is ``QIANFAN_`` and the name given here, as in the
    official SDK; what that doesn't have begins with ``QFMAGIC_``.

    Secrets don't show in ``repr``. Times are in seconds.

    Attributes:
        ak: AK, the API key of a V1 application (OAuth).
        sk: SK, its secret key.
        access_key: ACCESS_KEY, an IAM access key: V1 signing, V2 short-term bearer tokens.
        secret_key: SECRET_KEY, its secret key.
        access_token: ACCESS_TOKEN, a ready V1 token.
        bearer_token: BEARER_TOKEN, a V2 API key.
        access_code: ACCESS_CODE, for private deployments (with ``enable_private``).
        aistudio_token: AISTUDIO_ACCESS_TOKEN, the token of AI Studio (with ``base="aistudio"``).
        app_id: APP_ID, sent as ``appid`` on V2.
        base: QFMAGIC_BASE, the name of an address of V2 (``data/bases.toml``) in place of ``console_base_url``.
        timeout: LLM_API_RETRY_TIMEOUT, the longest silence before and within an answer.
        retry_count: LLM_API_RETRY_COUNT, attempts in all: 1 repeats nothing.
        backoff_factor: LLM_API_RETRY_BACKOFF_FACTOR, the pause before the first repeat; it doubles from there.
        retry_jitter: LLM_API_RETRY_JITTER, up to so much comes on top at random.
        max_wait_interval: LLM_API_RETRY_MAX_WAIT_INTERVAL, the longest of these pauses.
        retry_err_codes: LLM_API_RETRY_ERR_CODES, the codes to repeat in place of qfmagic's own choice; a JSON list,
            or with commas between.
        retry_timeout: QFMAGIC_RETRY_TIMEOUT, the time within which an attempt may still begin.
        qps: QPS_LIMIT, requests per second; 0 is no limit, for the next two as well.
        rpm: RPM_LIMIT, requests per minute.
        tpm: TPM_LIMIT, tokens per minute.
        sources: Where each given field comes from; for ``%qf settings``.
    """

    ak: str = _setting("AK", secret=True)
    sk: str = _setting("SK", secret=True)
    access_key: str = _setting("ACCESS_KEY", secret=True)
    secret_key: str = _setting("SECRET_KEY", secret=True)
    access_token: str = _setting("ACCESS_TOKEN", secret=True)
    bearer_token: str = _setting("BEARER_TOKEN", secret=True)
    access_code: str = _setting("ACCESS_CODE", secret=True)
    aistudio_token: str = _setting("AISTUDIO_ACCESS_TOKEN", secret=True)
    app_id: str = _setting("APP_ID")
    base: str = _setting("QFMAGIC_BASE", DEFAULT_BASE)
    base_url: str = _setting("BASE_URL", "https://aip.baidubce.com")
    console_base_url: str = _setting("CONSOLE_API_BASE_URL", "https://qianfan.baidubce.com")
    iam_base_url: str = _setting("IAM_BASE_URL", "https://iam.bj.baidubce.com")
    iam_host: str = _setting("IAM_HOST")
    model_api_prefix: str = _setting("MODEL_API_PREFIX", "/rpc/2.0/ai_custom/v1/wenxinworkshop")
    chat_v2_route: str = _setting("CHAT_V2_API_ROUTE", "/v2/chat/completions")
    use_custom_endpoint: bool = _setting("USE_CUSTOM_ENDPOINT", default=False)
    no_auth: bool = _setting("NO_AUTH", default=False)
    enable_private: bool = _setting("ENABLE_PRIVATE", default=False)
    auth_timeout: float = _setting("AUTH_TIMEOUT", 5.0)
    sign_expiration: int = _setting("IAM_SIGN_EXPIRATION_SEC", 300)
    bearer_expiration: int = _setting("BEARER_TOKEN_EXPIRED_INTERVAL", 43200)
    timeout: float = _setting("LLM_API_RETRY_TIMEOUT", 300.0)
    retry_count: int = _setting("LLM_API_RETRY_COUNT", 3)
    backoff_factor: float = _setting("LLM_API_RETRY_BACKOFF_FACTOR", 1.0, zero=True)
    retry_jitter: float = _setting("LLM_API_RETRY_JITTER", 1.0, zero=True)
    max_wait_interval: float = _setting("LLM_API_RETRY_MAX_WAIT_INTERVAL", 120.0, zero=True)
    retry_err_codes: str = _setting("LLM_API_RETRY_ERR_CODES")
    retry_timeout: float = _setting("QFMAGIC_RETRY_TIMEOUT", 600.0)
    qps: float = _setting("QPS_LIMIT", 0.0, zero=True)
    rpm: float = _setting("RPM_LIMIT", 0.0, zero=True)
    tpm: float = _setting("TPM_LIMIT", 0.0, zero=True)
    proxy: str = _setting("PROXY", secret=True)  # it may hold a password
    ssl_verification: bool = _setting("SSL_VERIFICATION_ENABLED", default=True)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in (*_KEYS, *_ADDRESSES):
            written = getattr(self, name)
            if not written:
                continue
            read = read_key(written) if name in _KEYS else read_address(written, proxy=name == "proxy")
            if read != written:
                object.__setattr__(self, name, type(written)(read))
        object.__setattr__(self, "base_url", without_route(self.base_url, f"{self.model_api_prefix}/chat", least=2))

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        directory: Path | None = None,
        dotenv: bool = True,
        **given: Any,
    ) -> Self:
        """
        Read the settings: *given* values first, then *environ*, then ``.env``, then the defaults.

        Args:
            environ: The environment; ``os.environ`` when not given.
            directory: Where ``.env`` is looked for, the working directory when not given. The variable
                ``QIANFAN_DOT_ENV_CONFIG_FILE`` names another file.
            dotenv: Whether ``.env`` is read at all.
            given: Fields by name, before anything else.

        Raises:
            OptionError: A variable's value isn't of the field's type, or ``.env`` can't be read.
        """
        environ = os.environ if environ is None else environ
        path = dotenv_path(environ, directory)
        layers = [("environment", environ), (path.name, read_dotenv(path) if dotenv else {})]
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for item in fields(cls):
            variable = item.metadata.get("env")
            if variable is None or given.get(item.name) is not None:
                continue
            for source, layer in layers:
                if layer.get(variable) is None:
                    continue
                if layer[variable]:  # set but empty is set: it hides the file's value
                    values[item.name] = _convert(variable, item.default, str(layer[variable]), item.metadata)
                    sources[item.name] = f"{variable} ({source})"
                break
        given = {name: value for name, value in given.items() if value is not None}
        sources |= dict.fromkeys(given, "argument")
        base_of(str({**values, **given}.get("base", "")))
        return cls(**{**values, **given, "sources": sources})

    @property
    def retry_policy(self) -> RetryPolicy:
        """How requests are repeated."""
        codes = frozenset(re.findall(r"[\w-]+", self.retry_err_codes)) if self.retry_err_codes else None
        return RetryPolicy(
            self.retry_count,
            self.backoff_factor,
            self.retry_jitter,
            self.max_wait_interval,
            self.retry_timeout,
            codes,
        )

    def place_of(self, wire: str, endpoint: str | None, *, custom: bool = False) -> tuple[str, str]:
        """Where chat requests go: the address of the service, and the path; *custom*: without the usual ``/chat``."""
        if wire == "v2":
            named = self.base not in ("", DEFAULT_BASE)
            return base_of(self.base).chat_place if named else self.v2_place(self.chat_v2_route)
        return self.base_url, f"{self.model_api_prefix}{'' if custom else '/chat'}/{endpoint}"

    def v2_place(self, route: str) -> tuple[str, str]:
        """Where a route of the V2 API is: the address of the service, and the path."""
        return place_of_route(self.console_base_url, route)

    def variables_of(self, wire: str) -> list[str]:
        """The variables that the address of chat requests comes from; each with where it is set."""
        names = ["console_base_url", "chat_v2_route"] if wire == "v2" else ["base_url", "model_api_prefix"]
        found = {item.name: str(item.metadata.get("env")) for item in fields(self) if item.name in names}
        given = [name for name in names if getattr(self, name) != _default(name)] or names[:1]
        return [self.sources.get(name, found[name]).replace("argument", f"{found[name]} (argument)") for name in given]

    def official(self, wire: str) -> bool:
        """Whether requests go to Baidu itself, not to a gateway."""
        try:
            host = urlsplit(self.place_of(wire, None)[0]).hostname or ""
        except ValueError:
            return False
        return f".{host}".endswith(_OFFICIAL)

    @property
    def named_base(self) -> Base | None:
        """The named address that V2 requests go to, however it was set; None for one without a name."""
        place = self.place_of("v2", None)
        return next((base for base in bases().values() if base.chat_place == place), None)

    @property
    def secrets(self) -> list[str]:
        """Every key, and the password of the proxy."""
        found = [
            getattr(self, item.name) for item in fields(self) if item.metadata.get("secret") and item.name != "proxy"
        ]
        try:
            password = urlsplit(self.proxy).password
        except ValueError:
            password = None
        return [secret for secret in [*found, password] if secret]

    @property
    def limits(self) -> RateLimits:
        """The limits of requests and tokens."""
        return RateLimits.of(qps=self.qps, rpm=self.rpm, tpm=self.tpm)


_KEYS = ("ak", "sk", "access_key", "secret_key", "access_token", "bearer_token")
_ADDRESSES = ("base_url", "console_base_url", "iam_base_url", "proxy")
_OFFICIAL = (".baidubce.com", ".baiduqianfan.ai")


def _default(name: str) -> object:
    return next(item.default for item in fields(Settings) if item.name == name)


def dotenv_path(environ: Mapping[str, str], directory: Path | None = None) -> Path:
    """The ``.env`` file: in *directory*, else in the working directory."""
    return Path(directory or Path.cwd()) / environ.get(f"{PREFIX}DOT_ENV_CONFIG_FILE", ".env")


def read_dotenv(path: Path) -> Mapping[str, str | None]:
    """
    Read a ``.env`` file; nothing where there is none.

    Raises:
        OptionError: It can't be read, or is no text in UTF-8. Nothing of what is in it is repeated.
    """
    try:
        check_regular(path)
    except HomeError as error:
        if not path.is_dir():  # an environment of Python's may be called so
            raise OptionError("settings.dotenv_unread", path=path.name, reason=Text(error.key, error.values)) from None
    if not path.is_file():
        return {}
    content, key, values = _dotenv_text(path)
    if content is None:  # raised here, where no error that holds the content is being handled
        raise OptionError(key, path=path.name, **values)
    from dotenv import dotenv_values  # noqa: PLC0415 - most notebooks have no .env

    # interpolate=False: a "$" in a key is a "$"
    return dotenv_values(stream=io.StringIO(content), interpolate=False)


def _dotenv_text(path: Path) -> tuple[str | None, str, Mapping[str, object]]:
    """What is in the file; else None, and what is wrong."""
    try:
        content = path.read_bytes().decode("utf-8-sig")  # the mark some editors write is no part of the first name
    except UnicodeDecodeError:
        return None, "settings.dotenv", {}
    except OSError as error:
        return None, "settings.dotenv_unread", {"reason": error.strerror or type(error).__name__}
    return (None, "settings.dotenv", {}) if "\0" in content else (content, "", {})


def _convert(variable: str, default: Any, value: str, metadata: Mapping[str, Any]) -> Any:
    kind = type(default).__name__
    try:
        if isinstance(default, str):
            return value.strip() if metadata["secret"] else unquoted(value)  # keys are read as a whole later
        converted = parse_value(kind, unquoted(value))
        if isinstance(default, bool) or 0 < converted < math.inf or (converted == 0 and metadata["zero"]):
            return converted
    except ValueError:
        pass  # told below, like a number that can't be
    shown = "***" if metadata["secret"] else value
    raise OptionError("settings.value", name=variable, value=shown, allowed=kind)


def fingerprint(secret: str) -> str:
    """Eight hex digits to tell keys apart by; says nothing about the key itself."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]

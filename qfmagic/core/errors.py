"""
What can go wrong, as exceptions.

::

    QianfanError
    ├── InputError              something was asked for that can't be sent; nothing was sent
    │   ├── OptionError         an option of a magic or setting: unknown, misspelled, wrongly typed
    │   ├── ModelError          a model, endpoint or API that doesn't fit together
    │   ├── ParameterError      a parameter the model doesn't take, or a value it doesn't allow
    │   ├── PromptError         an empty prompt, or a {{ }} that failed
    │   ├── ContextLengthError  the prompt alone is longer than the model takes
    │   └── CredentialError     keys that are missing or half given
    ├── TransportError          the service wasn't reached or didn't speak its protocol
    │   ├── ConnectError        no connection
    │   ├── ResponseTimeout     connected, then silent for too long
    │   └── ProtocolError       an answer that is not the service's (HTML, broken JSON, ...)
    └── ServiceError            the service answered with an error
        ├── AuthenticationError keys or tokens the service doesn't accept
        ├── AccessError         no permission, or nothing there by that name
        ├── RateLimitError      too many requests or tokens for now
        ├── QuotaError          nothing left, in debt, or not opened
        ├── RequestError        the service finds fault with the request
        ├── ContentError        the service's safety check refused
        ├── UnavailableError    overloaded or broken on the service's side
        └── GoneError           the V1 API no longer answers
"""

from typing import TYPE_CHECKING, Any

from .catalogue import text

if TYPE_CHECKING:
    from .answer import Answer


class QianfanError(Exception):
    """
    Base of all errors qfmagic raises on purpose.

    Args:
        key: The text in ``data/messages.toml``.
        values: What the text is filled with.

    ``partial`` is the answer as far as it had come when a request failed under way, else None.
    """

    lang: str = "en"
    partial: "Answer | None" = None

    def __init__(self, key: str, /, **values: Any) -> None:
        super().__init__(key)
        self.key = key
        self.values = values

    def message(self, lang: str | None = None) -> str:
        """Say what happened and what to do, in *lang* (``"en"`` or ``"zh"``; the error's own when not given)."""
        return text(self.key, lang or self.lang, **self.values)

    def __str__(self) -> str:
        return self.message()

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own form would lose the keyword arguments on the way through pickle.
        return (_rebuild, (type(self), self.key, self.values, self.lang))

    def _render_traceback_(self) -> list[str]:
        # IPython's hook: a mistake of the user's is told in a line or two, without our stack. It stays a real
        # error, so that Run All, nbval and papermill stop (UsageError would be passed over by them).
        return [f"{type(self).__name__}: {self.message()}"]


def _rebuild(kind: type[QianfanError], key: str, values: dict[str, Any], lang: str) -> QianfanError:
    error = kind.__new__(kind)
    QianfanError.__init__(error, key, **values)
    error.lang = lang
    return error


class InputError(QianfanError, ValueError):
    """Something was asked for that can't be sent; nothing was sent."""


class OptionError(InputError):
    """An option of a magic, or a setting, is unknown, misspelled or wrongly typed."""


class ModelError(InputError):
    """Model, endpoint and API don't fit together."""


class ParameterError(InputError):
    """The model doesn't take the parameter, or not with this value."""


class PromptError(InputError):
    """The prompt is empty, or an expression in it failed."""


class ContextLengthError(InputError):
    """The prompt alone is longer than the model takes."""


class CredentialError(InputError):
    """Keys are missing or half given."""


class TransportError(QianfanError):
    """The service wasn't reached, or didn't speak its protocol."""


class ConnectError(TransportError):
    """No connection to the service could be made."""


class ResponseTimeout(TransportError):
    """The service was connected, then silent for too long (``values["seconds"]``)."""


class ProtocolError(TransportError):
    """The answer is not the service's: HTML, broken JSON, an unknown shape."""


class ServiceError(QianfanError):
    """
    The service answered with an error.

    ``code`` is the service's (an int on V1, a string on V2, None where it gave none), ``detail`` its own text,
    ``status`` the HTTP status, ``request_id`` what to quote to its support, ``remedy_key`` our advice.
    """

    def __init__(
        self,
        key: str = "service.error",
        /,
        *,
        code: int | str | None = None,
        detail: str = "",
        status: int = 200,
        request_id: str | None = None,
        remedy: str | None = None,
        **values: Any,
    ) -> None:
        super().__init__(key, code=code, detail=detail, status=status, request_id=request_id, remedy=remedy, **values)
        self.code = code
        self.detail = detail
        self.status = status
        self.request_id = request_id
        self.remedy = remedy

    def message(self, lang: str | None = None) -> str:
        """Say what the service said, and what to do about it."""
        lang = lang or self.lang
        said = text(
            self.key,
            lang,
            code=self.status if self.code is None else self.code,
            detail=self.detail or text("service.silent", lang),
            request_id=text("service.request_id", lang, id=self.request_id) if self.request_id else "",
        )
        advice = [text(self.remedy, lang, **self.values)] if self.remedy else []
        hints = [text(hint, lang, **values) for hint, values in self.values.get("hints", ())]
        return " ".join([said, *advice, *hints])

    def with_hint(self, key: str, **values: Any) -> "ServiceError":
        """Return the error with one more sentence of advice, known only where it was raised."""
        merged = {**self.values, "hints": (*self.values.get("hints", ()), (key, values))}
        error = type(self)(self.key, **merged)
        error.lang = self.lang
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_service, (type(self), self.key, self.values, self.lang))


def _rebuild_service(kind: type[ServiceError], key: str, values: dict[str, Any], lang: str) -> ServiceError:
    error = kind(key, **values)
    error.lang = lang
    return error


class AuthenticationError(ServiceError):
    """The service doesn't accept the keys or the token."""


class AccessError(ServiceError):
    """No permission, or nothing by that name."""


class RateLimitError(ServiceError):
    """Too many requests or tokens for now."""


class QuotaError(ServiceError):
    """Nothing left, in debt, or not opened for use."""


class RequestError(ServiceError):
    """The service finds fault with the request."""


class ContentError(ServiceError):
    """The service's safety check refused the request."""


class UnavailableError(ServiceError):
    """The service is overloaded or broken."""


class GoneError(ServiceError):
    """The V1 API no longer answers."""


SERVICE_ERRORS: dict[str, type[ServiceError]] = {
    "authentication": AuthenticationError,
    "access": AccessError,
    "rate": RateLimitError,
    "quota": QuotaError,
    "request": RequestError,
    "content": ContentError,
    "unavailable": UnavailableError,
    "gone": GoneError,
    "other": ServiceError,
}

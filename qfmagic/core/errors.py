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
    ├── ExpectationError        an answer that came, but doesn't meet what its cell expects
    ├── SchemaError             an answer that came, but doesn't fit its schema
    ├── BudgetError             a call that would break the budget; it wasn't sent
    ├── CassetteError           a recording that can't be read, or lacks what was asked
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

from typing import TYPE_CHECKING, Any, Self

from .i18n import text

if TYPE_CHECKING:
    from .answer import Answer

_LONGEST = 1000  # characters of one value that a message repeats


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
        lang = lang or self.lang
        values = {name: _short(value) for name, value in self.values.items()}
        return " ".join([text(self.key, lang, **values), *self._hinted(lang)])

    def details(self, lang: str | None = None) -> str:
        """Everything there is: the message, and the chain of what led to it with its stacks. Holds no secret."""
        from traceback import format_exception  # noqa: PLC0415 - few errors are looked at that closely

        stack = "".join(format_exception(type(self), self, self.__traceback__))
        return f"{type(self).__name__}: {self.message(lang)}\n\n{stack}"

    def with_hint(self, key: str, **values: Any) -> Self:
        """Return the error with one more sentence of advice, known only where it was raised."""
        merged = {**self.values, "hints": (*self.values.get("hints", ()), (key, values))}
        error = type(self)(self.key, **merged)
        error.lang, error.partial = self.lang, self.partial
        error.__cause__ = self.__cause__
        return error

    def _hinted(self, lang: str) -> list[str]:
        return [text(hint, lang, **values) for hint, values in self.values.get("hints", ())]

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


def _short(value: object) -> object:
    """A value for a message: what a user typed, or a service sent, may be as long as it likes."""
    return f"{value[:_LONGEST]}..." if isinstance(value, str) and len(value) > _LONGEST + 3 else value


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


class ExpectationError(QianfanError):
    """The answer came, was shown and kept, but doesn't meet what its cell expects (``expect=``)."""


class SchemaError(QianfanError):
    """The answer came, was shown and kept, but doesn't fit its schema (``schema=``)."""


class BudgetError(QianfanError):
    """The call would break the budget; it was not sent."""


class CassetteError(QianfanError):
    """A cassette that can't be read or written, or that lacks what was asked."""


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

    Attributes:
        code: The service's: an int on V1, a string on V2, None where it gave none.
        detail: Its own text.
        status: The HTTP status.
        request_id: What to quote to its support.
        cause: Why it came, as a key of ``data/messages.toml``, where the code is a known one.
        remedy: What to do about it, as such a key.
        retry: Whether and how it may be asked again (see ``data/errors.toml``), else None.
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
        cause: str | None = None,
        remedy: str | None = None,
        retry: str | None = None,
        **values: Any,
    ) -> None:
        row = {"cause": cause, "remedy": remedy, "retry": retry}
        super().__init__(key, code=code, detail=detail, status=status, request_id=request_id, **row, **values)
        self.code = code
        self.detail = detail
        self.status = status
        self.request_id = request_id
        self.cause = cause
        self.remedy = remedy
        self.retry = retry

    def message(self, lang: str | None = None) -> str:
        """Say what the service said, why, and what to do about it."""
        lang = lang or self.lang
        said = text(
            self.key,
            lang,
            code=self.status if self.code is None else self.code,
            detail=self.detail or text("service.silent", lang),
            request_id=text("service.request_id", lang, id=self.request_id) if self.request_id else "",
        )
        advice = [text(key, lang) for key in (self.cause, self.remedy) if key]
        return " ".join([said, *advice, *self._hinted(lang)])

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

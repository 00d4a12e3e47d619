"""What one call may decide about waiting and retrying, in place of its client."""

from dataclasses import replace
from typing import NamedTuple

from ..core.errors import OptionError
from ..core.models.params import Parameter, Range
from ..core.pacing.retry import RetryPolicy

_ALLOWED = (
    Parameter("timeout", "float", Range.parse("(0, )")),
    Parameter("retry_count", "int", Range.parse("[1, )")),
    Parameter("backoff_factor", "float", Range.parse("[0, )")),
)


class CallOptions(NamedTuple):
    """
    How one call waits and is retried; None for what the client has.

    Attributes:
        timeout: Longest silence in seconds, before and within an answer.
        retry_count: Attempts in all; 1 repeats nothing.
        backoff_factor: Seconds before the first repeat; doubled before each further one.
    """

    timeout: float | None = None
    retry_count: int | None = None
    backoff_factor: float | None = None

    def checked(self) -> "CallOptions":
        """
        Check the values, and return them.

        Raises:
            OptionError: One is not a number, or out of its range.
        """
        for allowed in _ALLOWED:
            value = getattr(self, allowed.name)
            if value is not None and not allowed.accepts(value):
                raise OptionError("option.value", name=allowed.name, value=repr(value), allowed=allowed.range.text)
        return self

    def policy(self, policy: RetryPolicy) -> RetryPolicy:
        """The client's *policy* with what the call decides."""
        attempts = policy.attempts if self.retry_count is None else self.retry_count
        factor = policy.factor if self.backoff_factor is None else self.backoff_factor
        return replace(policy, attempts=attempts, factor=factor)


AS_CLIENT = CallOptions()  # all as the client has it

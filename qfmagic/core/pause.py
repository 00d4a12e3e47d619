"""A pause before a request goes out (again), as a value that views can show."""

from dataclasses import dataclass

from .i18n import Described, text


@dataclass(frozen=True, slots=True)
class Wait:
    """
    A pause that has begun.

    Attributes:
        seconds: How long it is.
        reason: Why, as a text that knows its languages.
        attempt: Which attempt comes after it; 1 before the first, where a limit of requests makes it wait.
        attempts: How many there may be in all.
    """

    seconds: float
    reason: Described
    attempt: int = 1
    attempts: int = 1

    def describe(self, lang: str) -> str:
        """Say in *lang* (``"en"`` or ``"zh"``) what is waited for, and how long."""
        key = "wait.again" if self.attempt > 1 else "wait.turn"
        seconds = round(self.seconds, 1) if self.seconds < 10 else round(self.seconds)
        return text(key, lang, reason=self.reason, seconds=seconds, attempt=self.attempt, attempts=self.attempts)

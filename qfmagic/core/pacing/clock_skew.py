"""The service's clock, as its responses tell it, against this machine's."""

from collections.abc import Mapping

from ..i18n import Text

NOTEWORTHY = 60.0  # seconds; the service's dates are whole seconds, and signatures hold for minutes


def http_date(value: str | None) -> float | None:
    """Seconds since 1970 of an HTTP date, or None."""
    if not value:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - few responses' dates are ever looked at

    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def service_time(headers: Mapping[str, str], now: float) -> float:
    """Seconds since 1970 as the service has them by a response's headers; *now*, this machine's, where it says none."""
    date = http_date(headers.get("date"))
    return now if date is None else date


def clock_hint(headers: Mapping[str, str], now: float) -> Text | None:
    """What to say about this machine's clock, if it is off by more than is noteworthy."""
    ahead = now - service_time(headers, now)
    if abs(ahead) < NOTEWORTHY:
        return None
    return Text("clock.ahead" if ahead > 0 else "clock.behind", {"minutes": round(abs(ahead) / 60)})

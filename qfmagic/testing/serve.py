"""``qfmagic stub-server``: the stub for whatever speaks HTTP, until it is told to end."""

import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from ..core.i18n import text
from ..transport.stub.service import StubKeys
from .stub_server import LoopbackServer

WRONG = 2  # the exit status where nothing could be done
LOOK = 0.5  # seconds; a signal that another thread was given is seen when this one goes on


def serve(
    host: str,
    port: int,
    pace: float,
    *,
    lang: str,
    say: Callable[[str], object],
    complain: Callable[[str], object],
    allowed: Collection[str] = (),
) -> int:
    """
    Serve the stub until Ctrl-C or SIGTERM comes.

    Args:
        host: The address to listen at.
        port: The port; 0 takes a free one.
        pace: Seconds between the pieces of an answer.
        lang: The reader's language.
        say: Takes what there is to know.
        complain: Takes what couldn't be done.
        allowed: Further names in the ``Host`` header.

    Returns:
        The exit status.
    """
    try:
        server = LoopbackServer(host=host, port=port, pace=pace, allowed=allowed, kept=0)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        complain(text("cli.server.refused", lang, host=host, port=port, reason=reason))
        return WRONG
    lines = (f"  export {name}={value}" for name, value in variables(server).items())
    try:
        with _both_signals(), server:
            say("\n".join((text("cli.server.started", lang, url=server.url), "", *lines, "")))
            while True:
                time.sleep(LOOK)
    except KeyboardInterrupt:
        return 0


def variables(server: LoopbackServer) -> dict[str, str]:
    """The environment that has qfmagic, the official SDK and the openai package ask this server."""
    keys = StubKeys()
    return {
        **server.environ,
        "QIANFAN_AK": keys.ak,
        "QIANFAN_SK": keys.sk,
        "QIANFAN_ACCESS_KEY": keys.access_key,
        "QIANFAN_SECRET_KEY": keys.secret_key,
        "QIANFAN_BEARER_TOKEN": keys.bearer_token,
        "OPENAI_BASE_URL": f"{server.url}/v2",
        "OPENAI_API_KEY": keys.bearer_token,
    }


@contextmanager
def _both_signals() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does, and neither is ignored, as it would be in a shell's background."""
    both = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in both}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

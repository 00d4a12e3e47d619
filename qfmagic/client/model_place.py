"""Where the service lists the models a key may use."""

from urllib.parse import urlsplit

from .settings import Settings

_CHAT = "/chat/completions"


def list_place(settings: Settings) -> tuple[str, str]:
    """
    Where the list is: base address and path.

    A plan's models are listed at the plain base, so whatever follows ``/v2`` in the configured address is left out.
    """
    base, path = settings.place_of("v2", None)
    try:
        folder = urlsplit(base).path.rstrip("/")
    except ValueError:  # not an address; that is reported when it is used
        folder = ""
    base = base.rstrip("/").removesuffix(folder)
    segments = f"{folder}{path}".split("/")
    if "v2" in segments:
        return base, "/".join([*segments[: segments.index("v2") + 1], "models"])
    return base, f"{folder}{path}".removesuffix(_CHAT) + "/models"

"""Keys don't belong on a line: it is saved with the notebook."""

import re

from ...core.errors import OptionError

# The errors that refuse a cell with a key in it: IPython's memory of the cell goes with them.
REFUSALS = ("option.secret", "option.looks_secret", "auth.on_line", "prompt.holds_key")
# A word that is no option: letters and digits, longer than a name would be; or an API key.
_LIKE_A_KEY = re.compile(r"bce-v3/.*|(?=.*[0-9])(?=.*[A-Za-z])[\w./+=-]{20,}")


def check_no_key(word: str) -> None:
    """
    Check a word before an error repeats it.

    Raises:
        OptionError: It looks like a key.
    """
    if _LIKE_A_KEY.fullmatch(word):
        raise OptionError("option.looks_secret")

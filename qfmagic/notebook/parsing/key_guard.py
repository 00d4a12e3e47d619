"""Keys don't belong on a line: it is saved with the notebook."""

import re

from ...core.errors import OptionError

# The errors that refuse a cell with a key in it: IPython's memory of the cell goes with them.
REFUSALS = ("option.secret", "option.looks_secret", "auth.on_line", "prompt.holds_key")
# A word that is no option: letters and digits, longer than a name would be; or an API key.
_LIKE_A_KEY = re.compile(r"bce-v3/.*|(?=.*[0-9])(?=.*[A-Za-z])[\w./+=-]{20,}")
# Never on a line: it is saved with the notebook and in IPython's history. The value is not looked at or repeated.
SECRETS = {
    "ak": "QIANFAN_AK",
    "sk": "QIANFAN_SK",
    "access_key": "QIANFAN_ACCESS_KEY",
    "secret_key": "QIANFAN_SECRET_KEY",
    "access_token": "QIANFAN_ACCESS_TOKEN",
    "bearer_token": "QIANFAN_BEARER_TOKEN",
    "aistudio_token": "AISTUDIO_ACCESS_TOKEN",
    "aistudio_access_token": "AISTUDIO_ACCESS_TOKEN",
    "api_key": "QIANFAN_BEARER_TOKEN",
    "token": "QIANFAN_BEARER_TOKEN",
    "password": "QIANFAN_SECRET_KEY",
}


def check_no_key(word: str) -> None:
    """
    Check a word before an error repeats it.

    Raises:
        OptionError: It looks like a key.
    """
    if _LIKE_A_KEY.fullmatch(word):
        raise OptionError("option.looks_secret")

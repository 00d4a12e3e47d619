"""Names under which keys are given: those of Qianfan, of the ``openai`` package and of other clients."""

import re

_VARIABLES = {
    "ak": "QIANFAN_AK",
    "sk": "QIANFAN_SK",
    "access_key": "QIANFAN_ACCESS_KEY",
    "access_key_id": "QIANFAN_ACCESS_KEY",
    "secret_key": "QIANFAN_SECRET_KEY",
    "secret_access_key": "QIANFAN_SECRET_KEY",
    "client_id": "QIANFAN_AK",
    "client_secret": "QIANFAN_SK",
    "app_key": "QIANFAN_AK",
    "app_secret": "QIANFAN_SK",
    "access_token": "QIANFAN_ACCESS_TOKEN",
    "access_code": "QIANFAN_ACCESS_CODE",
    "aistudio_token": "AISTUDIO_ACCESS_TOKEN",
    "aistudio_access_token": "AISTUDIO_ACCESS_TOKEN",
    "password": "QIANFAN_SECRET_KEY",
}
_LAST = re.compile(
    r"(?:.*_)?(?:ak|sk|(?:api|access|secret|app|bearer|auth)?_?(?:key|token)|apikeys?|secret|bearer|password|passwd|pwd|"
    r"credentials?|authorization|auth)(?:_id)?"
)
_OTHERS = ("cache_key", "no_auth", "pad_token_id", "eos_token_id")  # endings of parameters that hold no key
_LIMITS = ("max_", "min_", "num_", "stop_", "pad_", "eos_", "bos_")  # beginnings of parameters about tokens of text
_DEFAULT = "QIANFAN_BEARER_TOKEN"


def key_variable(name: str) -> str | None:
    """
    The environment variable for a key that is given as *name*; None if nothing but another option has such a name.

    Case and separators make no difference: ``api_key``, ``apiKey``, ``API-KEY`` and ``QIANFAN_AK`` are names of keys.
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plain = re.sub(r"[^a-z0-9]+", "_", parted).strip("_").removeprefix("qianfan_")
    if plain in _VARIABLES:
        return _VARIABLES[plain]
    if plain.endswith(_OTHERS) or (plain.startswith(_LIMITS) and plain.endswith("_token")):
        return None
    return _DEFAULT if _LAST.fullmatch(plain) else None

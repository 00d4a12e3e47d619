"""Keys as they are pasted, and the kind a key has by its form."""

import random
import string

import pytest

from qfmagic.core.keys.names import key_variable
from qfmagic.core.keys.pasted import form_of, misplaced, read_key, swapped, unquoted

V2 = "bce-v3/ALTAK-0a1B2c3D4e5F6g7H8i9J0/4f8a1c9e2b7d5063f1a8c4e97b2d6051"


def drawn(length, letters=string.ascii_letters + string.digits, seed=7):
    """A key of so many characters, of all kinds of them."""
    return "".join(random.Random(seed).choices(letters, k=length))


HEX = "0123456789abcdef"
AK, SK = drawn(24), drawn(32, seed=3)


@pytest.mark.parametrize(
    "written",
    [
        V2,
        f'"{V2}"',
        f"'{V2}'",
        f"`{V2}`",
        f"“{V2}”",
        f"‘{V2}’",
        f"「{V2}」",
        f"＂{V2}＂",
        f'"{V2}',
        f"Bearer {V2}",
        f"bearer  {V2}",
        f"Authorization: Bearer {V2}",
        f'"Bearer {V2}"',
        f'Bearer "{V2}"',
        f"QIANFAN_BEARER_TOKEN={V2}",
        f'export QIANFAN_BEARER_TOKEN="{V2}"',
        f"\ufeff{V2}\r\n",
        f" \u00a0{V2}\u3000\t",
        f"\u200b{V2[:9]}\u200b{V2[9:]}\0",
        f'"{V2}",',
        f"{V2}；",
        "".join(chr(ord(one) + 0xFEE0) for one in V2),
    ],
)
def test_read_key_extracts_key(written):
    assert read_key(written) == V2


@pytest.mark.parametrize("written", ["", "ak", "24.demo", "a b", "密钥", f"{V2[:20]}\n{V2[20:]}", "Bearer"])
def test_read_key_keeps_other_texts(written):
    assert read_key(written) == written


def test_unquoted_removes_one_pair_of_marks():
    assert [unquoted(one) for one in (' "true" ', "“1”", "'x", '"', "\ufeff5")] == ["true", "1", "'x", '"', "5"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (V2, "v2"),
        ("bce-v3", "v2_part"),
        ("bce-v3/ALTAK-0a1B2c3D4e5F", "v2_part"),
        (V2.removeprefix("bce-v3/"), "v2_part"),
        (f"24.{drawn(32, HEX)}.2592000.1790000000.282335-1", "access_token"),
        (f"ALTAK{drawn(21)}", "iam_id"),
        (f"{AK}:{SK}", "pair"),
        (f"{AK}/{SK}", "pair"),
        (drawn(40, HEX), "studio"),
        (drawn(32, HEX), "iam"),
        (AK, "app"),
        (SK, "app"),
    ],
)
def test_form_of_recognizes_keys(key, name):
    assert form_of(key).name == name


@pytest.mark.parametrize("word", ["", "ak", "the-bearer", "24.demo", "a" * 24, "sk-1234567890abcdef1234567890abcdef"])
def test_form_of_ignores_other_words(word):
    assert form_of(word) is None


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"bearer_token": V2}, None),
        ({"ak": AK, "sk": SK}, None),
        ({"access_key": drawn(32, HEX), "secret_key": drawn(32, HEX, 2)}, None),
        ({"access_key": f"ALTAK{drawn(21)}", "secret_key": drawn(32, HEX)}, None),
        ({"ak": V2}, "ak"),
        ({"access_key": V2}, "access_key"),
        ({"access_token": V2}, "access_token"),
        ({"bearer_token": f"24.{drawn(32, HEX)}.2592000.1790000000.1-1"}, "bearer_token"),
        ({"secret_key": f"ALTAK{drawn(21)}"}, "secret_key"),
        ({"bearer_token": f"{AK}:{SK}"}, "bearer_token"),
    ],
)
def test_misplaced_key_is_found(keys, found):
    for sure in (True, False):
        assert (misplaced(keys, sure=sure) or (None,))[0] == found


@pytest.mark.parametrize("key", [AK, SK, drawn(32, HEX), drawn(40, HEX)])
def test_misplaced_key_of_gateway_is_found_on_request_only(key):
    assert misplaced({"bearer_token": key}, sure=True) is None
    assert misplaced({"bearer_token": key})[0] == "bearer_token"


def test_swapped_application_keys_are_found():
    assert swapped({"ak": SK, "sk": AK})
    assert not swapped({"ak": AK, "sk": SK})
    assert not swapped({"ak": "a" * 32, "sk": "b" * 24})
    assert not swapped({"bearer_token": SK})


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("api_key", "QIANFAN_BEARER_TOKEN"),
        ("apiKey", "QIANFAN_BEARER_TOKEN"),
        ("API-KEY", "QIANFAN_BEARER_TOKEN"),
        ("qianfan_api_key", "QIANFAN_BEARER_TOKEN"),
        ("openai_api_key", "QIANFAN_BEARER_TOKEN"),
        ("bearer", "QIANFAN_BEARER_TOKEN"),
        ("token", "QIANFAN_BEARER_TOKEN"),
        ("key", "QIANFAN_BEARER_TOKEN"),
        ("ak", "QIANFAN_AK"),
        ("QIANFAN_SK", "QIANFAN_SK"),
        ("access_key", "QIANFAN_ACCESS_KEY"),
        ("accessKeyId", "QIANFAN_ACCESS_KEY"),
        ("secret_key", "QIANFAN_SECRET_KEY"),
        ("access_token", "QIANFAN_ACCESS_TOKEN"),
        ("max_tokens", None),
        ("max_output_tokens", None),
        ("max_token", None),
        ("max_completion_token", None),
        ("stop_token", None),
        ("max_key", "QIANFAN_BEARER_TOKEN"),
        ("prompt_cache_key", None),
        ("stop_token_ids", None),
        ("model", None),
        ("task", None),
    ],
)
def test_key_variable_is_found_by_name(name, variable):
    assert key_variable(name) == variable

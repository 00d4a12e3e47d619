"""Examples in place of a key."""

import pytest

from qfmagic.core.keys.pasted import stands_for_key


@pytest.mark.parametrize(
    ("written", "is_example"),
    [
        ("your_api_key", True),
        ("<key>", True),
        ("bce-v3/ALTAK-xxx/xxx", True),
        ("bce-v3/ALTAK-a/0f", False),
        ("", False),
    ],
)
def test_stands_for_key_recognizes_examples(written, is_example):
    assert stands_for_key(written) is is_example

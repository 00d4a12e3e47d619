"""Tests of example keys: told before anything is sent to Baidu."""

import pytest

from qfmagic.client.auth.credentials import choose
from qfmagic.client.settings import Settings
from qfmagic.core.errors import CredentialError

EXAMPLES = [
    "your_api_key",
    "your-key",
    "<bce-v3/ALTAK-id/secret>",
    "bce-v3/ALTAK-xxx/xxx",
    "bce-v3/ALTAK-...",
    "${KEY}",
]


@pytest.mark.parametrize("written", EXAMPLES)
def test_choose_rejects_an_example_as_key(written):
    with pytest.raises(CredentialError) as caught:
        choose(Settings(bearer_token=written), "v2")
    assert "placeholder" in str(caught.value)
    assert written not in str(caught.value)


@pytest.mark.parametrize("written", EXAMPLES)
def test_choose_accepts_any_key_for_a_gateway(written):
    settings = Settings(bearer_token=written, console_base_url="http://127.0.0.1:9")
    assert choose(settings, "v2").key == settings.bearer_token


@pytest.mark.parametrize(
    "written", ["bce-v3/ALTAK-yourAbc123/0123456789abcdef", "bce-v3/ALTAK-axxxxb123/0123456789abcdef"]
)
def test_choose_accepts_keys_that_hold_such_letters(written):
    assert choose(Settings(bearer_token=written), "v2").key == written

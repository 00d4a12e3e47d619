"""Keys as they are pasted into the environment and the prompt: read, held back, and told when they are of another kind."""

import pytest

from qfmagic.core.errors import CredentialError, OptionError, PromptError
from qfmagic.notebook.parsing.cell_guard import check_cell
from qfmagic.notebook.session.keys import Keys
from tests.core.keys.test_pasted import AK, V2

PASTED = [V2, f'"{V2}"', f"“{V2}”", f"Bearer {V2}", f"\ufeffQIANFAN_BEARER_TOKEN='{V2}'\n"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return {"QFMAGIC_HOME": str(tmp_path / "home")}


@pytest.mark.parametrize("written", PASTED)
def test_keys_are_read_as_pasted(home, written):
    keys = Keys({**home, "QIANFAN_BEARER_TOKEN": written})
    assert keys.settings().bearer_token == V2
    assert keys.secrets() == {V2: "QIANFAN_BEARER_TOKEN"}
    given = Keys(home)
    given.put("bearer", {"bearer_token": written}, "%qf auth")
    assert given.settings().bearer_token == V2


@pytest.mark.parametrize("written", PASTED)
def test_key_that_was_pasted_with_marks_is_held_back_without_them(home, written):
    secrets = Keys({**home, "QIANFAN_BEARER_TOKEN": written}).secrets()
    for text in (V2, f"“{V2}”", "".join(chr(ord(one) + 0xFEE0) for one in V2), V2[14:40]):
        with pytest.raises(PromptError):
            check_cell(secrets, "", [f"say {text}"])


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("app", {"ak": V2, "sk": "x"}, "QIANFAN_AK contains a V2 API key"),
        ("iam", {"access_key": "x", "secret_key": V2}, "QIANFAN_SECRET_KEY contains a V2 API key"),
        ("bearer", {"bearer_token": f"{AK}:{AK}{AK[:8]}"}, "two keys"),
    ],
)
def test_key_of_another_kind_is_not_taken_over(home, kind, values, said):
    keys = Keys(home)
    with pytest.raises(CredentialError, match=said) as error:
        keys.put(kind, values, "%qf auth")
    assert V2 not in str(error.value)
    assert not keys.given(kind)


@pytest.mark.parametrize("line", ["model＝KEY hi", "model=“KEY” hi", "chat=x，endpoint=KEY hi", "user＝KEY"])
def test_key_of_an_application_on_a_line_of_full_width_punctuation_is_held_back(line):
    key = "a1B2c3D4e5F6g7H8i9J0k1L2"
    with pytest.raises(OptionError):
        check_cell({}, line.replace("KEY", key), [])

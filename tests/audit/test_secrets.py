"""Keys anywhere in a file are found; what only looks like one isn't; and none is ever shown."""

import base64
import json

import pytest

from qfmagic.audit.audit import audit
from qfmagic.audit.loading import keys_in_use
from qfmagic.client.settings import fingerprint
from tests.support.documents import asked, code, found, notebook, recorded, shown

# None of these opens anything.
API_KEY = "bce-v3/ALTAK-Q1w2E3r4T5y6U7i8O9p0a/0123456789abcdef0123456789abcdef01234567"
TOKEN = "24.0123456789abcdef0123456789abcdef.2592000.1700000000.282335-1234567"
KEY = "aB3dE5fG7hJ9kL1mN3pQ5rS7"


def markdown(source):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (API_KEY, API_KEY),
        (f"curl -H 'Authorization: Bearer {API_KEY}'", API_KEY),
        (f"https://aip.baidubce.com/x?access_token={TOKEN}&a=b", TOKEN),
        (f"{TOKEN}.", None),
        ("24.0123456789abcdef0123456789abcdef", "24.0123456789abcdef0123456789abcdef"),
        (f"Authorization: Bearer {KEY}", KEY),
        (f'{{"authorization": "Basic {KEY}"}}', KEY),
        ("authorization=bce-auth-v1/0123456789/2026-01-01T00:00:00Z/1800//abcdef0123", None),
        (f'QIANFAN_AK="{KEY}"', KEY),
        (f"export QIANFAN_SK={KEY}", KEY),
        (f"%env QIANFAN_SECRET_KEY={KEY}", KEY),
        (f'os.environ["QIANFAN_SK"] = "{KEY}"', KEY),
        (f"os.environ.setdefault('QIANFAN_AK', '{KEY}')", KEY),
        (f'Qianfan(ak="{KEY}")', KEY),
        (f"sk = '{KEY}'", KEY),
        (f'sk: str = "{KEY}"', KEY),
        (f"client_secret={KEY}&x=y", KEY),
        (f'OPENAI_API_KEY="{KEY}"', KEY),
        ('sk="short1key"', "short1key"),
        (json.dumps({"sk": KEY}), KEY),
        (json.dumps(json.dumps({"sk": KEY})), KEY),
        ("ak='aBcDeFgHiJkLmNoPqRsTuVwX'", "aBcDeFgHiJkLmNoPqRsTuVwX"),
    ],
)
def test_audit_finds_key_in_text(text, key):
    report = audit(notebook(markdown(f"Before it.\n{text}\nBehind it.")))
    assert [(finding.code, finding.cell) for finding in report.findings] == [("secret", 2)]
    said = report.findings[0].message("en") + report.findings[0].message("zh")
    assert (key or "0123456789") not in said
    assert "source" in said
    if key:
        assert f"#{fingerprint(key)}" in said


@pytest.mark.parametrize(
    "text",
    [
        "bce-v3/ALTAK-...",
        "QIANFAN_BEARER_TOKEN=bce-v3/ALTAK-xxxxxxxx/xxxxxxxx",
        'QIANFAN_AK="your_api_key_123"',
        "QIANFAN_AK=<your key>",
        'ak = os.environ["QIANFAN_AK"]',
        "ak = getpass('the key')",
        "access_token = response.json()['access_token']",
        "access_token = fetch_access_token_v2(something)",
        'sk="{{ sk }}"',
        "QIANFAN_SK=$SECRET_KEY_OF_MINE_2",
        '{"ak": "QIANFAN_AK", "sk": "QIANFAN_SK_2"}',
        'ak="stub-ak", secret_key="stub-secret-key-1"',
        "bce-v3/ALTAK-stub/0000000000000000",
        "Authorization: Bearer {token}",
        "Authorization: Bearer $QIANFAN_BEARER_TOKEN",
        "the task = 'abc123def456ghi789'",
        "version 24.04 and 24.0123456789",
        "risk: 0123456789abcdef0123 is no name",
    ],
)
def test_audit_accepts_text_without_key(text):
    assert found(markdown(text)) == []


@pytest.mark.parametrize(
    ("place", "changed"),
    [
        ("source", lambda cell, key: cell.update(source=["x = 1\n", f"k = '{key[:20]}", f"{key[20:]}'\n"])),
        ("outputs[0].text", lambda cell, key: cell.update(outputs=[{"output_type": "stream", "text": [key]}])),
        (
            "outputs[0].data.text/html",
            lambda cell, key: cell.update(outputs=[{"data": {"text/html": f"<b>{key}</b>"}}]),
        ),
        ("outputs[0].traceback", lambda cell, key: cell.update(outputs=[{"traceback": ["a", f"b {key}"]}])),
        ("outputs[0].metadata.x[1].y", lambda cell, key: cell.update(outputs=[{"metadata": {"x": [1, {"y": key}]}}])),
        ("metadata.tags", lambda cell, key: cell.update(metadata={"tags": ["a", key]})),
        ("metadata", lambda cell, key: cell.update(metadata={key: 1})),
        ("attachments.a.txt.text/plain", lambda cell, key: cell.update(attachments={"a.txt": {"text/plain": key}})),
    ],
)
def test_audit_finds_key_anywhere_in_cell(place, changed):
    cell = code("x", 2)
    changed(cell, API_KEY)
    report = audit(notebook(cell))
    assert [finding.code for finding in report.findings] == ["secret"]
    assert report.findings[0].values["place"] == place
    assert report.findings[0].cell == 2


def test_audit_finds_key_in_widget_state():
    content = notebook()
    state = {"state": {"abc": {"state": {"_model_name": "PasswordModel", "value": KEY, "secret_key": KEY}}}}
    content["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": state}
    report = audit(content)
    assert [(finding.code, finding.cell) for finding in report.findings] == [("secret", None)]
    assert "secret_key" in report.findings[0].message("en")


def test_audit_finds_key_in_use_in_any_encoding():
    key = "correct horse/battery+staple"
    forms = (key, "correct%20horse%2Fbattery%2Bstaple", base64.b64encode(key.encode()).decode())
    for form in forms:
        report = audit(notebook(markdown(f"it is {form}.")), keys={key: "QIANFAN_SK"})
        assert [finding.code for finding in report.findings] == ["secret"]
        said = report.findings[0].message("en")
        assert "QIANFAN_SK" in said
        assert f"#{fingerprint(key)}" in said
        assert form not in said
        assert found(markdown(form)) == []


def test_audit_ignores_short_words_and_stub_keys_in_use():
    assert found(markdown("word stub-secret-key"), keys={"word": "QIANFAN_AK", "stub-secret-key": "QIANFAN_SK"}) == []


def test_audit_finds_key_in_cassette():
    exchange = recorded("hi", "Hello!", body={"messages": [{"role": "user", "content": API_KEY}]})
    lines = ({"cassette": 1}, json.loads(exchange.line()))
    report = audit(notebook(), recorded=dict(enumerate(lines, 1)))
    assert [(finding.code, finding.cell) for finding in report.findings] == [("secret", None)]
    assert "cassette 2" in report.findings[0].message("en")


def test_audit_reports_same_key_once_per_place():
    cell = code(f"'{API_KEY}' '{API_KEY}'", 2, shown(API_KEY))
    assert found(cell) == [("secret", 2)] * 3  # the source, and each form of the output


def test_audit_report_repeats_no_key():
    report = audit(
        notebook(
            code(f"ak='{KEY}'", 2),
            asked("hi", "Hello!", 3, parameters={"user_id": API_KEY, KEY: [KEY, {"a": KEY}]}, chat=KEY, model=TOKEN),
            code("x", 4, {"output_type": "error", "ename": KEY}, **{API_KEY: {API_KEY: API_KEY}}),
        )
    )
    everything = json.dumps(report.as_json("en")) + "".join(finding.message("en") for finding in report.findings)
    everything = report.mask(everything)
    for secret in (API_KEY, TOKEN, KEY, API_KEY[:40]):
        assert secret not in json.dumps(report.as_json("zh"))
        assert secret not in everything
    assert len(report.answers) == 1


def test_audit_of_file_full_of_keys_ends():
    keys = "\n".join(f"sk='aB3dE5fG7hJ9kL1m{number:08}'" for number in range(3000))
    cells = [code(keys, ran) for ran in range(2, 30)]
    assert {code for code, _ in found(*cells)} == {"secret"}


# ---- which keys are in use


def test_keys_in_use_reads_environment_and_env_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / ".env").write_text("QIANFAN_AK=from-the-file\nQIANFAN_QPS_LIMIT=nonsense\n")
    (tmp_path / "a" / ".env").write_text("QIANFAN_SK=beside-the-notebook\n")
    environ = {
        "QIANFAN_BEARER_TOKEN": f" {API_KEY}\n",
        "QIANFAN_PROXY": "http://user:proxy-password@host:1",
        "QIANFAN_BASE_URL": "http://gateway",
        "QIANFAN_ACCESS_KEY": "",
    }
    assert keys_in_use(environ, (tmp_path, tmp_path / "a")) == {
        "from-the-file": "QIANFAN_AK",
        "beside-the-notebook": "QIANFAN_SK",
        API_KEY: "QIANFAN_BEARER_TOKEN",
        "proxy-password": "QIANFAN_PROXY",
    }


def test_keys_in_use_reads_named_env_file(tmp_path):
    (tmp_path / "keys.env").write_text(f"QIANFAN_AK={KEY}\n")
    assert keys_in_use({"QIANFAN_DOT_ENV_CONFIG_FILE": "keys.env"}, [tmp_path]) == {KEY: "QIANFAN_AK"}

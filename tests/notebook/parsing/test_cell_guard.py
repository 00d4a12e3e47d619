"""
A key in any place of a cell: refused before anything is done with it, and kept nowhere.

The places are whole cells; each is tried with a key that is known, and with one that only has the form of a key.
"""

import json
import sqlite3

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from qfmagic.core.keys.forms import holds_form
from tests.support.spelled import KEY, WAYS, told

ASK = "model=yi_34b_chat"
PLACES = {
    **{
        f"%qianfan {name}=": f"%qianfan {name}=KEY hi"
        for name in (
            "endpoint",
            "model",
            "chat",
            "system",
            "into",
            "schema",
            "expect",
            "format",
            "api",
            "context",
            "stop",
            "timeout",
            "temperature",
            "user_id",
            "ak",
            "bearer_token",
            "nonsense",
            "stream",
            "tools",
            "response_format",
        )
    },
    **{
        f"%%qianfan {name}=": f"%%qianfan {ASK} {name}='KEY'\nhi"
        for name in ("chat", "system", "into", "schema", "expect")
    },
    **{
        f"%qf {name}": f"%qf {name} KEY"
        for name in (
            "switch",
            "fork",
            "export",
            "set",
            "unset",
            "models",
            "help",
            "auth",
            "transport",
            "cassette",
            "chats",
            "drop",
            "history",
            "show",
            "last",
            "usage",
            "doctor",
            "panel",
            "resume",
            "reset",
            "restore",
            "continue",
            "settings",
            "cassette show",
            "cassette redact",
            "auth save",
            "fork x",
            "export x.py",
        )
    },
    "%qf KEY": "%qf KEY",
    "%qf set system": "%qf set system='KEY'",
    "%qf set model": "%qf set model=KEY",
    "%%qf KEY": "%%qf KEY\nhi",
    "map body": "%%qf map [1] model=yi_34b_chat into=x\nKEY {{ value }}",
    "map data": "%%qf map ['KEY'] model=yi_34b_chat into=x\nhi {{ value }}",
    "map option": "%%qf map [1] model=yi_34b_chat into=x prefix=KEY\nhi {{ value }}",
    "compare body": "%%qf compare model=yi_34b_chat,ernie-4.0-8k\nKEY",
    "compare option": "%%qf compare over=['KEY'] model=yi_34b_chat\nhi",
    "body": f"%%qianfan {ASK}\nWhy is KEY refused?",
    "body, first line": f"%%qianfan {ASK}\nKEY",
    "raw body": f"%%qianfan {ASK} raw\n{{{{ KEY }}}}",
    "dry body": f"%%qianfan {ASK} dry\nKEY",
    "several models": "%%qianfan model=yi_34b_chat,ernie-4.0-8k\nKEY",
    "line of a cell": "%%qianfan KEY\nhi",
    "text": f"%qianfan {ASK} is KEY good?",
    "text after --": f"%qianfan {ASK} -- KEY",
    "-- of a cell": f"%%qianfan {ASK} -- KEY\nhi",
    "flag": "%%qianfan quiet KEY\nhi",
    "expression": f"%%qianfan {ASK}\nsay {{{{ 'KEY' }}}}",
    "expression, cut": f"%%qianfan {ASK}\nsay {{{{ 'KEY'[:7] }}}}",
    "expression, its length": f"%%qianfan {ASK}\nsay {{{{ len('KEY') }}}}",
    "expression in an option": f"%%qianfan {ASK} chat={{{{ 'KEY'[:7] }}}}\nhi",
    "continued line": f"%qianfan {ASK} \\\n system='KEY' hi",
    "assigned": f"x = %qianfan {ASK} say KEY",
    "assigned question": f"x = %qianfan {ASK} is it KEY?",
    "Python before": f"a = 'KEY'\n%qianfan {ASK} hi",
    "comment before": f"# KEY\n%qianfan {ASK} hi",
    "Python after": f"%qianfan {ASK} hi\na = 'KEY'",
    "a loop": f"for a in ['KEY']:\n    %qianfan {ASK} hi {{{{ a[:3] }}}}",
    "capture": f"%%capture out\n%qianfan {ASK} system='KEY' hi",
    "capture, name": f"%%capture KEY\n%qianfan {ASK} hi",
    "capture around a cell": f"%%capture\n%%qianfan {ASK}\nKEY",
    "time": f"%%time\n%qianfan {ASK} chat=KEY hi",
    "time around a cell": f"%%time\n%%qianfan {ASK}\nKEY",
    "time on a line": f"%time get_ipython().run_line_magic('qianfan', '{ASK} KEY')",
    "run_cell": f"get_ipython().run_cell('%qianfan {ASK} endpoint=KEY hi')",
    "run_cell, stored": f"get_ipython().run_cell('%qianfan {ASK} hi KEY', store_history=True)",
    "run_line_magic": f"get_ipython().run_line_magic('qianfan', '{ASK} KEY')",
    "run_cell_magic": f"get_ipython().run_cell_magic('qianfan', '{ASK}', 'KEY')",
    "capture of run_cell": "%%capture\nget_ipython().run_cell('%qf switch KEY')",
}
SPELLED = (
    "JSON with u002f",
    "%",
    "HTML, hex",
    "split by quotes",
    "the secret alone",
    "base64",
    "reversed",
    "upper case",
)


def test_key_places_cover_every_syntax():
    assert len(PLACES) >= 68


@pytest.fixture
def ipython(tmp_path, monkeypatch):
    """IPython without a kernel, with a history on disk, that asks nothing but the stub."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"TRANSPORT": "stub", "JOURNAL": "false", "LANG": "en", "HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(f"QFMAGIC_{name}", value)
    config = Config()
    config.HistoryManager.hist_file = str(tmp_path / "history.sqlite")
    shell = InteractiveShell(config=config)
    shell.run_line_magic("xmode", "Verbose")
    shell.run_line_magic("load_ext", "qfmagic")
    yield shell
    shell.run_line_magic("unload_ext", "qfmagic")
    shell.history_manager.end_session()
    shell.restore_sys_module_state()


def asked(shell):
    session = shell.magics_manager.registry["QianfanMagics"].engine.session
    return session.meter.calls if hasattr(session.meter, "calls") else [], session.chats.conversations


def kept(shell, folder, capsys):
    """All that remembers the cell, and all that was shown."""
    manager = shell.history_manager
    manager.writeout_cache()
    with sqlite3.connect(manager.hist_file) as database:
        rows = database.execute("select source, source_raw from history").fetchall()
    info = shell.last_execution_result.info if shell.last_execution_result else ""
    memory = [manager.input_hist_raw, manager.input_hist_parsed, shell.user_ns["In"], info]
    memory += [manager._i00, manager._i]  # noqa: SLF001 - IPython's own copies
    memory += [value for name, value in shell.user_ns.items() if name.startswith("_i")]
    files = b"".join(one.read_bytes() for one in folder.rglob("*") if one.is_file())
    return f"{memory} {rows} {capsys.readouterr()} {asked(shell)} {files!r}"


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False], ids=["known", "by its form"])
def test_cell_guard_rejects_key_in_any_place(ipython, tmp_path, monkeypatch, capsys, known):
    if known:
        monkeypatch.setenv("QIANFAN_BEARER_TOKEN", KEY)
    missed = {}
    for place, cell in PLACES.items():
        ipython.run_cell("before = 1", store_history=True)
        ipython.run_cell(cell.replace("KEY", KEY), store_history=True)
        found = kept(ipython, tmp_path, capsys)
        if told(found) or KEY in found:
            missed[place] = found
        if not ("Possible API key" in found or "the key in QIANFAN_BEARER_TOKEN" in found or "capture" in place):
            missed[place] = f"not refused: {found}"
        assert "before = 1" in ipython.user_ns["In"]
    assert missed == {}


@pytest.mark.parametrize("way", SPELLED)
def test_cell_guard_rejects_known_key_in_any_spelling(ipython, monkeypatch, capsys, way):
    monkeypatch.setenv("QIANFAN_BEARER_TOKEN", KEY)
    ipython.run_cell(f"%%qianfan {ASK}\n{WAYS[way](KEY)}", store_history=True)
    assert "the key in QIANFAN_BEARER_TOKEN" in capsys.readouterr().out
    assert not told(str(ipython.user_ns["In"]))


@pytest.mark.parametrize("place", ["environment", "file", "vault", "session", "a setting that can't be read"])
def test_cell_guard_rejects_known_key_of_any_source(ipython, tmp_path, monkeypatch, capsys, place):
    key = "kN0wn-only-f4rom-its-place-7Yx2"
    if place.startswith(("environment", "a setting")):
        monkeypatch.setenv("QIANFAN_SK", key)
    if place.startswith("a setting"):
        monkeypatch.setenv("QIANFAN_QPS_LIMIT", "nonsense")
    if place == "file":
        (tmp_path / ".env").write_text(f"QIANFAN_SK={key}\n")
    if place == "vault":
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "keys.json").write_text(json.dumps({"app": {"ak": "saved-AK-0123", "sk": key}}))
        (tmp_path / "home" / "keys.json").chmod(0o600)
    if place == "session":
        keys = ipython.magics_manager.registry["QianfanMagics"].engine.session.keys
        keys.put("app", {"ak": "given-AK-0123", "sk": key}, "panel")
    ipython.run_cell(f"%qf switch {key}", store_history=True)
    assert "the key in QIANFAN_SK" in capsys.readouterr().out
    assert key not in str(ipython.user_ns["In"])


def test_cell_guard_rejects_key_in_option_value(ipython, monkeypatch, capsys):
    monkeypatch.setenv("QIANFAN_BEARER_TOKEN", KEY)
    ipython.run_cell("import os")
    for name in ("endpoint", "chat", "system", "into"):
        ipython.run_cell(f"%%qianfan {name}={{{{ os.environ['QIANFAN_BEARER_TOKEN'] }}}}\nhi")
        shown = capsys.readouterr().out
        assert "the key in QIANFAN_BEARER_TOKEN" in shown
        assert not told(shown)
    assert not told(str(asked(ipython)))


@pytest.mark.parametrize("place", ["a question", '"main"'])
def test_import_rejects_file_with_key(ipython, tmp_path, monkeypatch, capsys, place):
    monkeypatch.setenv("QIANFAN_BEARER_TOKEN", KEY)
    ipython.run_cell(f"%%qianfan {ASK}\na question")
    ipython.run_cell("%qf export talk.jsonl")
    file = tmp_path / "talk.jsonl"
    file.write_text(file.read_text().replace(place, json.dumps(KEY) if place == '"main"' else KEY))
    ipython.run_cell("%qf import talk.jsonl")
    shown = capsys.readouterr().out
    assert "the key in QIANFAN_BEARER_TOKEN" in shown
    assert not told(f"{shown} {asked(ipython)}")


@pytest.mark.parametrize("before", ["Summarize", "summarize", "what is at", "chat=a look at"])
@pytest.mark.parametrize("address", ["https://www.youtube.com/watch?v=dQw4w9WgXcQ&list=", "//gist.github.com/?id="])
def test_cell_guard_allows_address_in_prompt(ipython, capsys, before, address):
    for drawn in ("sV2cMcSu28F9teLbmzLjc1t7", "7BMsFxvKK4Q519Pk174JSnZJrd09fXzj"):
        ipython.run_cell(f"%qianfan {ASK} {before} {address}{drawn}")
        assert "(stub)" in capsys.readouterr().out
        ipython.run_cell(f"%qianfan {ASK} user_id={drawn} hi")
        assert "Possible API key" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["temperature", "timeout", "context", "format", "chat", "schema"])
@pytest.mark.parametrize("written", ["{{ key }}", "{{ int(key) }}", "{{ {}[key] }}"])
def test_errors_about_values_repeat_no_key(ipython, monkeypatch, capsys, option, written):
    monkeypatch.setenv("QIANFAN_BEARER_TOKEN", KEY)
    ipython.user_ns["key"] = KEY
    for cell in (f"%%qianfan {ASK} {option}='{written}'\nhi", f"%%qianfan {ASK}\n{written}"):
        error = ipython.run_cell(cell).error_in_exec
        assert error is not None
        everything = f"{capsys.readouterr()} {error.details()} {vars(error)} {error!r} {error.__cause__!r}"
        assert not told(everything)


@pytest.mark.parametrize("name", ["chat", "endpoint", "system", "stop"])
def test_config_setting_with_key_is_rejected(ipython, monkeypatch, capsys, name):
    monkeypatch.setenv("QIANFAN_BEARER_TOKEN", KEY)
    ipython.user_ns["key"] = KEY
    ipython.run_cell(f"%config QianfanMagics.{name}={'[key]' if name == 'stop' else 'key'}")
    for cell in (f"%%qianfan {ASK}\nhi", f"%%qf map [1] {ASK} into=x\nhi {{{{ item }}}}"):
        ipython.run_cell(cell)
        shown = capsys.readouterr().out
        assert "the key in QIANFAN_BEARER_TOKEN" in shown
        assert not told(shown)
    assert not told(str(asked(ipython)))


@pytest.mark.parametrize(
    "prose",
    [
        "Keys look like bce-v3/ALTAK-... and are set with QIANFAN_BEARER_TOKEN.",
        "QIANFAN_BEARER_TOKEN=bce-v3/ALTAK-xxxxxxxx/xxxxxxxx",
        "bce-v3/ALTAK-your-key/your-secret-0123456789",
        "bce-v3/ALTAK-stub/0000000000000000",
        "bce-v3/ALTAK-abc/0000000000000000000000000000",
        "QIANFAN_AK=your_api_key_123 QIANFAN_SK=<secret>",
        'os.environ["QIANFAN_AK"] = read_the_key_from_the_vault_2()',
        "d41d8cd98f00b204e9800998ecf8427e is the MD5 of nothing",
        "24.d41d8cd98f00b204e9800998ecf8427e is item 24 of the list",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "550e8400-e29b-41d4-a716-446655440000",
        "https://drive.google.com/file/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/view",
        "getHTTPResponseCode2ForTheUserOfTheSystem3",
        "the quick brown fox 0123456789 ABCDEFGHIJ",
    ],
)
def test_cell_guard_allows_prose_about_keys(ipython, monkeypatch, capsys, prose):
    monkeypatch.setenv("QIANFAN_BEARER_TOKEN", KEY)
    ipython.run_cell(f"%%qianfan {ASK} raw chat=2026-analysis-of-customers-v2\n{prose}", store_history=True)
    assert "Error" not in capsys.readouterr().out
    assert prose in ipython.user_ns["In"][-1]
    assert not holds_form(prose)

"""A cell with a key on its line: refused, and taken out of whatever IPython remembers or writes of it."""

import json
import sqlite3
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

KEY = "bce-v3/ALTAK-withheldCANARY/0123456789"
FORMLESS = "withheldCANARY-0123456789"  # which nothing shows to be a key before it is given
TAKEN_OUT = "# taken out by qfmagic"
CELLS = [
    f"%%qianfan bearer_token={KEY}\nhi",
    f"%qianfan model=yi_34b_chat \\\n bearer_token={KEY} hi",
    f"a = 1\n%qianfan ak={KEY} hi",
    f"x = %qianfan api_key='{KEY}' hi?",
    f"%qf set secret_key={KEY}",
    f"%qf auth bearer {KEY}",
    f"%qf {KEY}",
    f"%%qianfan {KEY}\nhi",
    "%%qianfan " + KEY.replace("bce-v3/ALTAK-", "").replace("/", "") + "=\nhi",
]
LOOK = """
import gc, io, sys, contextlib, linecache
shell = get_ipython()
shown = io.StringIO()
with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
    for line in ('history', 'history -t', 'history -g', 'tb', 'recall -1'):
        try:
            shell.run_line_magic(*line.partition(' ')[::2])
        except Exception as error:
            print(error)
magics = shell.magics_manager.registry['QianfanMagics']
trace = sys.last_value.__traceback__ if hasattr(sys, 'last_value') else None
print(shown.getvalue(), In, _i, _ii, _iii, [v for k, v in list(globals().items()) if k.startswith('_i')],
      shell.history_manager.db_input_cache, magics._errors, trace, linecache.cache,
      shell.last_execution_result.info, shell.history_manager._i00)
"""


@pytest.mark.parametrize("xmode", ["Context", "Verbose"])
def test_key_scrubber_removes_cell_from_kernel_history(start, tmp_path, xmode):
    canary, log = "withheldCANARY", tmp_path / "log.py"
    kernel = start(QFMAGIC_TRANSPORT="stub", IPYTHONDIR=str(tmp_path / "ipython"))
    kernel.run(f"%xmode {xmode}\n%logstart -o -r {log}\n1")
    for cell in CELLS:
        ran = kernel.run(cell, cell="c")
        assert ran.error[0] == "OptionError"
        assert "delete the key from the cell and revoke it" in ran.error[1].lower()
        assert canary not in json.dumps([ran.error, ran.traceback, ran.outputs], default=str) + ran.stdout
        shown = kernel.run(LOOK).stdout
        assert canary not in shown
        assert TAKEN_OUT in shown
    number = len(CELLS) * 2 + 1  # the last of them
    assert kernel.run(f"%qianfan model=yi_34b_chat once {{{{ Err[{number}] }}}}", cell="d").error is None
    assert "OptionError" in kernel.value("_.request")
    assert canary not in kernel.value("__.request")
    kernel.run("shell.history_manager.writeout_cache()\nshell.logger.logfile.flush()")
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.name == "history.sqlite" for path in files)
    assert log in files
    assert not [path for path, content in files.items() if canary.encode() in content]


@pytest.fixture
def plain(tmp_path, monkeypatch):
    """IPython without a kernel, with a history on disk."""
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "stub")
    monkeypatch.setenv("QFMAGIC_JOURNAL", "false")
    config = Config()
    config.HistoryManager.hist_file = str(tmp_path / "history.sqlite")
    shell = InteractiveShell(config=config)
    shell.run_line_magic("load_ext", "qfmagic")
    yield shell
    shell.run_line_magic("unload_ext", "qfmagic")
    shell.history_manager.end_session()
    shell.restore_sys_module_state()


def rows(path):
    with sqlite3.connect(path) as database:
        return database.execute("select line, source, source_raw from history order by line").fetchall()


@pytest.mark.parametrize("written", [True, False])
def test_key_scrubber_removes_cell_from_terminal_history(plain, tmp_path, written, capsys):
    manager, path = plain.history_manager, tmp_path / "history.sqlite"
    manager.db_cache_size = 0 if written else 100
    if written:  # before the magic runs, as the thread may
        plain.events.register("pre_run_cell", lambda _: manager.writeout_cache())
    plain.run_cell("before = 1", store_history=True)
    plain.user_ns["exit"] = None
    plain.run_cell("exit", store_history=True)  # which has a number and no place in the history
    for cell in CELLS:
        plain.run_cell(cell, store_history=True)
    plain.run_cell("after = 2", store_history=True)
    manager.writeout_cache()
    sources = rows(path)
    assert [row[1] for row in sources if not row[1].startswith(TAKEN_OUT)] == ["before = 1", "after = 2"]
    assert len(sources) == len(CELLS) + 2
    remembered = [manager.input_hist_raw, manager.input_hist_parsed, plain.user_ns["In"]]
    remembered += [manager._i00, manager._i]  # noqa: SLF001 - IPython's own copies
    remembered += [value for name, value in plain.user_ns.items() if name.startswith("_i")]
    assert "withheldCANARY" not in f"{remembered} {capsys.readouterr()}"
    assert b"withheldCANARY" not in b"".join(one.read_bytes() for one in tmp_path.glob("history.sqlite*"))
    assert sys.last_value.__traceback__ is None


def test_key_scrubber_keeps_previous_cell_without_history(plain, capsys):
    plain.run_cell("before = 1", store_history=True)
    plain.run_cell(f"%qf auth {KEY}", store_history=False)
    assert plain.user_ns["In"][1:] == ["before = 1"]


def test_key_scrubber_keeps_other_failed_cells(plain):
    plain.run_cell("%qf set temprature=1", store_history=True)
    assert "temprature" in plain.user_ns["In"][1]


# ---- a key of the session in what is asked


HOLDING = [
    "%%qianfan model=yi_34b_chat\nwhy is {key} refused?",
    "%qianfan model=yi_34b_chat is {key} good?",
    "%%qianfan model=ernie-char-fiction-8k system='{key}'\nhi",
    "%%qianfan dry model=yi_34b_chat\n{key}",
    "pasted = '{key}'\n%qianfan model=yi_34b_chat {{{{ pasted }}}}",
]


def test_prompt_with_key_is_not_sent(start, tmp_path):
    kernel = start(QFMAGIC_TRANSPORT="stub", QIANFAN_BEARER_TOKEN=KEY, IPYTHONDIR=str(tmp_path / "ipython"))
    for number, cell in enumerate(HOLDING):
        ran = kernel.run(cell.format(key=KEY), cell=str(number))
        assert ran.error[0] == "PromptError"
        assert "the key in QIANFAN_BEARER_TOKEN" in ran.error[1]
        assert KEY not in str(ran)
        assert KEY not in kernel.run(LOOK).stdout
        assert KEY not in kernel.run("%qf history").plain


def test_turn_with_key_set_later_is_not_sent(start, tmp_path):
    kernel = start(QFMAGIC_TRANSPORT="stub", IPYTHONDIR=str(tmp_path))
    assert kernel.run(f"%%qianfan model=yi_34b_chat\nwhat is {FORMLESS}?", cell="a").error is None
    kernel.run("session = get_ipython().magics_manager.registry['QianfanMagics'].engine.session")
    kernel.run(f"session.keys.put('bearer', {{'bearer_token': {FORMLESS!r}}}, 'panel')")
    assert kernel.run("%%qianfan model=yi_34b_chat\nhi", cell="b").error[0] == "PromptError"
    kernel.run("%qf drop 1")
    assert kernel.run("%%qianfan model=yi_34b_chat\nhi", cell="b").error is None


def test_short_keys_are_not_searched(start):
    kernel = start(QFMAGIC_TRANSPORT="stub", QIANFAN_BEARER_TOKEN="key")
    assert kernel.run("%%qianfan model=yi_34b_chat\nwhat is a key?", cell="a").error is None


OUTER = [
    "%%capture\n%qianfan model=yi_34b_chat chat={key} hi",
    "%%time\n%%qianfan model=yi_34b_chat\n{key}",
    "get_ipython().run_cell('%qf switch {key}', store_history=True)",
    "%qianfan endpoint={key} hi",
]


def test_key_scrubber_removes_cell_run_by_another_magic(start, tmp_path):
    kernel = start(QFMAGIC_TRANSPORT="stub", QIANFAN_BEARER_TOKEN=KEY, IPYTHONDIR=str(tmp_path / "ipython"))
    kernel.run("%xmode Verbose")
    for cell in OUTER:
        ran = kernel.run(cell.format(key=KEY), cell="c")
        assert KEY not in str(ran)
        shown = kernel.run(LOOK).stdout
        assert KEY not in shown
        assert TAKEN_OUT in shown
    kernel.run("shell.history_manager.writeout_cache()")
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.name == "history.sqlite" for path in files)
    assert not [path for path, content in files.items() if KEY.encode() in content]

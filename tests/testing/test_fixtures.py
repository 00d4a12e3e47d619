"""The pytest plugin's fixtures, and what is reported of cassettes: in pytest runs of their own, in this process."""

import json
import os
from pathlib import Path

import pytest

from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.cassette import file as cassette

ROOT = Path(__file__).parents[2]
pytest_plugins = ["pytester"]

TESTS = """
import pytest

pytestmark = pytest.mark.qianfan(model="ernie-5.1", temperature=0.5)

@pytest.mark.parametrize("word", ["one", "two", "one "])
def test_words(qianfan_client, word):
    assert qianfan_client.ask(word.strip()).text

def test_twice(qianfan_client):
    answers = [qianfan_client.ask("one") for _ in range(2)]
    assert {answer.request["temperature"] for answer in answers} == {0.5}
    assert len({answer.transport for answer in answers}) == 1
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest with the plugin."""
    monkeypatch.setenv("QFMAGIC_LANG", "en")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # what else is installed here only costs time
    pytester.makeini("[pytest]\naddopts = -p qfmagic.testing.plugin -p no:cacheprovider\n")

    def run(*arguments):
        return pytester.runpytest_inprocess(*arguments)

    return run


@pytest.fixture
def service(keys, monkeypatch):
    """A service for what is recorded, and the keys for it."""
    with LoopbackServer() as server:
        for name, value in {**server.environ, "QIANFAN_BEARER_TOKEN": keys.bearer_token}.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def recorded(run, pytester, service):
    """Tests and the cassette beside them, played from here on: a request to the service would show."""
    file = pytester.makepyfile(test_words=TESTS)
    run("--qianfan=auto").assert_outcomes(passed=4)
    service.requests.clear()
    yield file
    assert service.requests == []


def exchanges(file):
    return list(cassette.read(cassette.beside(file)).exchanges.values())


def test_replay_works_in_any_order_and_selection(run, recorded):
    assert [one.n for one in exchanges(recorded)].count(1) == 1  # only one that asks the same twice needs two
    run("--qianfan=replay").assert_outcomes(passed=4)
    run("--qianfan=replay", "test_words.py::test_twice", "test_words.py::test_words[two]").assert_outcomes(passed=2)
    run("--qianfan=auto").assert_outcomes(passed=4)
    assert "QFMAGIC_OFFLINE" not in os.environ


@pytest.mark.parametrize("mode", ["replay", "auto"])
def test_unused_exchanges_are_one_failure(run, recorded, mode):
    recorded.write_text(TESTS.replace('"one", "two"', '"one"'))
    result = run(f"--qianfan={mode}")
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*Cassette test_words.qf.jsonl has 1 answer that no request used: ernie-5.1 “two” (*"])
    result.stdout.fnmatch_lines(["FAILED test_words.qf.jsonl::cassette*"])


@pytest.mark.parametrize(
    ("arguments", "outcomes"),
    [
        (["-k", "twice"], {"passed": 1, "deselected": 2}),
        (["test_words.py::test_twice"], {"passed": 1}),
        (["--deselect", "test_words.py::test_twice"], {"passed": 2, "deselected": 1}),
    ],
)
def test_unused_exchanges_are_ignored_for_part_of_tests(run, recorded, arguments, outcomes):
    recorded.write_text(TESTS.replace('"one", "two"', '"one"'))
    run("--qianfan=replay", *arguments).assert_outcomes(**outcomes)


def test_unused_exchanges_are_ignored_after_failure(run, recorded):
    recorded.write_text(TESTS.replace("test_twice(qianfan_client):", "test_twice(qianfan_client):\n    assert 0"))
    run("--qianfan=replay").assert_outcomes(passed=3, failed=1)


def test_changed_prompt_fails_and_names_nearest(run, recorded):
    recorded.write_text(TESTS.replace('"two"', '"too"'))
    result = run("--qianfan=replay")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*Differences from the nearest (*): message 1 (user) differs: “t?-w-?{+o+}o”*"])


def test_unused_exchanges_with_xdist_are_one_failure(run, recorded):
    """pytest-xdist's workers each know a part."""
    recorded.write_text(TESTS.replace('"one", "two"', '"one"'))
    result = run("--qianfan=replay", "-pxdist.plugin", "-n2")
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_named_cassette_serves_several_files(run, pytester, service):
    test = "import pytest\n@pytest.mark.qianfan(cassette='answers/all.qf.jsonl')\ndef test_(qianfan_client):\n"
    pytester.mkdir("answers")
    pytester.makepyfile(
        test_first=f"{test}    qianfan_client.ask('first')", test_second=f"{test}    qianfan_client.ask('second')"
    )
    run("--qianfan=auto").assert_outcomes(passed=2)
    run("--qianfan=replay").assert_outcomes(passed=2)
    run("--qianfan=replay", "test_first.py").assert_outcomes(passed=1)
    pytester.path.joinpath("test_second.py").write_text("")
    run("--qianfan=replay", "test_first.py").assert_outcomes(passed=1)
    run("--qianfan=replay", ".").assert_outcomes(passed=1, failed=1)


def test_missing_or_edited_cassette_is_reported(run, pytester, recorded):
    file = cassette.beside(recorded)
    file.write_text(file.read_text("utf-8").replace('"one"', '"won"'), "utf-8")
    result = run("--qianfan=replay")
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(["Line ? of cassette test_words.qf.jsonl was edited after recording.*"])
    file.unlink()
    result = run("--qianfan=replay")
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(["Cassette test_words.qf.jsonl not found. *: pytest --qianfan=auto."])


def test_stub_is_default_and_changes_nothing_else(run, pytester):
    pytester.makepyfile(
        """
        import os
        import pytest

        def test_client(qianfan_client, request):
            assert qianfan_client.ask("hi").transport == "stub"
            assert ("QFMAGIC_OFFLINE" in os.environ) == (request.config.getoption("qianfan") is not None)

        @pytest.mark.qianfan(model="yi_34b_chat")
        def test_stub(qianfan_stub):
            answer = qianfan_stub.client.ask("ask this", temperature=0.5)
            assert answer.text.startswith("(stub)")
            assert qianfan_stub.asked == [
                {"messages": [{"role": "user", "content": "ask this"}], "temperature": 0.5, "stream": False}
            ]
            assert qianfan_stub.requests[-1].path.endswith("/chat/yi_34b_chat")
            assert qianfan_stub.requests is qianfan_stub.transport.requests
        """
    )
    run().assert_outcomes(passed=2)
    run("--qianfan=stub").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("readme", "heading"), [("README.md", "Notebooks as tests"), ("README.zh-CN.md", "把笔记本当作测试")]
)
def test_readme_tests_pass(run, pytester, readme, heading):
    section = (ROOT / readme).read_text("utf-8").split(f"## {heading}\n")[1]
    pytester.makepyfile(section.split("```python\n")[1].split("```")[0])
    run("--qianfan=stub", "--strict-markers").assert_outcomes(passed=2)


def test_live_mode_sends_to_service(run, pytester, service):
    pytester.makepyfile("def test_(qianfan_client):\n    assert qianfan_client.ask('hi').text")
    run("--qianfan=live").assert_outcomes(passed=1)
    assert len(service.requests) == 1


@pytest.mark.parametrize("mode", ["stub", "replay"])
def test_own_client_of_test_is_offline(run, pytester, service, mode):
    pytester.makepyfile(
        """
        import pytest
        from qfmagic import Qianfan, Settings
        from qfmagic.core.errors import ConnectError

        def test_():
            own = Settings(bearer_token="k")
            for settings in (own, None):
                with Qianfan(settings=settings) as client, pytest.raises(ConnectError, match="QFMAGIC_OFFLINE"):
                    client.ask("hi")
        """
    )
    run(f"--qianfan={mode}").assert_outcomes(passed=1)
    assert service.requests == []


def test_unwritable_cassette_is_an_error_of_test(run, pytester, service):
    pytester.makepyfile(
        test_lost="""
        def test_(qianfan_client, tmp_path_factory):
            import pathlib
            file = pathlib.Path(__file__).with_name("test_lost.qf.jsonl")
            file.unlink()
            file.mkdir()
            assert qianfan_client.ask("hi").text
        """
    )
    result = run("--qianfan=auto")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["Cannot write cassette test_lost.qf.jsonl (*"])


def test_invalid_configuration_and_marker_are_reported(run, pytester):
    pytester.makepyfile("import pytest\n@pytest.mark.qianfan('x')\ndef test_(qianfan_client):\n    pass")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["The marker qianfan accepts keyword options only: *"])
    assert "--qianfan: invalid choice: 'no'" in run("--qianfan=no").stderr.str()
    result.stdout.no_fnmatch_line("*PytestUnknownMarkWarning*")
    pytester.makeini("[pytest]\naddopts = -p qfmagic.testing.plugin\nqianfan = no\n")
    assert "qianfan = 'no' in" in run().stderr.str()
    pytester.makeini("[pytest]\naddopts = -p qfmagic.testing.plugin\nqianfan = stub\n")
    run("-k", "nothing").assert_outcomes(deselected=1)


CELLS = {
    "beside": "%qf transport auto",
    "silent": "%%qianfan\nhello",
    "named": "# %qf transport stub\n%qf transport replay tapes/other.qf.jsonl pace=recorded",
    "stub": "  %qf transport stub\n%qf transport replay named.qf.jsonl",
    "absent": "%qf transport live",
    "nonsense": "%qf transport nonsense",
}


@pytest.mark.parametrize(
    ("mode", "looked_at"),
    [
        ("replay", {"beside", "silent", "named"}),
        ("auto", {"beside", "silent", "named", "absent", "nonsense"}),
        ("stub", set()),
        ("live", set()),
        (None, set()),
    ],
)
def test_notebook_cassette_is_checked_after_its_cells(run, pytester, mode, looked_at):
    """It is the one the notebook names, or the one beside it; not in a notebook that keeps to the stub."""
    for name, source in CELLS.items():
        cell = {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": source,
        }
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        pytester.path.joinpath(f"{name}.ipynb").write_text(json.dumps(notebook))
    for name in ("beside", "silent", "tapes/other"):
        path = pytester.path / f"{name}{cassette.SUFFIX}"
        path.parent.mkdir(exist_ok=True)
        cassette.rewrite(path, [])
    option = [f"--qianfan={mode}"] if mode else []
    lines = run("-pnbval.plugin", "--nbval", "--collect-only", "-q", "-pno:warnings", *option).outlines
    assert {line for line in lines if line.endswith("::cassette")} == {f"{name}.ipynb::cassette" for name in looked_at}
    assert sum(line.endswith("::Cell 0") for line in lines) == len(CELLS)

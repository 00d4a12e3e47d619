"""expect=: the answer is shown and kept, then the cell fails if it isn't what was expected."""

import subprocess
import sys

import nbformat
import pytest

from qfmagic import ExpectationError, QianfanError
from qfmagic.core.answer import Answer
from qfmagic.core.errors import InputError, OptionError, PromptError, RequestError
from qfmagic.testing.scripted import ScriptedTransport
from qfmagic.transport.stub.reply import EVENT_TYPE, Reply
from tests.support.services import session_of as session


def ask(shell, expect, line="", cell="hi"):
    return shell.run_cell_magic("qianfan", f"model=yi_34b_chat {line} expect={expect}", cell)


@pytest.fixture
def say(shell):
    """Let the model say these texts, one a question."""

    def use(*texts):
        transport = ScriptedTransport(
            text if isinstance(text, Reply) else Reply.of_json({"id": "x", "result": text}) for text in texts
        )
        session(shell).network = transport
        return transport

    return use


WALL = "The Great Wall (长城)\nis 21196 km long."
FENCED = 'Here you are:\n\n```json\n{"a": [1]}\n```\n'


@pytest.mark.parametrize(
    ("said", "expect"),
    [
        (WALL, "/长城/"),
        (WALL, "/great/i"),
        (WALL, "'/长城|Great Wall/'"),
        (WALL, "'/长城|Small Wall/'"),
        (WALL, r"'/\d{5} km/'"),
        (WALL, r"""'/Wall\s\(["长]/'"""),
        (WALL, r'"/\d{5} km/"'),
        (WALL, "'/^is/m'"),
        (WALL, "'/wall.*long/si'"),
        ("a/b", "/a/b/"),
        (WALL, "'/{{ city }}/'"),
        ('{"a": 1}', "json"),
        (' [1, "```"] ', "json"),
        (FENCED, "json"),
        (FENCED.replace("```", "~~~"), "{{ kind }}"),
        (WALL, "'len(answer.text) > 20'"),
        (WALL, "'answer.usage.total_tokens is None and answer.model == \"yi_34b_chat\"'"),
        (WALL, "'limit < len(answer.text)'"),
        (WALL, "'all(word in str(answer) for word in words)'"),
        (WALL, "'(n := len(answer.text)) and n < 100'"),
        (WALL, "'sum(map(lambda word: word in answer.text, words)) == 2'"),
        (WALL, "' {{ city }} in answer.text'"),
        (WALL, """'"{{ city }}" in answer.text'"""),
        (WALL, "'check(answer)'"),
        (WALL, "'kept.text'"),
        (WALL, "'len(In) >= 0 and answer.complete'"),
    ],
)
def test_expect_passes_matching_answer(shell, say, said, expect):
    say(said)
    words = ["Great", "长城"]
    shell.user_ns.update(
        city="长城", kind="json", limit=20, words=words, check=lambda answer: answer.text, answer="mine"
    )
    assert ask(shell, expect, "into=kept").text == said


@pytest.mark.parametrize(
    ("said", "expect", "why"),
    [
        (
            WALL,
            "/Small/",
            "expect=/Small/: pattern not found. Beginning of the answer: The Great Wall (长城) is 21196 km long.",
        ),
        (WALL, "/great/", "pattern not found"),
        (WALL, "'/wall.*long/i'", "pattern not found"),
        (WALL, "'/{{ city }}/'", "expect=/北京/"),
        (WALL, "json", "invalid JSON (Expecting value: line 1 column 1 (char 0))."),
        (FENCED + FENCED, "json", "invalid JSON"),
        ("```json\n{'a': 1}\n```", "json", "Expecting property name"),
        ("NaN", "json", "invalid JSON (NaN)"),
        ("[" * 100_000, "json", "invalid JSON (nested too deeply"),
        (WALL, "'len(answer.text) > 2000'", "expect=len(answer.text) > 2000: the expression is false."),
        (WALL, "'{{ city }} in answer.text'", "expect={{ city }} in answer.text: the expression is false."),
        (WALL, "'int(answer.text)'", "the expression raised ValueError: invalid literal for int()"),
        (WALL, "'answer.nothing'", "AttributeError"),
        (WALL, "'check(answer)'", "the expression raised AssertionError: too long."),
        (WALL, "'fail(answer)'", "the expression raised AssertionError."),
        (WALL, "answer.text.isascii", "the expression returns builtin_function_or_method"),
        (WALL, "answer", "the expression returns Answer"),
        (WALL, "'later(answer)'", "the expression returns coroutine"),
        ("x" * 300, "/y/", f"Beginning of the answer: {'x' * 77}..."),
        ("\x1b[2Jgone\n\n\tback", "/y/", r"Beginning of the answer: \x1b[2Jgone back"),
        ("\x1b[2J", "'repeat(answer)'", r"the expression raised ValueError: \x1b[2J."),
    ],
)
def test_expect_error_says_why(shell, say, said, expect, why):
    def check(answer):
        raise AssertionError("too long")

    def fail(answer):
        raise AssertionError

    def repeat(answer):
        raise ValueError(answer.text)

    async def later(answer): ...

    say(said)
    shell.user_ns.update(city="北京", check=check, fail=fail, repeat=repeat, later=later)
    with pytest.raises(ExpectationError) as caught:
        ask(shell, expect)
    assert why in str(caught.value)
    (rendered,) = caught.value._render_traceback_()
    assert rendered == f"ExpectationError: {caught.value}"
    assert "\n" not in rendered
    assert "\x1b" not in rendered


def test_expect_error_for_empty_answer_says_so():
    from qfmagic.notebook.ask.expect import expectation

    with pytest.raises(ExpectationError, match=r"\(empty\)"):
        expectation("/x/", {}).check(Answer(""), {}, lambda _: None)


def test_expect_error_supports_chinese(shell, say):
    shell.run_line_magic("qf", "set lang=zh")
    say("好")
    with pytest.raises(ExpectationError, match="回答不符合 expect=/坏/：未找到匹配的文字。回答开头：好"):
        ask(shell, "/坏/")


def test_expectation_error_is_not_an_input_error():
    """Who catches what can't be sent doesn't catch this, and who catches all of ours does."""
    assert issubclass(ExpectationError, QianfanError)
    assert not issubclass(ExpectationError, InputError)


def test_expect_error_has_cause_of_expression(shell, say):
    say(WALL)
    with pytest.raises(ExpectationError) as caught:
        ask(shell, "'1/0 + answer'")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "ZeroDivisionError: division by zero" in caught.value.details()


@pytest.mark.parametrize(
    ("expect", "text"),
    [
        ("/长城|Great Wall/", "the Great Wall"),
        (r"/\d+ km/", "about 21196 km"),
        (r"/a\/b/i", "A/B"),
        ('/it\'s "so"/', 'it\'s "so"'),
        ("/{{ 6 / 2 }} km/", "3.0 km"),
    ],
)
def test_expect_pattern_needs_no_quotes(shell, say, expect, text):
    say(text, text, "something else")
    assert ask(shell, expect).text == text
    assert shell.run_line_magic("qianfan", f"model=yi_34b_chat expect={expect} and / or?").text == text
    with pytest.raises(ExpectationError):
        ask(shell, expect)


# ---- before anything is sent


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("'len(answer.text) >' 20", "'20' is not an option.*Quote the value"),
        ("/Great", "Missing closing slash"),
        ("'/(/'", r"Invalid regular expression in expect=/\(/: missing \)"),
        ("'/a{99999999999999}/'", "Invalid regular expression"),
        ("/a/x", r"Allowed after the closing slash: i .*, s .*, m "),
        ("/a/ii-", "Missing closing slash"),
        ("//", "does not use the answer"),
        ("", "Allowed: expect=/PATTERN/"),
        ("'len(answer.text'", "Allowed: a pattern between slashes, json, or a Python expression"),
        ("'x = answer'", "Python expression"),
        ("'长城很长 吗'", "expect='/words/'"),
        ("Great", "Undefined variable Great in expect=Great. To search for a word: expect=/Great/"),
        ("'[x for x in answer.text if x in y]'", "Undefined variable y"),
        ("42", "does not use the answer"),
        ("'\"Great Wall\"'", "does not use the answer"),
        ("'lambda answer: answer.text'", "does not use the answer"),
        ("'\"{{ answer }}\"'", "does not use the answer"),
        ("{{ code }}", "does not use the answer"),
        ("'answer.{{ code }}'", "not part of a name"),
        ("'answer_{{ code }}'", "not part of a name"),
        ("'check(answer, {{ code }}=1)'", "not part of a name"),
    ],
)
def test_expect_rejects_invalid_value_before_sending(shell, say, expect, said):
    transport = say("never")
    shell.user_ns.update(code="len(answer.text)", answer="old", check=print)
    with pytest.raises(OptionError, match=said):
        ask(shell, expect)
    assert transport.requests == []


def test_expect_failing_braces_are_reported_before_sending(shell, say):
    transport = say("never")
    with pytest.raises(PromptError, match="ZeroDivisionError"):
        ask(shell, "'{{ 1/0 }} in answer.text'")
    assert transport.requests == []


def test_expect_with_dry_is_only_checked(shell, capsys):
    assert ask(shell, "/never/", "dry") is None
    assert "expect" not in capsys.readouterr().out
    with pytest.raises(OptionError, match="Missing closing slash"):
        ask(shell, "/never", "dry")


def test_expect_with_raw_keeps_braces(shell, say):
    say("a {{ 1 }} b", "a")
    assert ask(shell, "'/\\{{ 1 }}/'", "raw")
    with pytest.raises(ExpectationError, match="raised TypeError"):  # a set with a dict in it
        ask(shell, "'answer.text in {{ }}'", "raw")


# ---- model text is data


def test_expect_never_executes_model_text(shell, say):
    """Neither the answer that is checked nor an earlier one that {{ }} puts into the expression."""
    hostile = "\" + boom() + \"' + boom() + ' {{ boom() }} {boom()} __qianfan_0__"
    ran = []
    shell.user_ns.update(boom=lambda: ran.append(1) or "", earlier=None)
    say(hostile, *[hostile] * 4)
    ask(shell, "answer.text", "into=earlier")
    for expect in (
        """'"{{ earlier }}" in answer.text'""",
        """'{{ earlier.text }} in answer.text'""",
        "'f\"{{ earlier }}\" in answer.text'",
        "'str(answer)'",
    ):
        assert ask(shell, expect).text == hostile
    with pytest.raises(OptionError, match="does not use the answer"):
        ask(shell, "{{ earlier }}")
    assert ran == []


def test_expect_evaluates_braces_once(shell, say):
    say("3")
    shell.run_cell("calls = []")
    ask(shell, "'{{ calls.append(1) or 3 }} == int(answer.text)'")
    assert shell.user_ns["calls"] == [1]


# ---- what is left behind


def test_expect_failure_keeps_answer_shown_and_bound(shell, say, capsys):
    transport = say("first", "second", "third")
    result = shell.run_cell("%%qianfan model=yi_34b_chat into=kept expect=/other/\nhi")
    assert isinstance(result.error_in_exec, ExpectationError)
    assert "first" in capsys.readouterr().out
    shell.run_cell("same = (_ is kept, Out[max(Out)] is kept, kept.text)")
    assert shell.user_ns["same"] == (True, True, "first")
    assert session(shell).last.text == "first"
    (turn,) = session(shell).chats.get("main").turns
    assert turn.state == "answered"
    shell.run_line_magic("qianfan", "model=yi_34b_chat expect=/second/ go on")
    sent = [message["content"] for message in transport.requests[1].json()["messages"]]
    assert sent == ["hi", "first", "go on"]
    again = shell.run_line_magic("qf", "retry")  # expects nothing any more
    assert again.text == "third"


def test_expect_failure_with_quiet_shows_only_error(shell, say, capsys):
    say("first")
    with pytest.raises(ExpectationError, match="Beginning of the answer: first"):
        ask(shell, "/other/", "quiet once into=kept")
    assert capsys.readouterr().out == ""
    assert shell.user_ns["kept"].text == "first"
    assert "main" not in session(shell).chats.conversations


@pytest.mark.parametrize("after", ["", '{"error_code": 336100, "error_msg": "busy"}'])
def test_expect_does_not_judge_interrupted_answer(shell, say, after):
    """What came may meet it; that says nothing of the answer. An error under way is told as what it is."""
    begun = 'data: {"id":"x","sentence_id":0,"is_end":false,"result":"first"}\n\n'
    say(Reply(((begun + after).encode(),), 200, {"content-type": EVENT_TYPE}))
    with pytest.raises(QianfanError, match="busy" if after else "was not checked") as caught:
        ask(shell, "/first/")
    assert isinstance(caught.value, ExpectationError) == (not after)
    (turn,) = session(shell).chats.get("main").turns
    assert turn.state == "interrupted"


def test_expect_keeps_service_error(shell, say):
    say(Reply.of_json({"error_code": 336003, "error_msg": "no"}))
    with pytest.raises(RequestError):
        ask(shell, "/first/")


def test_expect_is_not_a_setting(shell):
    with pytest.raises(OptionError, match="expect"):
        shell.run_line_magic("qf", "set expect=/x/")


# ---- what runs notebooks

RIGHT = "%%qianfan model=yi_34b_chat expect='/turn 2|第 2 轮/'\nand now?"
WRONG = RIGHT.replace("turn 2", "turn 9").replace("第 2", "第 9")


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """Write a notebook of these cells behind the loading, as a run without mistakes leaves it."""
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "stub")
    monkeypatch.setenv("QFMAGIC_LANG", "en")
    monkeypatch.setenv("QFMAGIC_JOURNAL", "false")

    def write(*sources):
        cells = [nbformat.v4.new_code_cell(source) for source in ("%load_ext qfmagic", *sources)]
        path = tmp_path / "notebook.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
        return path

    return write


KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
HELLO = "%%qianfan model=yi_34b_chat expect=/Hello/\nhi"


def run(*command):
    done = subprocess.run([sys.executable, "-m", *command], check=False, capture_output=True, text=True, timeout=110)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.kernel
def test_expect_failure_fails_nbval(notebook):
    path = notebook(HELLO, RIGHT, WRONG)
    command = ("pytest", "--nbval-lax", path, "-q", "-p", "no:cacheprovider", "-c", "/dev/null")
    code, said = run(*command)
    assert code == 1
    assert "1 failed, 3 passed" in said
    assert "ExpectationError: The answer does not match expect=/turn 9|第 9 轮/: pattern not found." in said


@pytest.mark.kernel
def test_expect_failure_stops_papermill(notebook, tmp_path):
    path = notebook(HELLO, WRONG, "reached = 1")
    code, said = run("papermill", str(path), "out.ipynb", "--no-progress-bar")
    assert code == 1
    assert "ExpectationError" in said
    *_, failed, unreached = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    assert [output.output_type for output in failed.outputs] == ["display_data", "error"]
    assert unreached.outputs == []


def test_expect_is_completed(shell):
    from qfmagic.notebook.completion import candidates, place

    def offered(line):
        return candidates(place(line, 0, len(line)), session(shell), {}).texts

    assert offered("%%qianfan exp") == ["expect="]
    assert offered("%%qianfan expect=j") == ["json"]
    assert offered("%%qianfan expect=/x/ exp") == []

"""A conversation as a file: what comes back is equal, what asks again asks the same, what is read can't act."""

import ast
import contextlib
import io
import json
from dataclasses import replace
from string import Formatter

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

from qfmagic import Qianfan, Settings
from qfmagic.core import i18n
from qfmagic.core.answer import Answer
from qfmagic.core.conversation import Conversation, Turn
from qfmagic.core.errors import OptionError
from qfmagic.core.models import registry
from qfmagic.core.usage import Usage
from qfmagic.notebook.conversation.export import asking_cell, exported, imported
from qfmagic.notebook.parsing.line import parse_line
from qfmagic.notebook.parsing.option_table import help_table
from qfmagic.prompts.template import render
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.service import StubKeys
from qfmagic.transport.stub.transport import StubTransport
from tests.support.html_judge import markdown_faults

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS, max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\n",
        "\r\n",
        "a\u2028b",
        "\u2029",
        "\x85",
        "\x1c\x0b\x0c",
        "\x00",
        "{{ x }}",
        "}}",
        "'\"\\",
        "你好 🎉",
        "\ufeff",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)
COUNTS = st.none() | st.integers(0)
ANSWERS = st.builds(
    Answer,
    text=TEXTS,
    usage=st.builds(Usage, COUNTS, COUNTS, COUNTS),
    model=TEXTS,
    id=TEXTS,
    finish_reason=st.sampled_from(["stop", "length", "interrupted", "incomplete", "normal"]),
    request=OBJECTS,
    seconds=st.floats(0, 1e6),
    reasoning=TEXTS,
    wire=st.sampled_from(["", "v1", "v2"]),
    endpoint=st.none() | TEXTS,
    created=COUNTS,
    transport=st.sampled_from(["live", "stub"]),
    need_clear_history=st.booleans(),
    ban_round=st.none() | st.integers(-1, 9),
    headers=st.dictionaries(TEXTS, TEXTS, max_size=2),
    extra=OBJECTS,
)


def turns(versions):
    return st.builds(
        Turn,
        prompt=TEXTS,
        answer=ANSWERS,
        state=st.sampled_from(["answered", "interrupted", "failed"]),
        cell=st.none() | TEXTS,
        place=st.integers(0, 3),
        window=st.none() | st.integers(0, 3),
        parent=st.none() | TEXTS,
        fresh=st.booleans(),
        removed=st.none() | st.sampled_from(["deleted", "gone", "dropped", "undone", "flagged"]),
        versions=versions,
        id=st.integers(0, 9),
    )


CONVERSATIONS = st.builds(
    Conversation, TEXTS, st.lists(turns(st.lists(turns(st.just(())), max_size=2).map(tuple)), max_size=4).map(tuple)
)
V1 = {"wire": "v1", "model": "yi_34b_chat", "endpoint": "yi_34b_chat"}
V2 = {"wire": "v2", "model": "ernie-5.1"}


def turn(prompt, text="ok", **options):
    of_turn = {name: options.pop(name) for name in ("state", "removed", "window", "fresh") if name in options}
    return Turn(prompt, Answer(text, **{**V1, **options}), **of_turn)


def prompts(conversation):
    return [turn.prompt for turn in conversation.turns if turn.in_history]


def sources(conversation):
    return [cell["source"] for cell in nbformat.reads(exported(conversation, ".ipynb"), as_version=4).cells]


# ---- .jsonl


@given(CONVERSATIONS)
def test_export_jsonl_round_trips(conversation):
    written = exported(conversation, ".jsonl")
    assert written.encode().decode() == written
    assert written.count("\n") == len(conversation.turns) + 1
    assert imported(written) == conversation
    assert imported(written.replace("\n", "\r\n") + "\n") == conversation


def test_export_jsonl_of_asked_turns_round_trips():
    stub = StubTransport()
    settings = Settings(ak=stub.keys.ak, sk=stub.keys.sk, bearer_token=stub.keys.bearer_token)
    conversation = Conversation("长城")
    with Qianfan(settings=settings, transport=stub, label="stub") as client:
        for model in ("yi_34b_chat", "ernie-5.1", "yi_34b_chat"):
            conversation = conversation.add("介绍下长城", client.ask("介绍下长城", history=conversation, model=model))
    conversation = conversation.put(replace(conversation.turns[1], prompt="new"), 1, over=True).mark(0, "dropped")
    back = imported(exported(conversation, ".jsonl"))
    assert back == conversation
    assert (back.stale, back.head, back.history) == (conversation.stale, conversation.head, conversation.history)
    assert back.restore(1) == conversation.restore(1)


def test_export_jsonl_lines_are_sorted_and_readable():
    header, line = exported(Conversation("对话").add("你好", Answer("好")), ".jsonl").splitlines()
    assert header == '{"conversation": "对话", "qfmagic": 1}'
    assert '"prompt": "你好"' in line
    assert list(json.loads(line)) == sorted(json.loads(line))


def test_export_writes_lone_surrogates():
    conversation = Conversation(turns=(turn("hi", extra={"x": "a\ud800"}), turn("\udfff", state="failed")))
    written = exported(conversation, ".jsonl")
    assert imported(written.encode().decode()) == conversation
    for suffix in (".md", ".py", ".ipynb"):
        exported(Conversation(turns=(turn("\udfff", state="failed"), turn("x", model="\ud800"))), suffix).encode()


GOOD = exported(Conversation().add("hi", Answer("Hello!")).add("bye", Answer("Bye!")), ".jsonl")
HEADER, FIRST, SECOND = GOOD.splitlines()


def changed(**values):
    return json.dumps({**json.loads(FIRST), **values})


def answered(**values):
    return changed(answer={**json.loads(FIRST)["answer"], **values})


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "JSON"),
        ("\n\n", 1, "JSON"),
        ("# notes", 1, "JSON"),
        ("[]", 1, "header"),
        ("{}", 1, "header"),
        ('{"conversation": "main", "qfmagic": true}', 1, "header"),
        ('{"conversation": "main", "qfmagic": "1"}', 1, "header"),
        ('{"conversation": "main", "qfmagic": 0}', 1, "header"),
        ('{"conversation": 5, "qfmagic": 1}', 1, "header"),
        ('{"qfmagic": 1}', 1, "header"),
        ('{"conversation": "main", "qfmagic": 2}', 1, "newer"),
        (f"{FIRST}\n{SECOND}", 1, "header"),
        (f"\n{GOOD}", 1, "JSON"),
        (GOOD[:-20], 3, "JSON"),
        (f"{HEADER}\n\n{FIRST}\n", 2, "JSON"),
        (f"{HEADER}\n{'[' * 100_000}\n", 2, "JSON"),
        (f"{HEADER}\n[]\n", 2, "turn"),
        (f"{HEADER}\n{{}}\n", 2, "turn"),
        (f"{HEADER}\n{FIRST}\n{HEADER}\n", 3, "turn"),
        (f"{HEADER}\n{changed(version=2)}", 2, "newer"),
        (f"{HEADER}\n{changed(version=None)}", 2, "turn"),
        (f"{HEADER}\n{changed(versions=None)}", 2, "turn"),
        (f"{HEADER}\n{changed(versions=[{}])}", 2, "turn"),
        (f"{HEADER}\n{changed(versions=[json.loads(changed(place='x'))])}", 2, "turn"),
        (f"{HEADER}\n{changed(prompt=5)}", 2, "turn"),
        (f"{HEADER}\n{changed(state='lost')}", 2, "turn"),
        (f"{HEADER}\n{changed(state=[])}", 2, "turn"),
        (f"{HEADER}\n{changed(removed='')}", 2, "turn"),
        (f"{HEADER}\n{changed(place=True)}", 2, "turn"),
        (f"{HEADER}\n{changed(window='2')}", 2, "turn"),
        (f"{HEADER}\n{changed(answer='Hello!')}", 2, "turn"),
        (f"{HEADER}\n{answered(text=5)}", 2, "turn"),
        (f"{HEADER}\n{answered(text=None)}", 2, "turn"),
        (f"{HEADER}\n{answered(usage=[])}", 2, "turn"),
        (f"{HEADER}\n{answered(usage={'total_tokens': 'many'})}", 2, "turn"),
        (f"{HEADER}\n{answered(request=[])}", 2, "turn"),
        (f"{HEADER}\n{answered(headers={'a': 1})}", 2, "turn"),
        (f"{HEADER}\n{answered(surprise=1)}", 2, "turn"),
    ],
)
def test_import_rejects_invalid_file_with_line(text, line, said):
    with pytest.raises(OptionError) as error:
        imported(text)
    assert error.value.key == "import.line"
    assert error.value.values["line"] == line
    assert said in str(error.value)
    assert error.value.message("zh") != error.value.message("en")


@given(st.integers(0, len(GOOD)), st.text(CHARACTERS, max_size=3), st.integers(0, 9))
def test_import_of_damaged_file_is_read_or_rejected(position, inserted, removed):
    with contextlib.suppress(OptionError):
        assert isinstance(imported(GOOD[:position] + inserted + GOOD[position + removed :]), Conversation)


@pytest.mark.parametrize("suffix", ["", ".txt", "md", ".JSONL"])
def test_export_rejects_unknown_suffix(suffix):
    with pytest.raises(OptionError, match=r"\.md, \.jsonl, \.py, \.ipynb"):
        exported(Conversation(), suffix)


# ---- .py

LEFT_OUT = (
    turn("failed 'one'\n# x", "", state="failed"),
    turn("interrupted", "So f", state="interrupted", finish_reason="interrupted"),
    turn("removed", removed="dropped"),
    turn("blank", " "),
)
PROMPTS = [
    "hi",
    "\n\n  indented\n\n",
    "\"\"\"\n'''\\",
    "a\r\nb\rc\x0bd\u2028e",
    "%%timeit\nx",
    "%qf reset",
    "{{ 1 + 1 }} {{{ {{}} {{{{ }}",
    "What does this do?\n>>> x = 1\n...     y\n>>> f({{1}})",
    ">>> {{ 1 }}}",
    "In [3]: x = 1\n   ...: y",
    "def f():\n    \n    x\n \n",
    "\t\r\nx\r\n\r\n",
    "   ...: y",
    "get_ipython().system('ls')?",
    "!ls",
    "ends with ?",
    "你好 🎉\x00\x1b",
]
REQUEST = {
    "stream": True,
    "temperature": 0.3,
    "top_k": 5,
    "stop": ["END", "it's {{ x }}", '"\n\u2028'],
    "user_id": 'it\'s \\ "{{ u }}" }}',
    "metadata": {"k": "v w", "{{": "}}"},
}


def run_script(script, environ, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(script, "exported.py", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def test_export_script_sends_same_requests(monkeypatch):
    keys = StubKeys()
    conversation = Conversation(
        'it\'s "main"\n',
        (
            *(turn(prompt, request=REQUEST) for prompt in PROMPTS),
            *LEFT_OUT,
            turn("on V2", **V2, endpoint=None, request={"max_completion_tokens": 50, "user": "u", "model": "x"}),
            turn("short", window=1),
        ),
    )
    with LoopbackServer() as server:
        environ = {"QIANFAN_ACCESS_TOKEN": keys.access_token, "QIANFAN_BEARER_TOKEN": keys.bearer_token}
        printed = run_script(exported(conversation, ".py"), {**server.environ, **environ}, monkeypatch)
    bodies = [json.loads(request.body) for request in server.requests]
    asked = [body.pop("messages") for body in bodies]
    assert [messages[-1]["content"] for messages in asked] == prompts(conversation)
    assert [message["content"] for message in asked[-2][::2]] == prompts(conversation)[:-1]
    assert len(asked[-1]) == 3
    assert bodies[: len(PROMPTS)] == [{**REQUEST, "stream": False}] * len(PROMPTS)
    assert bodies[-2] == {"model": V2["model"], "stream": False, "max_completion_tokens": 50, "user": "u"}
    assert all(prompt in printed for prompt in prompts(conversation))
    assert "第 2 轮" in printed or "turn 2" in printed


@given(CONVERSATIONS)
def test_export_script_contains_only_questions(conversation):
    tree = ast.parse(exported(conversation, ".py"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func) for call in calls}
    assert names <= {
        "Qianfan",
        "Settings.from_env",
        "Conversation",
        "client.ask",
        "conversation.add",
        "print",
        "client.close",
    }
    questions = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "question"
    ]
    assert questions == prompts(conversation)


def test_export_script_keeps_new_conversation(monkeypatch):
    dropped = turn("dropped", fresh=True, removed="dropped")
    asked = Conversation("x", (turn("one"), turn("two", fresh=True), dropped, turn("three")))
    with LoopbackServer() as server:
        environ = {**server.environ, "QIANFAN_ACCESS_TOKEN": StubKeys().access_token}
        run_script(exported(asked, ".py"), environ, monkeypatch)
        bodies = [json.loads(request.body) for request in server.requests]
    sent = [[message["content"] for message in body["messages"][::2]] for body in bodies]
    assert sent == [["one"], ["two"], ["two", "three"]]
    assert [source.split("\n")[0].endswith(" new") for source in sources(asked)] == [False, False, True, False]
    assert exported(asked, ".md").split("---\n")[1].startswith("\n## ◈ 2\n")


def test_export_script_comments_turns_out_of_history():
    script = exported(Conversation(turns=(*LEFT_OUT, turn("hi"))), ".py")
    comments = [line for line in script.splitlines() if line.startswith("#")]
    for word in ("failed", "interrupted", "removed", "blank"):
        assert any(word in line for line in comments)
    assert script.count("client.ask") == 1


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({"wire": "v1", "model": "yi_34b_chat", "endpoint": "yi_34b_chat"}, "model='yi_34b_chat'"),
        ({"wire": "v1", "model": "dolly_12b", "endpoint": "ab_dolly"}, "model='dolly_12b', endpoint='ab_dolly'"),
        ({"wire": "v1", "model": "ab_own", "endpoint": "ab_own"}, "endpoint='ab_own'"),
        ({"wire": "v2", "model": "ernie-5.1"}, "model='ernie-5.1'"),
        (
            {"wire": "v1", "model": "ernie-4.0-8k", "endpoint": "completions_pro", "request": {"system": "导游"}},
            "model='ernie-4.0-8k', api='v1', system='导游'",
        ),
        ({"wire": "v2", "model": "ernie-char-fiction-8k"}, "model='ernie-char-fiction-8k', api='v2'"),
        ({"wire": "v2", "model": "brand-new"}, "model='brand-new'"),
        (
            {"wire": "v1", "model": "yi_34b_chat", "endpoint": "yi_34b_chat", "request": {"system": "x", "top_k": 1}},
            "endpoint='yi_34b_chat', top_k=1, system='x'",
        ),
        (
            {"wire": "v2", "model": "m", "request": {"messages": [{"role": "system", "content": "导游"}]}},
            "model='m', system='导游'",
        ),
        ({"wire": "v2", "model": "m", "request": {"messages": [{"role": "system", "content": 1}]}}, "model='m'"),
        ({"wire": "v2", "model": "m", "request": {"messages": 7}}, "model='m'"),
        ({}, ""),
        ({"wire": "v1", "model": "gone", "endpoint": "../x", "request": {"temperature": 1}}, ""),
        (
            {"wire": "v2", "model": "m", "request": {"temperature": "hot", "x": 1, "stop": None}},
            "model='m', extra={'temperature': 'hot', 'x': 1, 'stop': None}",
        ),
        (
            {
                "wire": "v2",
                "model": "m",
                "request": {"max_completion_tokens": 9, "stream": True, "stream_options": {"include_usage": True}},
            },
            "model='m', max_output_tokens=9",
        ),
        (
            {"wire": "v2", "model": "ernie-5.0", "request": {"enable_thinking": True, "stream_options": {}}},
            "model='ernie-5.0', enable_thinking=True, extra={'stream_options': {}}",
        ),
    ],
)
def test_export_script_names_model_as_requested(answer, shown):
    script = exported(Conversation(turns=(Turn("hi", Answer("ok", **answer)),)), ".py")
    expected = f", {shown})" if shown else ")"
    assert f"client.ask(question, history=conversation{expected}\n" in script


# ---- .ipynb

ROWS = help_table().parameters
VALUES = {
    "string": TEXTS.filter(bool),
    "bool": st.booleans(),
    "int": st.integers(-(10**20), 10**20),
    "float": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-99, 99),
    "list": st.lists(TEXTS, max_size=3),
    "map": st.dictionaries(TEXTS, TEXTS, max_size=3),
    "object": st.dictionaries(TEXTS, JSON, max_size=3).filter(lambda value: "Infinity" not in json.dumps(value)),
    "array": st.lists(st.dictionaries(TEXTS, TEXTS, max_size=2), max_size=3),
    "switch": st.booleans() | st.just({"type": "enabled"}),
    "json": JSON.filter(lambda value: value is not None and "Infinity" not in json.dumps(value)),
}
OPTIONS = st.fixed_dictionaries({}, optional={name: VALUES[row.kind] for name, row in ROWS.items()}).flatmap(
    lambda options: st.permutations(list(options.items())).map(lambda items: dict(items[:4]))
)
MODELS = st.fixed_dictionaries(
    {}, optional={"model": TEXTS.filter(bool), "endpoint": st.just("a/b"), "api": st.just("v1")}
)


def asked_by(source):
    """What IPython and the engine make of a cell: the prompt and the options."""
    (node,) = ast.parse(TransformerManager().transform_cell(source)).body
    name, line, body = (ast.literal_eval(argument) for argument in node.value.args)
    assert name == "qianfan"
    arguments = parse_line(line)
    assert arguments.text == ""
    body = body.removesuffix("\n")
    if "raw" in arguments.flags:
        return body, dict(arguments.options)
    evaluated = {
        key: help_table().on_line[key].parse(render(value, {})) if isinstance(value, str) and "{{" in value else value
        for key, value in arguments.options.items()
    }
    return render(body, {}), evaluated


def same(left, right):
    return repr(left) == repr(right)  # True is not 1 here, and 1 not 1.0


@given(st.text(CHARACTERS, min_size=1) | st.sampled_from(PROMPTS), MODELS, OPTIONS)
def test_export_cell_sends_exact_values(prompt, models, options):
    options = {**models, **options}
    asked, read = asked_by(asking_cell(prompt, options))
    assert asked == prompt
    assert same(sorted(read.items()), sorted(options.items()))


@given(
    st.lists(
        st.sampled_from(["{{", "}}", "{", "}", ">>> ", "...", "...:", "\n", " ", "\t", "'", "\\", "a", "In [1]: "])
    )
)
def test_export_cell_escapes_prompt(parts):
    prompt = "".join(parts)
    assert asked_by(asking_cell(prompt, {"user_id": prompt or "x"})) == (prompt, {"user_id": prompt or "x"})


def test_export_cells_read_like_written_by_user():
    conversation = Conversation(
        turns=(*LEFT_OUT, turn("hi", request=REQUEST), turn("{{ x }}\n"), turn("你好", window=2))
    )
    first, second, third, fourth = sources(conversation)
    assert first == "%load_ext qfmagic"
    assert third == "%%qianfan model=yi_34b_chat raw\n{{ x }}\n\n"
    assert fourth == "%%qianfan model=yi_34b_chat context=2\n你好"
    assert asking_cell("hi", {"temperature": 0.5, "system": "You're it", "stop": ["a b"], "user_id": "x y"}) == (
        "%%qianfan temperature=0.5 system='You'\\''re it' stop='[\"a b\"]' user_id='x y'\nhi"
    )
    asked, options = asked_by(second)
    assert asked == "hi"
    assert options == {"model": "yi_34b_chat"} | {name: REQUEST[name] for name in REQUEST if name != "stream"}


@given(CONVERSATIONS)
def test_export_notebook_is_valid(conversation):
    notebook = json.loads(exported(conversation, ".ipynb"))
    nbformat.validate(notebook)
    assert exported(conversation, ".ipynb") == exported(conversation, ".ipynb")
    cells = ["".join(cell["source"]) for cell in notebook["cells"]]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in notebook["cells"])
    assert [asked_by(cell)[0] for cell in cells[1:]] == prompts(conversation)


@pytest.mark.kernel
def test_export_notebook_runs_and_sends_same_requests(monkeypatch):
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "stub")
    request = {"temperature": 0.5, "system": "line 1\nline 2", "stop": ["x y"]}
    fiction = {"model": "ernie-char-fiction-8k", "endpoint": "ernie-char-fiction-8k", "request": request}
    conversation = Conversation(turns=(*(turn(p) for p in PROMPTS), *LEFT_OUT, turn("{{ 1 }} last", **fiction)))
    notebook = nbformat.reads(exported(conversation, ".ipynb"), as_version=4)
    told = "import json\nprint(json.dumps(_.request))"
    notebook.cells.append(nbformat.v4.new_code_cell(told))
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    sent = json.loads(notebook.cells[-1].outputs[0]["text"])
    assert [message["content"] for message in sent["messages"][::2]] == prompts(conversation)
    assert {name: sent[name] for name in request} == request


# ---- .md

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "```\n<img src=x onerror=alert(1)>",
    "~~~\n```\n<svg/onload=alert(1)>",
    "[r]\n\n[r]: javascript:alert(1)",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/?leak)",
    "[\n```\n]: x\n<img src=x onerror=alert(1)>\n```",
    '[a]: https://a.example "\n\n```\n"\n<img src=x onerror=alert(1)>\n```',
    "`<img src=x onerror=alert(1)>",
    "<!-- ",
    "- a\n\n    ```\n<img src=x onerror=alert(1)>",
    "\t```\n\n```\n<img src=x onerror=alert(1)>\n```",
    "hi\r<b>x</b>",
]


@given(st.lists(st.tuples(*[st.sampled_from(HOSTILE) | TEXTS] * 3), max_size=4), st.sampled_from(HOSTILE))
def test_export_document_is_inert(parts, name):
    conversation = Conversation(name, tuple(turn(p, f"{a}.", model=model) for p, a, model in parts))
    assert markdown_faults(exported(conversation, ".md")) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_export_document_question_is_inert(text):
    assert markdown_faults(exported(Conversation("main", (turn(text, "fine"),)), ".md")) == []


def test_export_document_is_readable():
    asked = (turn("介绍下长城\n\n快", "**长城**", usage=Usage(1, 2, 3)), *LEFT_OUT, turn("bye", "Bye!", model=""))
    document = exported(Conversation("main", asked), ".md")
    assert document == (
        "# main\n\n## ◈ 1\n\n> 介绍下长城\n>\n> 快\n\n**长城**\n\n◈ *yi\\_34b\\_chat · 3 tokens*\n\n## ◈ 6\n\n> bye\n\nBye!\n\n"
        "## ◈ Not in the history\n\n- Turn 2: failed\n- Turn 3: interrupted\n"
        f"- Turn 4: {i18n.text('removed.dropped')}\n"
        "- Turn 5: the model returned an empty answer\n"
    )
    assert "- 第 3 轮：已中断" in exported(Conversation("main", asked), ".md", "zh")
    assert "Not in the history" not in exported(Conversation(turns=(turn("hi"),)), ".md")


# ---- the texts


@pytest.mark.parametrize("removed", ["deleted", "gone", "dropped", "undone", "flagged"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_export_names_each_reason_of_removal(removed, lang):
    conversation = Conversation(turns=(turn("x", removed=removed),))
    assert i18n.text(f"removed.{removed}", lang) in exported(conversation, ".md", lang)
    assert i18n.text(f"removed.{removed}", lang) in exported(conversation, ".py", lang)


def test_export_texts_match_in_both_languages():
    for key, texts in i18n.messages().items():
        if key.startswith(("import.", "export.", "removed.")):
            english, chinese = (
                {name for _, name, _, _ in Formatter().parse(texts[lang]) if name} for lang in ("en", "zh")
            )
            assert english == chinese, key


def test_parameters_of_all_models_are_allowed_on_line():
    assert set(registry().parameter_names()) <= set(help_table().on_line)


@pytest.mark.parametrize("suffix", [".md", ".jsonl", ".py", ".ipynb"])
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("nowhere/a", "No such file"),
        ("x" * 300, "name too long"),
        ("folder", "Is a directory"),
        ("/dev/full/a", "Not a directory"),
    ],
)
def test_export_to_unwritable_place_is_one_line_of_error(shell, tmp_path, monkeypatch, suffix, place, reason):
    monkeypatch.chdir(tmp_path)
    for one in (".md", ".jsonl", ".py", ".ipynb"):
        (tmp_path / f"folder{one}").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OptionError, match=reason) as caught:
        shell.run_line_magic("qf", f"export {place}{suffix}")
    assert caught.value.key == "command.unwritten"
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_export_keeps_old_file_if_disk_is_full(shell, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    shell.run_line_magic("qf", "export a.md")
    (tmp_path / "a.md").chmod(0o640)
    before = (tmp_path / "a.md").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("qfmagic.transport.cassette.whole_files.Path.replace", full)
        with pytest.raises(OptionError, match="No space left"):
            shell.run_line_magic("qf", "export a.md")
    assert (tmp_path / "a.md").read_bytes() == before
    shell.run_line_magic("qf", "export a.md")
    assert (tmp_path / "a.md").stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["a.md"]

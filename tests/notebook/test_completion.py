"""What Tab offers: by the pure function, in a plain shell, and as a front end gets it from a kernel."""

import itertools
from pathlib import Path

import IPython
import pytest
from IPython.core.completer import CompletionContext, provisionalcompleter, rectify_completions

from qfmagic.core.conversation import Conversation
from qfmagic.core.models import registry
from qfmagic.notebook import magics as magics_module
from qfmagic.notebook.completion import candidates, matcher, place
from qfmagic.notebook.parsing.option_table import help_table
from qfmagic.notebook.session.session import Session
from qfmagic.testing.harness import magics_of

V1 = "%%qianfan model=yi_34b_chat "


class Thing:
    colour = 1
    _hidden = 2

    @property
    def trap(self):
        raise AssertionError("evaluated")


@pytest.fixture
def session():
    session = Session({"QFMAGIC_TRANSPORT": "stub"})
    session.chats.conversations.update({name: Conversation(name) for name in ("main", "poems", "my talk")})
    yield session
    session.close()


@pytest.fixture
def tab(session):
    """Press Tab at the ``|``; return what the text may become from there back to the fragment's start."""

    def press(marked, **namespace):
        code, offset = _at_cursor(marked)
        above = code[:offset].split("\n")
        here = place(code, len(above) - 1, len(above[-1]))
        if here is None:
            return None
        offer = candidates(here, session, namespace)
        assert code[:offset].endswith(offer.fragment)
        return offer.texts

    return press


def _at_cursor(marked):
    offset = marked.index("|")
    return marked[:offset] + marked[offset + 1 :], offset


# ---- whose text it is


@pytest.mark.parametrize(
    "marked",
    [
        "mo|",
        "model = mo|",
        "%%timeit mo|",
        "%%qianfan|",
        "%%qian|",
        "%qf|",
        "%qfx se|",
        "%%qianfanx mo|",
        "x % qf|",
        "x = 1\n%%qianfan mo|",
        "# %qf se|",
        "|%qf se",
        "%|%qianfan model=x",
        "%%qianfan\nmo|",
        "%%qianfan\n%qianfan mo|",
        "%%qianfan\n{{ x }} mo|",
        "%%bash\n{{ x|",
        "{{ x|",
        "|",
        "\n|",
    ],
)
def test_completion_ignores_other_text(tab, marked):
    assert tab(marked) is None


@pytest.mark.parametrize(
    "start",
    [
        "%%qianfan ",
        "\n\n%%qianfan ",
        "%qianfan ",
        "  %qianfan ",
        "x = 1\nif x:\n    y = %qianfan ",
        "a, b.c = %qianfan ",
        "d['x'] = %qianfan ",
        "%%time\n%qianfan ",
    ],
)
def test_completion_finds_options(tab, start):
    assert tab(f"{start}mo|") == ["model="]
    assert tab(f"{start}|\nbelow")[0] == "model="


# ---- options


def test_completion_offers_every_option_and_flag(tab):
    offered = tab(f"{V1}|")
    expected = [name if row.kind == "flag" else f"{name}=" for name, row in help_table().options.items()]
    assert offered[: len(expected) - 1] == [name for name in expected if name != "model="]
    assert {"temperature=", "top_p=", "stop="} <= set(offered)
    assert tab("%%qianfan on|") == ["once"]
    assert tab("%%qianfan MO|") == ["model="]
    assert tab("%%qianfan zzz|") == []


@pytest.mark.parametrize("model", [*registry().models])
def test_completion_offers_parameters_of_model(tab, model):
    offered = set(tab(f"%%qianfan model={model} |"))
    taken = next(iter(registry().find(model).apis.values())).parameters
    assert {name for name in help_table().parameters if f"{name}=" in offered} == {*taken, "extra"}


def test_completion_reads_model_from_line_or_settings(tab, session):
    limits = ["max_output_tokens=", "max_tokens=", "max_completion_tokens="]
    assert tab("%%qianfan max_|") == limits
    assert tab(f"{V1}max_|") == []
    assert tab("%%qianfan max_| model=yi_34b_chat") == []
    assert tab('%qianfan max_| model="yi_34b_chat" and a question') == []
    session.preferences.changed["model"] = "yi_34b_chat"
    assert tab("%%qianfan max_|") == []
    assert tab("%%qianfan model=glm-5.3 max_|") == limits
    own = registry().target(None, "mine").parameters
    offered = tab("%%qianfan endpoint=mine |")
    session.preferences.changed.clear()
    session.preferences.changed["endpoint"] = "mine"
    assert offered == [name for name in tab("%%qianfan |") if name != "endpoint="]
    assert {name for name in help_table().parameters if f"{name}=" in offered} == {*own, "extra"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("thinking=|", ["on", "off"]),
        ("reasoning_effort=h|", ["high"]),
        ("reasoning_effort=| model=deepseek-v4-pro", ["high", "max"]),
        ("response_format=j|", ["json_object"]),
        ("enable_thinking=t|", ["true"]),
        ("seed=|", []),
    ],
)
def test_words_of_a_parameter_are_those_the_model_takes(tab, line, words):
    assert tab(f"%%qianfan {line}") == words


def test_completion_works_on_incomplete_line(tab):
    assert tab("%%qianfan model=rwkv_4_world end|") == ["endpoint="]
    assert tab("%%qianfan model=rwkv_4_world te|") == ["temperature="]
    assert tab("%%qianfan model=nowhere api=v1 te|") == ["temperature="]
    assert tab("%%qianfan model=nowhere seed|") == ["seed="]
    assert tab("%%qianfan model=yi_34b_chat api=v9 te|") == ["temperature="]


def test_completion_skips_given_options(tab):
    assert tab("%%qianfan model=x mo|") == []
    assert tab("%%qianfan mo| model=x") == []
    assert tab("%%qianfan once on|") == []
    assert tab("%%qianfan on| once") == []
    assert tab("%%qianfan on|ce") == ["once"]
    assert tab("""%%qianfan stop=["a b", "c"] system='you are once' on|""") == ["once"]
    assert tab("%%qianfan system={{ a + b }} sys|") == []


def test_completion_stops_where_prompt_begins(tab):
    assert tab("%qianfan once Tell mo|") == []
    assert tab("%qianfan -- mo|") == []
    assert tab("x = %qianfan model=a Which model=|") == []
    assert tab("%qianfan onc| model=what is the model of") == ["once"]


def test_completion_stops_in_open_quote(tab):
    assert tab('%%qianfan system="you are mo|') == []
    assert tab('%%qianfan mo| system="you are') == ["model="]


# ---- values


def test_completion_offers_models_and_aliases(tab):
    assert tab("%%qianfan model=yi|") == ["yi_34b_chat", "yi-34b-chat"]
    assert tab("%%qianfan model=deepseek-v4-f|")[0] == "deepseek-v4-flash"
    assert {model.name for model in registry().offered()} <= set(tab("%%qianfan model=|"))
    assert tab("%%qianfan model=ernie-lite|") == []
    assert tab("%%qianfan model=ernie\\ |") == []


def test_completion_quotes_values(tab):
    assert tab("%%qianfan chat=m|") == ["main", '"my talk"']
    assert tab('%%qianfan chat="my t|') == ['"my talk"']
    assert tab('%%qianfan chat="my t|"') == ['"my talk']
    assert tab("%%qianfan chat='my t|") == ["'my talk'"]


def test_completion_skips_names_that_cannot_be_quoted(tab, session):
    session.chats.conversations['a "b'] = Conversation('a "b')
    assert tab("%%qianfan chat=a|") == []
    assert tab("%%qianfan chat='a|") == ["'a \"b'"]


@pytest.mark.parametrize(
    ("marked", "values"),
    [
        ("api=|", ["v1", "v2"]),
        ("format=|", ["markdown", "text", "json", "code", "html"]),
        ("format=m|", ["markdown"]),
        ("stream=|", ["true", "false"]),
        ("enable_user_memory=t|", ["true"]),
        ("context=|", ["all", "none"]),
        ("chat=p|", ["poems"]),
        ("temperature=|", []),
        ("into=|", []),
        ("nonsense=|", []),
        ("once=|", []),
    ],
)
def test_completion_offers_values(tab, marked, values):
    for magic in ("%%qianfan", "%qianfan", "x = %qianfan once"):
        assert tab(f"{magic} {marked}") == values


# ---- %qf


def test_completion_offers_commands(tab):
    assert tab("%qf |") == list(help_table().commands)
    assert tab("%qf se|\nbelow") == ["set", "settings"]
    assert tab("%qf  mod|") == ["models"]
    assert tab("%qf nonsense |") == []
    assert tab("%qf settings |") == []


def test_completion_offers_settings(tab, session):
    assert tab("%qf set te|") == ["temperature="]
    assert tab("%qf set model=yi_34b_chat max_|") == []
    assert tab("%qf set lang=|") == ["en", "zh", "auto"]
    assert tab("%qf set nest_asyncio=|") == ["true", "false"]
    assert tab("%qf set model=yi|") == ["yi_34b_chat", "yi-34b-chat"]
    assert tab("%qf set lang=en la|") == []
    assert set(tab("%qf set |")) <= {f"{name}=" for name in help_table().settable}
    assert tab("%qf set into|") == []
    assert tab("%qf set system={{ x|", x=1) == []
    assert tab("%qf unset te|") == ["temperature"]
    assert tab("%qf unset temperature te|") == []
    session.preferences.changed.update(model="yi_34b_chat", max_output_tokens=5)
    assert tab("%qf set max_|") == []
    assert tab("%qf unset max_|") == ["max_output_tokens"]  # set for another model


def test_completion_offers_arguments_of_commands(tab):
    assert tab("%qf models yi|") == ["yi_34b_chat", "yi-34b-chat"]
    assert tab("%qf models liv|") == ["live"]
    assert tab("%qf transport |")[:2] == ["live", "stub"]
    assert tab("%qf transport s|") == ["stub"]
    assert tab("%qf reset p|") == ["poems"]
    assert tab("%qf reset m|") == ["main", '"my talk"']
    assert tab("%qf history ch|") == ["chat="]
    assert tab("%qf history chat=p|") == ["poems"]
    assert set(tab("%qf help |")) >= {"models", "once", "temperature", "lang"}
    assert tab("%qf help tr|") == ["transport"]


# ---- expressions


@pytest.mark.parametrize(
    "start",
    [
        "%%qianfan\nSay {{ ",
        "%%qianfan once\nWhat's\n\nthe {{ 1 }} and {{",
        "%%qianfan\n{{ f(",
        "%%qianfan\n{{ [1,\n  ",
        "%%qianfan\n\\frac{{{ 1 + ",
        "%%qianfan system={{",
        '%%qianfan system="say {{ ',
        "%qianfan once What's {{ ",
        "x = %qianfan {{",
    ],
)
def test_completion_offers_names_in_expressions(tab, start):
    assert tab(f"{start}th|", thing=Thing(), other=1) == ["thing"]
    assert tab(f"{start}|", thing=Thing(), other=1, _private=2) == ["other", "thing"]
    assert tab(f"{start}_p|", thing=Thing(), _private=2) == ["_private"]
    assert tab(f"{start}thing.|", thing=Thing()) == ["colour", "trap"]
    assert tab(f"{start}thing.co|", thing=Thing()) == ["colour"]
    assert tab(f"{start}thing._h|", thing=Thing()) == ["_hidden"]
    assert tab(f"{start}thing.colour.r|", thing=Thing()) == ["real"]
    assert tab(f"{start}数|", 数据=1) == ["数据"]


@pytest.mark.parametrize("end", ["f().co|", "x[0].co|", "3.co|", "'th|", '"a th|', "(thing).co|", "x }} th|"])
def test_completion_evaluates_no_calls(tab, end):
    assert not tab("%%qianfan\n{{ " + end, thing=Thing(), x=[Thing()], f=Thing)


def test_completion_offers_no_expressions_with_raw(tab):
    assert tab("%%qianfan raw\n{{ th|", thing=1) == []
    assert tab("%qianfan raw {{ th|", thing=1) == []


# ---- in a shell


@pytest.fixture
def complete(shell):
    """The shell's own completion; returns the texts a user could end up with."""

    def press(marked):
        code, offset = _at_cursor(marked)
        with provisionalcompleter():
            found = list(rectify_completions(code, shell.Completer.completions(code, offset)))
        return [code[: each.start] + each.text + code[each.end :] for each in found]

    return press


@pytest.mark.parametrize("jedi", [True, False])
def test_completion_works_in_shell(shell, complete, jedi):
    shell.Completer.use_jedi = jedi
    shell.user_ns["thing"] = Thing()
    for before, after in [
        ("%%qianfan mo|\nbody", "%%qianfan model=\nbody"),
        ("%%qianfan model=yi|\nbody", "%%qianfan model=yi_34b_chat\nbody"),
        ("%%qianfan model=ernie-5.0-t|", "%%qianfan model=ernie-5.0-thinking-latest"),
        (f"{V1}te|\nbody", f"{V1}temperature=\nbody"),
        ("%qf se|", "%qf set"),
        ('x = %qianfan model="ERNIE-5.0-t|', 'x = %qianfan model="ernie-5.0-thinking-latest"'),
        ("%qf models ret|", "%qf models retired"),
        ("%%qianfan\nWhat's {{ th|", "%%qianfan\nWhat's {{ thing"),
        ("%%qianfan\nWhat's {{ thing.|", "%%qianfan\nWhat's {{ thing.colour"),
        ("%%qianfan\nSay {{ thing.co|", "%%qianfan\nSay {{ thing.colour"),
    ]:
        # IPython 8 without Jedi lists attributes under another fragment: there they stand twice.
        most = 1 if jedi or IPython.version_info >= (9,) else 2
        assert 1 <= complete(before).count(after) <= most, before


def test_completion_keeps_other_completers(shell, complete):
    shell.user_ns["setter"] = 1
    assert "%qf set_env" not in complete("%qf set|")
    assert "%set_env" in complete("%set_e|")
    assert "%%qianfan" in complete("%%qianf|")
    assert "setter" in complete("sett|")
    Path("tests.txt").touch()
    assert "%%qianfan tests.txt" in complete("%%qianfan te|")
    assert f"{V1}temperature=" in complete(f"{V1}te|")


def test_completion_supports_legacy_call(shell, complete):
    line = "%qianfan model=yi"
    with pytest.warns(PendingDeprecationWarning):
        completed = shell.complete("", line, len(line))
    assert completed == ("yi", ["yi_34b_chat", "yi-34b-chat"])


def test_completion_does_not_load_engine_for_other_cells(shell):
    calls = []

    def refuse():
        calls.append(1)
        raise AssertionError("asked for")

    asked = matcher(shell, refuse)
    completer = shell.Completer
    completer.custom_matchers[:] = [asked]
    for code in ("mo", "%%time", "%%qianfan\nprose"):
        with provisionalcompleter():
            list(completer.completions(code, len(code)))
    completer.custom_matchers[:] = [magics_of(shell).completing]
    assert calls == []


def test_completion_never_raises(shell, complete, monkeypatch, capsys):
    shell.user_ns["broken"] = type("Broken", (), {"__dir__": lambda _: 1 / 0})()
    ask = shell.Completer.custom_matchers[-1]
    pieces = ["%%qianfan", "%qf", "%qianfan ", " ", "\n", "{{", "broken.", '"', "model=", "=", "[", "\\", "set ", "}}"]
    for parts in itertools.product(pieces, repeat=4):
        code = "".join(parts)
        lines = code.split("\n")
        ask(CompletionContext("", code, len(lines[-1]), len(lines) - 1, None))
    assert complete("%%qianfan\n{{ broken.|") == []
    monkeypatch.setattr(magics_module.QianfanMagics, "engine", property(lambda _: 1 / 0))
    assert "%qf set" not in complete("%qf se|")
    assert "Traceback" not in "".join(capsys.readouterr())


# ---- in a kernel


def test_completion_works_in_front_end(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    assert kernel.run("ours = [1, 2]").status == "ok"

    def accepted(marked):
        code, offset = _at_cursor(marked)
        content = kernel.client.complete(code, offset, reply=True, timeout=30)["content"]
        assert content["status"] == "ok"
        start, end = content["cursor_start"], content["cursor_end"]
        return [code[:start] + match + code[end:] for match in content["matches"]]

    body = "\n介绍下 the body"
    assert accepted(f"%%qianfan mo|{body}")[0] == f"%%qianfan model={body}"
    assert accepted(f"%%qianfan model=yi|{body}")[:2] == [
        f"%%qianfan model=yi_34b_chat{body}",
        f"%%qianfan model=yi-34b-chat{body}",
    ]
    assert f"{V1}temperature={body}" in accepted(f"{V1}te|{body}")
    assert f"{V1}temperature=0.5 top_p={body}" in accepted(f"{V1}temperature=0.5 to|{body}")
    assert f"%%qianfan model=ernie-5.0-thinking-latest{body}" in accepted(f"%%qianfan model=ernie-5.0-t|{body}")
    assert {"%qf set\nprint(1)", "%qf settings\nprint(1)"} <= set(accepted("%qf se|\nprint(1)"))
    assert "x = %qianfan format=markdown" in accepted("x = %qianfan format=ma|")
    assert f"%%qianfan\n中文's {{{{ ours.append }}}}{body}" in accepted(f"%%qianfan\n中文's {{{{ ours.app| }}}}{body}")
    assert kernel.run("%%qianfan model=yi_34b_chat chat=poems\nhi").status == "ok"
    assert "%qf reset poems" in accepted("%qf reset po|")

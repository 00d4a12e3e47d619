"""Several models at once: model=a,b on %%qianfan, and %%qf compare."""

import json
import os
import re
import signal
import threading
from itertools import dropwhile

import pytest

from qfmagic.core.errors import (
    BudgetError,
    ExpectationError,
    InputError,
    OptionError,
    PromptError,
    QianfanError,
    SchemaError,
)
from qfmagic.core.i18n import text as text_of
from qfmagic.notebook.ask import several
from qfmagic.notebook.ask.question import prepare
from qfmagic.notebook.ask.sending import RunningRequest
from qfmagic.notebook.conversation.cell_order import RunningCell
from qfmagic.notebook.conversation.journal import Journal
from qfmagic.notebook.output.views import MultiView, View
from qfmagic.testing.harness import magics_of
from qfmagic.transport.stub.reply import Reply
from tests.support.html_judge import OURS, markdown_faults, outlines
from tests.support.services import refusal, serve, v2
from tests.support.services import session_of as session

CONTINUES = text_of("compare.continues", "en", model="m")


@pytest.fixture
def service(shell, monkeypatch):
    found = serve(shell, monkeypatch)
    found.answers = {"m": v2("the wall is long", "m"), "other": v2("The wall is very long.", "other", 11, 21)}
    return found


@pytest.fixture
def published(shell, monkeypatch):
    """The bundles that stay, and their metadata."""
    found = []
    front = magics_of(shell).engine.cell.front
    monkeypatch.setattr(front, "conclude", lambda bundle, metadata: found.append((bundle, metadata)))
    return found


def ask(shell, line="model=m,other", text="How long is it?"):
    return shell.run_cell_magic("qianfan", line, text)


def compare(shell, line="models=m,other", text="How long is it?"):
    return shell.run_cell_magic("qf", f"compare {line}", text)


def table(bundle):
    return [line.split() for line in bundle["text/plain"].split("\n\n")[0].splitlines()]


# ---- what is asked, and what stays


def test_compare_sends_same_prompt_and_shows_table(shell, service, published):
    compare(shell)
    assert sorted(body["model"] for body in service.bodies) == ["m", "other"]
    assert [body["messages"] for body in service.bodies] == [[{"role": "user", "content": "How long is it?"}]] * 2
    ((bundle, metadata),) = published
    assert table(bundle) == [
        ["model", "characters", "prompt", "tokens", "answer", "tokens", "end", "agreement"],
        ["m", "16", "10", "20", "stop", "0.89"],
        ["other", "22", "11", "21", "stop", "0.89"],
    ]
    assert "--- m\n  the wall is long\n\n--- other\n  The wall is very long." in bundle["text/plain"]
    marked = "---\n\n**m**\n\n{}\n\nthe wall is long\n\n{}\n\n---\n\n**other**\n\n{}\n\nThe wall is very long.\n\n{}"
    assert marked.format(*["<blockquote>", "</blockquote>"] * 2) in bundle["text/markdown"]
    assert "0 of 1 pair identical word for word" in bundle["text/plain"]
    origin = metadata["qfmagic"]
    assert (origin["model"], origin["chat"], origin["others"][0]["model"]) == ("m", None, "other")


def test_compare_output_is_equal_on_every_run(shell, service, published):
    compare(shell)
    compare(shell)
    assert published[0][0] == published[1][0]
    assert "second" not in published[0][0]["text/plain"]


def test_compare_into_binds_frame(shell, service):
    compare(shell, "models=m,other n=2 into=found")
    found = shell.user_ns["found"]
    assert list(found.columns)[:4] == ["model", "n", "answer", "error"]
    assert found[["model", "n", "completion_tokens"]].to_numpy().tolist() == [
        ["m", 1, 20],
        ["m", 2, 20],
        ["other", 1, 21],
        ["other", 2, 21],
    ]
    assert (found.seconds >= 0).all()


def test_compare_into_binds_list_without_pandas(shell, service, monkeypatch):
    monkeypatch.setattr("qfmagic.notebook.ask.comparison.find_spec", lambda _: None)
    compare(shell, "models=m,other into=found quiet")
    assert [row["answer"] for row in shell.user_ns["found"]] == ["the wall is long", "The wall is very long."]


def test_compare_n_repeats_and_counts_answers(shell, service, published):
    said = iter(["one", "two", "three"])
    service.answers["m"] = lambda _: v2(next(said), "m")
    compare(shell, "models=m n=3")
    bundle = published[0][0]
    assert table(bundle)[1][:2] == ["m", "3/3"]
    assert "--- m · 1\n  one\n\n--- m · 2\n  two\n\n--- m · 3\n  three" in bundle["text/plain"]


def test_compare_is_outside_of_conversation(shell, service, published):
    ask(shell, "model=m", "first")
    compare(shell)
    assert [turn.prompt for turn in session(shell).chats.get("main").turns] == ["first"]
    assert len(service.bodies[-1]["messages"]) == 1


def test_compare_supports_braces_parameters_quiet_and_dry(shell, service, capsys, published):
    shell.user_ns["word"] = "wall"
    compare(shell, "models=m,other temperature=0.5 system='be {{ word }}' quiet", "a {{ word }}")
    assert {body["temperature"] for body in service.bodies} == {0.5}
    assert service.bodies[0]["messages"] == [
        {"role": "system", "content": "be wall"},
        {"role": "user", "content": "a wall"},
    ]
    compare(shell, "models=m raw quiet", "a {{ word }}")
    assert service.bodies[-1]["messages"][0]["content"] == "a {{ word }}"
    count = len(service.bodies)
    compare(shell, "models=m,other dry")
    assert capsys.readouterr().out.count("POST ") == 2
    assert len(service.bodies) == count
    assert published == []


def test_compare_options_accept_braces(shell, service, moods):
    shell.user_ns.update(names="m,other", times=2)
    compare(shell, "models={{ names }} n={{ times }} into='{{ 'fo' + 'und' }}' quiet")
    assert shell.user_ns["found"].n.tolist() == [1, 2, 1, 2]
    compare(shell, "models={{ names }} over={{ reviews }} n={{ times - 1 }} into={{ 'rows' }} quiet", MOOD)
    assert len(shell.user_ns["rows"]) == 6


def test_compare_evaluates_option_once(shell, service, moods):
    said = []
    shell.user_ns["system"] = lambda: said.append(1) or "be brief"
    compare(shell, "models=m,other over=reviews n=2 system={{ system() }} quiet", MOOD)
    assert said == [1]


def test_compare_supports_formats(shell, service, published):
    service.answers["m"] = v2('{"a": 1}', "m")
    compare(shell, "models=m,other format=json")
    assert '"a": 1\n}' in published[0][0]["text/markdown"]
    shell.run_line_magic("qf", "set format=html")  # of the notebook's own, what one output can't hold is passed over
    compare(shell)
    assert "text/html" not in published[1][0]


# ---- model=a,b


def test_several_models_continue_with_first_answer(shell, service, published):
    ask(shell, "model=m", "before")
    answer = ask(shell)
    assert answer.text == "the wall is long"
    assert [len(body["messages"]) for body in service.bodies] == [1, 3, 3]  # both have seen what went before
    assert CONTINUES in published[0][0]["text/plain"]
    ask(shell, "model=other", "after")
    assert [message["content"] for message in service.bodies[-1]["messages"][2:]] == [
        "How long is it?",
        "the wall is long",
        "after",
    ]
    origin = published[0][1]["qfmagic"]
    assert (origin["chat"], origin["turn"], origin["others"][0]["chat"]) == ("main", 2, None)


def test_several_models_with_once_add_no_turn(shell, service, published):
    ask(shell, "model=m,other once")
    assert session(shell).chats.get("main").turns == ()
    assert CONTINUES not in published[0][0]["text/plain"]


def test_several_models_result_is_first_answer(shell, service, capsys):
    shell.run_cell("%%qianfan model=m,other into=both\nhi", store_history=True)
    assert capsys.readouterr().out.count("the wall is long") == 1
    assert shell.user_ns["_"].text == "the wall is long"
    assert list(shell.user_ns["both"].model) == ["m", "other"]


def test_several_models_must_all_match_expect(shell, service):
    ask(shell, "model=m,other expect=/long/")
    with pytest.raises(ExpectationError, match="Beginning of the answer: the wall is long"):
        ask(shell, "model=m,other expect=/very/")


def test_several_models_work_on_a_line(shell, service, published):
    shell.run_line_magic("qianfan", "model=m,other How long is it?")
    assert len(published) == 1


# ---- what goes wrong


def test_compare_failed_model_keeps_others(shell, service, published):
    service.answers["other"] = refusal()
    compare(shell, "models=m,other into=found")
    shown = published[0][0]["text/plain"]
    assert "the wall is long" in shown
    assert "--- other\nno answer:" in shown
    assert table(published[0][0])[2] == ["other", "-", "-", "-", "AccessError"]
    assert shell.user_ns["found"].error.notna().tolist() == [False, True]


def test_compare_shows_usage_of_empty_answer(shell, service, published):
    service.answers["m"] = v2("", "m", 10, 50)
    compare(shell)
    assert table(published[0][0])[1] == ["m", "-", "10", "50", "stop"]


def test_compare_fails_if_all_models_fail(shell, service, published):
    service.answers = {"m": refusal(message="first"), "other": refusal(message="second")}
    with pytest.raises(QianfanError, match="first"):
        compare(shell, "models=m,other into=found")
    assert len(published) == 1
    assert len(shell.user_ns["found"]) == 2


def test_several_models_failed_first_model_fails_cell(shell, service, published):
    service.answers["m"] = refusal()
    with pytest.raises(QianfanError):
        ask(shell, "model=m,other into=both")
    assert "The wall is very long." in published[0][0]["text/plain"]
    assert text_of("compare.left_alone", "en", model="m") in published[0][0]["text/plain"]
    assert session(shell).chats.get("main").history == ()
    assert shell.user_ns["both"].answer.notna().tolist() == [False, True]
    assert published[0][1]["qfmagic"]["model"] == "other"


def ended(text, model, finish):
    """A reply that ends with *finish*; or, with None, just breaks off."""
    whole = v2(text, model)
    first = whole.chunks[0].replace(b'"stop"', b"null" if finish is None else f'"{finish}"'.encode())
    return Reply((first, *(whole.chunks[1:] if finish else ())), 200, whole.headers)


def test_several_models_keep_interrupted_answer(shell, service, published):
    service.answers["m"] = ended("half of it", "m", None)
    ask(shell)
    shown = published[0][0]["text/plain"]
    assert "half of it" in shown
    assert text_of("note.incomplete", "en") in shown
    assert CONTINUES not in shown
    assert [turn.state for turn in session(shell).chats.get("main").turns] == ["interrupted"]


def test_several_models_do_not_continue_with_empty_answer(shell, service, published):
    service.answers["m"] = v2("", "m")
    ask(shell)
    assert CONTINUES not in published[0][0]["text/plain"]
    assert session(shell).chats.get("main").history == ()


@pytest.mark.parametrize("finish", [None, "length"])
def test_continue_applies_to_turn_of_conversation_only(shell, service, published, capsys, finish):
    service.answers["other"] = ended("The wall", "other", finish)
    ask(shell)
    compare(shell)
    assert "The wall" in published[0][0]["text/plain"]
    assert not [bundle for bundle, _ in published if "%qf continue" in bundle["text/plain"]]
    assert ["ended early" in bundle["text/plain"] for bundle, _ in published] == [finish is None] * 2
    ask(shell, "model=other once")
    assert "%qf continue" not in capsys.readouterr().out
    service.answers["m"] = ended("the wall", "m", finish)
    ask(shell)
    assert published[-1][0]["text/plain"].count("%qf continue") == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("model=m,,other", "Empty name"),
        ("model=m,m", "Duplicate model m in model=m,m"),
        (
            "model=ERNIE-5.1,ernie-5.1",
            "Duplicate model ernie-5.1 in model=ERNIE-5.1,ernie-5.1 (ERNIE-5.1 and ernie-5.1)",
        ),
        ("model=m,other endpoint=x", "endpoint= cannot be used with several models"),
        ("model=m,other format=html", "format=html cannot be used with several models"),
        ("model=m,yi_34b_chat temperature=1.5", "Invalid temperature=1.5 for Yi-34B-Chat"),
        ("model=m,other into=1x", "into="),
    ],
)
def test_several_models_reject_prompt_before_sending(shell, service, line, said):
    with pytest.raises(InputError) as caught:
        ask(shell, line)
    assert said in str(caught.value)
    assert service.bodies == []


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("", OptionError, "Models required"),
        ("models=m,", OptionError, "Empty name"),
        ("models=m n=0", OptionError, "n=0"),
        ("models=m n=two", OptionError, "n=two"),
        ("models=m n='{{ 0 }}'", OptionError, "n=0"),
        ("models=Yi-34B-Chat,m,yi_34b_chat", OptionError, "Duplicate model yi_34b_chat"),
        ("models=m over=found raw", OptionError, "raw and over= cannot be combined"),
        ("models=m format=code", OptionError, "format=code"),
        ("models=m chat=x", OptionError, "'chat'"),
        ("models=m text", OptionError, "'text' is not an option"),
        ("models=m,yi_34b_chat top_k=-1", InputError, "top_k"),
    ],
)
def test_compare_rejects_invalid_lines(shell, service, line, kind, said):
    with pytest.raises(kind) as caught:
        compare(shell, line)
    assert said in str(caught.value)
    assert service.bodies == []


def test_compare_rejects_empty_prompt(shell, service):
    with pytest.raises(PromptError):
        compare(shell, text=" \n")


def test_several_models_are_rejected_in_settings(shell, service):
    for line in ("set model=a,b", "retry model=a,b"):
        with pytest.raises(OptionError, match="Several models in"):
            shell.run_line_magic("qf", line)
    assert "model" not in session(shell).preferences.changed
    magics_of(shell).model = "m,other"  # as %config does
    with pytest.raises(OptionError, match="Several models in model=m,other"):
        ask(shell, "")
    assert service.bodies == []
    ask(shell, "model=m")
    with pytest.raises(OptionError, match="%%qf compare on the first line"):
        shell.run_line_magic("qf", "compare models=a,b")


def test_compare_budget_covers_all_models_before_sending(shell, service):
    shell.run_line_magic("qf", "set budget=7tok")
    with pytest.raises(BudgetError, match="4 tokens reserved"):
        compare(shell)
    assert service.bodies == []


@pytest.mark.parametrize(("line", "budget"), [("model=m,other", 36), ("model=m", 33)])
def test_budget_stop_keeps_place_of_turn(shell, service, published, capsys, line, budget):
    """With several models as with one: what its cell answered before is no history, and it isn't told as deleted."""
    own = session(shell)

    def run(cell, line, text):
        own.begin_cell(RunningCell(cell), None)
        try:
            ask(shell, line, text)
        finally:
            own.end_cell()

    run("a", "model=m", "old")
    shell.run_line_magic("qf", f"set budget={budget}tok")
    with pytest.raises(BudgetError):
        run("a", line, "new question is here")
    turns = own.chats.get("main").turns
    assert [(turn.prompt, turn.state, turn.removed) for turn in turns] == [("new question is here", "failed", None)]
    shell.run_line_magic("qf", "unset budget")
    capsys.readouterr()
    run("b", "model=m", "after")
    assert "left out" not in capsys.readouterr().out


def test_compare_budget_stop_keeps_first_round(shell, service, published):
    shell.run_line_magic("qf", "set budget=64tok")
    with pytest.raises(BudgetError):
        compare(shell, "models=m,other n=2 into=found")
    assert list(shell.user_ns["found"].n) == [1, 1]
    assert len(service.bodies) == 2
    assert {call.kind for call in session(shell).meter.calls} == {"compare"}


def test_several_models_interrupt_keeps_answers(shell, service, published, monkeypatch):
    """One answer is whole, the other on its way when the user stops."""
    slow = v2("The wall", "other").chunks[0].replace(b'"stop"', b"null")
    service.answers["other"] = Reply((slow, v2(" is very long.", "other").chunks[0]), 200, v2("").headers)
    service.gates["other"] = gate = threading.Event()
    step = RunningRequest.step
    seen = []

    def stepped(self, *rest):
        patience = step(self, *rest)
        seen.append((self.question.plan.target.model, bool(self._unseen), self.ended))
        if {("other", True, False), ("m", False, True)} <= {(a, b and a == "other", c) for a, b, c in seen}:
            os.kill(os.getpid(), signal.SIGINT)
        return patience

    monkeypatch.setattr(RunningRequest, "step", stepped)
    try:
        with pytest.raises(KeyboardInterrupt):
            ask(shell, "model=m,other into=both")
    finally:
        gate.set()
    both = shell.user_ns["both"]
    assert both.answer.tolist() == ["the wall is long", "The wall"]
    assert both.finish.tolist() == ["stop", "interrupted"]
    assert [turn.state for turn in session(shell).chats.get("main").turns] == ["answered"]
    assert len(published) == 1


def test_stop_button_stops_one_model_then_run(shell, service, monkeypatch):
    """The other answers come whole; Run All doesn't go on."""
    monkeypatch.setattr(several, "VIEWS_APPEAR_S", 0)
    slow = v2("The wall", "other").chunks[0].replace(b'"stop"', b"null")
    service.answers["other"] = Reply((slow, slow), 200, v2("").headers)
    service.gates["other"] = gate = threading.Event()
    views = {}

    class Stopping(View):
        def __init__(self, model):
            self.model, self.came, self.left = model, "", None

        @property
        def stopped(self):
            return self.model == "other" and bool(self.came)

        def add(self, delta):
            self.came += delta.text

        def end(self, said=""):
            self.left = self.came

    class Seen(MultiView):
        def add(self, plan):
            return views.setdefault(plan.target.model, Stopping(plan.target.model))

    asks = [prepare(session(shell), "hi", {"model": name}, frozenset({"once"})) for name in ("m", "other")]
    shown = []
    try:
        with pytest.raises(KeyboardInterrupt):
            several.Several(session(shell), Seen(print)).run(asks, 3, shown.append)
    finally:
        gate.set()
    ((first, second),) = shown
    assert (first.answer.text, first.answer.finish_reason) == ("the wall is long", "stop")
    assert (second.answer.text, second.answer.finish_reason) == ("The wall", "interrupted")
    assert {name: view.left for name, view in views.items()} == {"m": "the wall is long", "other": "The wall"}


def test_several_models_store_partial_answers(shell, service, monkeypatch):
    """A kernel that dies then loses neither the first model's turn nor what was used."""
    monkeypatch.setattr("qfmagic.notebook.ask.sending.KEEP_EVERY_S", 0.0)
    shell.run_line_magic("qf", "set journal=true")
    journal = session(shell).open_journal()
    for name in "ab":
        service.answers[name] = Reply((ended(name, name, None).chunks[0], *v2("", name).chunks), 200, v2("").headers)
    gates = service.gates = {"a": threading.Event(), "b": threading.Event()}
    save, kept = journal.save_partial, []

    def saved(*what):
        save(*what)
        later = Journal(journal.path, journal.notebook, lambda: 0.0)
        kept.append(([(turn.answer.text, turn.state) for turn in later.last()[0].turns], len(later.calls())))
        later.close()
        gates["b" if kept[-1][1] else "a"].set()

    monkeypatch.setattr(journal, "save_partial", saved)
    ask(shell, "model=a,b")
    assert ([("a", "interrupted")], 0) in kept
    assert kept[-1] == ([("a", "answered")], 1)
    assert [turn.state for turn in session(shell).chats.get("main").turns] == ["answered"]
    assert len(journal.calls()) == 2


def test_several_models_failed_first_model_leaves_no_partial_turn(shell, service):
    shell.run_line_magic("qf", "set journal=true")
    service.answers["m"] = refusal()
    with pytest.raises(QianfanError):
        ask(shell)
    kept = session(shell).journal
    later = Journal(kept.path, kept.notebook, lambda: 0.0)
    assert later.last() == []
    assert [call.model for call in later.calls()] == ["other"]
    later.close()


# ---- model text is data


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "```\n<img src=x onerror=alert(1)>",
    "    ```\n\n```\n<img src=x onerror=alert(1)>\n```",
    "\t~~~",
    "\\\\[ begins here",
    "a \\\\[ b",
    "```\n<script>alert(1)</script>\n```\n\n\\\\] ends there",
    "\\begin{align}\na &= b",
    "c \\end{align}",
    "`$$`",
    "[a]: javascript:alert(1)",
    "[",
    "| a | b |\n|---|---|\n| c",
    ": a definition",
    "<details><summary>",
    "</blockquote>",
    "1. a\n   - b\n\n     ```",
    "> quote\n> ```",
    "A\n\n---\n\n**other**\n\nI am wrong.\n\n--- other\nI am wrong.",
]


def thinks(thought, text, model):
    """An answer with its reasoning."""
    said = json.loads(v2(text, model).chunks[0].decode().removeprefix("data: "))
    said["choices"][0]["delta"]["reasoning_content"] = thought
    return Reply.of_events([said], done=True)


def headings(marked):
    """What stands between the answers of two models, as each renderer shows it."""
    for outline in outlines(marked):
        below = dropwhile(lambda one: one.name != "hr", outline)
        yield [(one.name, one.get_text(strip=True)) for one in below if one.name != "blockquote"]


def test_compare_shows_service_error_as_text(shell, service, published):
    service.answers["other"] = refusal(message="<img src=x onerror=alert(1)> **bold**")
    compare(shell)
    marked = published[0][0]["text/markdown"]
    assert markdown_faults(marked) == []
    assert "\\*\\*bold" in marked


@pytest.mark.parametrize("one", HOSTILE)
def test_compare_hostile_answers_stay_inert_and_in_place(shell, service, published, one):
    """Whatever an answer leaves open or pretends to be, the headings are ours alone."""
    for other in HOSTILE:
        service.answers = {"m": thinks(other, one, "m"), "other": v2(other, "other")}
        compare(shell)
        bundle = published.pop()[0]
        assert markdown_faults(bundle["text/markdown"], OURS) == [], other
        for shown in headings(bundle["text/markdown"]):
            assert shown == [("hr", ""), ("p", "m"), ("hr", ""), ("p", "other")], other
        assert re.findall("(?m)^--- .*", bundle["text/plain"]) == ["--- m", "--- other"], other


def test_compare_notes_are_outside_of_answers(shell, service, published):
    service.answers["m"] = v2("", "m")
    compare(shell, "models=m,other format=json")
    marked, plain = (published[0][0][kind] for kind in ("text/markdown", "text/plain"))
    assert marked.endswith("\n\n</blockquote>\n\n◈ *invalid JSON*")
    assert plain.endswith("--- other\n  The wall is very long.\n\n[◈ invalid JSON]")


def test_compare_escapes_model_names(shell, service, published):
    compare(shell, "models='<b>x</b>,a|b'")
    bundle = published[0][0]
    assert markdown_faults(bundle["text/markdown"]) == []
    assert "a\\|b" in bundle["text/markdown"]


# ---- recordings


def test_compare_replays_recorded_answers(shell, service, published, tmp_path):
    said = iter(["one", "two", "three"])
    service.answers["m"] = lambda _: v2(next(said), "m")
    path = tmp_path / "n.qf.jsonl"
    shell.run_line_magic("qf", f"transport record {path}")
    compare(shell, "models=m,other n=3")
    shell.run_line_magic("qf", f"transport replay {path}")
    compare(shell, "models=m,other n=3")
    assert published[0][0] == published[1][0]
    assert len(service.bodies) == 6
    with pytest.raises(QianfanError, match="n.qf.jsonl"):
        compare(shell, "models=m,third", "Never asked")


# ---- in a kernel


def test_compare_live_views_end_as_one_table(start):
    kernel = start(QFMAGIC_TRANSPORT="stub", QFMAGIC_STUB_PACE="0.02")
    kernel.run("from qfmagic.notebook.ask import several\nseveral.PATIENCE = 0")
    question = "%%qf compare models=yi_34b_chat,ernie-5.1\nhello there"
    live = kernel.run(question, cell="a")
    assert live.status == "ok", live.error
    assert (live.opened >= 2, live.models) == (True, set())
    static = kernel.run(question)
    assert static.opened == 0
    assert len(live.outputs) == len(static.outputs) == 1
    assert live.outputs[0]["data"] == static.outputs[0]["data"]
    joined = kernel.run("%%qianfan model=yi_34b_chat,ernie-5.1\nhello there", cell="b")
    assert (joined.status, len(joined.outputs), joined.models) == ("ok", 1, set())
    assert joined.metadata["turn"] == 1
    rounds = kernel.run("%%qf compare models=yi_34b_chat,ernie-5.1 n=2\nhello {{ print('said') }}", cell="d")
    assert (rounds.status, len(rounds.outputs), rounds.models) == ("ok", 1, set())
    assert rounds.plain.count("--- yi_34b_chat") == 2
    assert rounds.stdout == "said\n", "what the cell printed stays"


# ---- over rows


@pytest.fixture
def moods(shell, service):
    """A service that tells moods, and a frame of reviews."""
    import pandas as pd

    def tell(model, wrong=()):
        def answer(body):
            review = body["messages"][-1]["content"].removeprefix("Mood of: ")
            return v2("negative" if "bad" in review or review in wrong else "positive", model)

        return answer

    service.answers = {"m": tell("m"), "other": tell("other", ("fine",))}
    shell.user_ns["reviews"] = pd.DataFrame({"text": ["good", "bad", "fine"]}, index=["x", "y", "z"])
    return shell.user_ns["reviews"]


MOOD = "Mood of: {{ text }}"


def test_compare_over_sends_each_row_to_each_model(shell, service, published, moods):
    compare(shell, "models=m,other over=reviews into=found", MOOD)
    bundle = published[0][0]
    assert table(bundle)[1:] == [
        ["m", "3/3", "8", "30", "60", "stop", "0.67"],
        ["other", "3/3", "8", "30", "60", "stop", "0.67"],
    ]
    assert "2 of 3 pairs identical word for word" in bundle["text/plain"]
    assert [line.split() for line in bundle["text/plain"].split("\n\n")[2].splitlines()] == [
        ["row", "m", "other"],
        ["x", "positive", "positive"],
        ["y", "negative", "negative"],
        ["z", "positive", "negative"],
    ]
    found = shell.user_ns["found"]
    wide = found.pivot_table(index="index", columns="model", values="answer", aggfunc="first")
    assert wide.loc["z"].tolist() == ["positive", "negative"]
    assert {call.kind for call in session(shell).meter.calls} == {"compare"}


@pytest.mark.parametrize(
    ("over", "count"),
    [
        ("reviews.head(1)", 1),
        ("reviews[:2]", 2),
        ("reviews[reviews['text']=='bad']", 1),
        ("'reviews[reviews.text == \"bad\"]'", 1),
        ("{{ reviews[reviews.text != 'bad'] }}", 2),
        ("'reviews'", 3),
        ('[{"text":"good"}]', 1),
    ],
)
def test_compare_over_accepts_data_like_map(shell, service, moods, over, count):
    compare(shell, f"models=m over={over} into=found quiet", MOOD)
    assert len(shell.user_ns["found"]) == count


def test_compare_over_reads_file(shell, service, moods, tmp_path):
    (tmp_path / "my reviews.csv").write_text("text\ngood\nbad\n", encoding="utf-8")
    compare(shell, f"models=m over='{tmp_path / 'my reviews.csv'}' into=found quiet", MOOD)
    assert len(shell.user_ns["found"]) == 2


def test_compare_over_supports_n(shell, service, published, moods):
    compare(shell, "models=m over=reviews n=2 into=found", MOOD)
    assert table(published[0][0])[1][1] == "6/6"
    assert shell.user_ns["found"].n.tolist() == [1, 1, 1, 2, 2, 2]


def test_compare_over_failed_model_keeps_others(shell, service, published, moods):
    service.answers["m"] = refusal()
    compare(shell, "models=m,other over=reviews into=found", MOOD)
    found = shell.user_ns["found"]
    assert found.groupby("model").answer.count().to_dict() == {"m": 0, "other": 3}
    assert found.error.notna().sum() == 3
    service.answers["other"] = refusal()
    with pytest.raises(QianfanError):
        compare(shell, "models=m,other over=reviews", MOOD)


def test_compare_over_rejects_invalid_lines(shell, service, moods):
    shell.user_ns["stream"] = iter(["a"])
    for line, body, said in (
        ("models=m over=nothing", MOOD, "nothing"),
        ("models=m over=review", MOOD, "Did you mean reviews"),
        ("models=m over=reviews into=1x", MOOD, "into=1x"),
        ("models=m over=reviews into=class", MOOD, "into=class"),
        ("models=m over=reviews", "no placeholder", "{{"),
        ("models=m over=reviews", "{{ txt }}", "text"),
        ("models=m over=stream", "{{ item }}", "only once"),
        ("models=m,yi_34b_chat over=reviews temperature=3", MOOD, "temperature=3"),
    ):
        with pytest.raises(InputError) as caught:
            compare(shell, line, body)
        assert said in str(caught.value)
    assert service.bodies == []


def test_compare_over_budget_stop_keeps_answers(shell, service, published, moods):
    shell.run_line_magic("qf", "set budget=70tok")
    with pytest.raises(BudgetError):
        compare(shell, "models=m,other over=reviews into=found", MOOD)
    found = shell.user_ns["found"]
    assert (len(found), 2 <= found.answer.count() < 6) == (6, True)
    assert len(service.bodies) == found.answer.count()


def test_compare_over_reports_missing_price_before_sending(shell, service, moods, tmp_path):
    (tmp_path / "p.toml").write_text('[[price]]\nmodel = "m"\ninput = 1\nper = 1000\n', encoding="utf-8")
    shell.run_line_magic("qf", f"set prices={tmp_path / 'p.toml'} budget=1CNY")
    with pytest.raises(BudgetError, match="No price for other"):
        compare(shell, "models=m,other over=reviews", MOOD)
    assert service.bodies == []


def test_compare_overshoot_is_reported_once(shell, service, published):
    shell.run_line_magic("qf", "set budget=40tok")
    compare(shell)
    assert "budget of 40 tokens exceeded by 22 tokens" in published[0][0]["text/plain"]


def test_compare_over_overshoot_is_reported(shell, service, published, moods):
    shell.run_line_magic("qf", "set budget=20tok")
    with pytest.raises(BudgetError):
        compare(shell, "models=m,other over=reviews", MOOD)
    assert published[0][0]["text/plain"].count("budget of 20 tokens exceeded by") == 1


def test_compare_over_interrupt_keeps_answers(shell, service, published, moods):
    tell = service.answers["other"]

    def interrupted(body):
        if "bad" in body["messages"][-1]["content"]:
            os.kill(os.getpid(), signal.SIGINT)
        return tell(body)

    service.answers["m"] = tell
    service.answers["other"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        compare(shell, "models=m,other over=reviews into=found", MOOD)
    found = shell.user_ns["found"]
    assert found[found.model == "m"].answer.count() == 3
    assert len(published) == 1


def test_compare_over_interrupt_counts_unsent_rows(shell, service, published, moods):
    tell = service.answers["m"]

    def interrupted(body):
        os.kill(os.getpid(), signal.SIGINT)
        return tell(body)

    service.answers["m"] = interrupted
    shell.user_ns["many"] = ["good"] * 40
    with pytest.raises(KeyboardInterrupt):
        compare(shell, "models=m,other over=many into=found", "Mood of: {{ item }}")
    found, metadata = shell.user_ns["found"], published[0][1]["qfmagic_compare"]
    answered = int(found.answer.count())
    assert 0 < answered < 40
    assert found[["model", "n"]].value_counts().to_dict() == {("m", 1): 40, ("other", 1): 40}
    assert found[found.answer.isna()].finish.isna().all()
    assert f"{80 - answered} of 80 questions not sent" in published[0][0]["text/plain"]
    assert (metadata["asked"], metadata["unasked"]) == (answered, 80 - answered)


def test_compare_over_interrupted_answer_is_kept_and_counted(shell, service, published, moods):
    whole = v2("posi", "m")
    events = whole.chunks[0].replace(b'"stop"', b"null")
    service.answers["m"] = Reply((events, b'data: {"error": {"code": "x", "message": "no"}}\n\n'), 200, whole.headers)
    compare(shell, "models=m,other over=reviews into=found", MOOD)
    found = shell.user_ns["found"]
    assert found[found.model == "m"].answer.tolist() == ["posi"] * 3
    assert found[found.model == "m"].error.notna().all()
    service.answers["other"] = service.answers["m"]
    with pytest.raises(QianfanError):
        compare(shell, "models=m,other over=reviews", MOOD)


def test_compare_over_dry_sends_nothing(shell, service, capsys, moods):
    compare(shell, "models=m,other over=reviews dry", MOOD)
    shown = capsys.readouterr().out
    assert "3 rows to each of m, other" in shown
    assert shown.count("Mood of: good") == 2
    assert service.bodies == []


def test_compare_over_replays_recorded_answers(shell, service, published, moods, tmp_path):
    path = tmp_path / "n.qf.jsonl"
    shell.run_line_magic("qf", f"transport record {path}")
    compare(shell, "models=m,other over=reviews n=2", MOOD)
    shell.run_line_magic("qf", f"transport replay {path}")
    compare(shell, "models=m,other over=reviews n=2", MOOD)
    assert published[0][0]["text/plain"].split("\n\n")[2] == published[1][0]["text/plain"].split("\n\n")[2]
    assert len(service.bodies) == 12


# ---- schema=


def test_compare_schema_binds_objects(shell, service, published):
    service.answers = {"m": v2('{"mood": "good"}', "m"), "other": v2("I'd say good.", "other")}
    compare(shell, "models=m,other schema='mood good|bad' repairs=1 into=found", "Mood?")
    found = shell.user_ns["found"]
    assert (found.mood[0], found.mood.isna().tolist()) == ("good", [False, True])
    assert found.finish.tolist() == ["stop", "SchemaError"]
    assert [body["model"] for body in service.bodies].count("other") == 2
    assert sorted(call.kind for call in session(shell).meter.calls) == ["compare", "compare", "repair"]
    assert '"mood": "good"' in published[0][0]["text/markdown"]
    assert "I'd say good." in published[0][0]["text/plain"]
    assert published[0][0]["text/plain"].endswith("The answer holds no JSON.")


def test_several_models_schema_continues_with_first_object(shell, service, published):
    """Each model is asked in its own way; the conversation goes on with the first's object."""
    native = "ernie-5.1"
    service.answers = {native: v2("good, I'd say", native), "other": v2('{"mood": "bad"}', "other")}
    replies = [v2("good, I'd say", native), v2('{"mood": "good"}', native)]
    service.answers[native] = lambda body: replies.pop(0)
    answer = ask(shell, f"model={native},other schema='mood good|bad' into=found", "Mood?")
    assert answer.value == {"mood": "good"}
    assert shell.user_ns["found"].mood.tolist() == ["good", "bad"]
    formats = {body["model"]: "response_format" in body for body in service.bodies}
    assert formats == {native: True, "other": False}
    (turn,) = session(shell).chats.get("main").turns
    assert (turn.state, turn.answer.text, turn.prompt.splitlines()[0]) == ("answered", '{"mood": "good"}', "Mood?")
    assert len(published[0][1]["qfmagic"]["rejected"]) == 1


def test_several_models_schema_mismatch_of_first_model_fails_cell(shell, service, published):
    service.answers = {"m": v2("never", "m"), "other": v2('{"mood": "bad"}', "other")}
    with pytest.raises(SchemaError):
        ask(shell, "model=m,other schema='mood good|bad' repairs=0 into=found", "Mood?")
    found = shell.user_ns["found"]
    assert found.mood.isna().tolist() == [True, False]
    assert shell.user_ns["_"].text == "never"
    assert [turn.answer.text for turn in session(shell).chats.get("main").turns] == ["never"]
    assert len(published) == 1


def test_compare_schema_reports_failed_repair(shell, service, published):
    replies = [v2("no JSON", "m"), refusal("invalid_argument", "too much", 400)]
    service.answers = {"m": lambda body: replies.pop(0), "other": v2('{"mood": "bad"}', "other")}
    compare(shell, "models=m,other schema='mood good|bad' into=found", "Mood?")
    assert "Retry failed" in shell.user_ns["found"].error[0]
    assert "too much" in published[0][0]["text/plain"]


def test_compare_over_stored_answers_need_no_price(shell, service, moods):
    compare(shell, "models=m,other over=reviews into=found", MOOD)
    shell.run_line_magic("qf", "set budget=5CNY")
    compare(shell, "models=m,other over=reviews into=found", MOOD)
    assert shell.user_ns["found"].error.isna().all()
    with pytest.raises(BudgetError):
        compare(shell, "models=m,other over=reviews into=another", MOOD)


def test_compare_schema_checks_answer_once(shell, service, published, monkeypatch):
    """A check of the user's own may say otherwise the second time."""
    from qfmagic.structured.schema import Schema

    read, seen = Schema.read, []
    monkeypatch.setattr(Schema, "read", lambda self, text: (seen.append(text), read(self, text))[1])
    service.answers = {"m": v2('{"mood": "good"}', "m"), "other": v2('{"mood": "bad"}', "other")}
    compare(shell, "models=m,other schema='mood good|bad' into=found", "Mood?")
    assert sorted(seen) == ['{"mood": "bad"}', '{"mood": "good"}']


def test_compare_schema_interrupt_during_repair_keeps_answers(shell, service, published):
    replies = [v2("not yet", "m"), v2('{"mood"', "m")]

    def answer(body):
        if len(replies) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return replies.pop(0)

    service.answers = {"m": answer, "other": v2('{"mood": "bad"}', "other")}
    with pytest.raises(KeyboardInterrupt):
        compare(shell, "models=m,other schema='mood good|bad' into=found", "Mood?")
    found = shell.user_ns["found"]
    assert found.answer.tolist() == ["not yet", '{"mood": "bad"}']
    assert found.error.isna().tolist() == [False, True]
    assert len(published) == 1


def test_compare_over_sends_only_missing_rows(shell, service, moods):
    service.answers["other"] = lambda body: refusal("x", "no", 400) if "bad" in str(body) else v2("fine", "other")
    compare(shell, "models=m,other over=reviews into=found", MOOD)
    asked = len(service.bodies)
    assert shell.user_ns["found"].error.isna().tolist().count(False) == 1
    service.answers["other"] = v2("bad", "other")
    compare(shell, "models=m,other over=reviews into=found", MOOD)
    assert len(service.bodies) == asked + 1
    assert shell.user_ns["found"].error.isna().all()
    compare(shell, "models=m,other over=reviews into=found fresh", MOOD)
    assert len(service.bodies) == asked + 1 + 6


def test_compare_over_schema_binds_objects(shell, service, moods):
    service.answers = {"m": v2('{"mood": "good"}', "m"), "other": v2('{"mood": "bad"}', "other")}
    compare(shell, "models=m,other schema='mood good|bad' over=reviews into=found", MOOD)
    assert shell.user_ns["found"].mood.tolist() == ["good"] * 3 + ["bad"] * 3


def test_compare_over_says_how_many_answers_were_asked_again(shell, service, moods, published):
    service.answers = {
        "m": v2('{"mood": "good"}', "m"),
        "other": lambda body: v2('{"mood": "bad"}' if len(body["messages"]) > 1 else "bad!", "other", 11, 21),
    }
    compare(shell, "models=m,other schema='mood good|bad' repairs=1 over=reviews into=found", MOOD)
    assert shell.user_ns["found"].error.isna().all()
    assert "3 answers asked again to fit the schema: 96 tokens of the sum" in published[0][0]["text/plain"]


def test_compare_schema_field_may_be_named_like_column(shell, service):
    service.answers = {"m": v2('{"model": "A1", "error": "none"}', "m")}
    compare(shell, "models=m schema='model str, error str' into=found", "Which?")
    (row,) = shell.user_ns["found"].to_dict("records")
    assert (row["model"], row["error"]) == ("A1", "none")
    assert row["qf_model"] == "m"
    assert row["qf_error"] is None

"""Each finding: what makes it, and what doesn't. The first cell of each notebook is cell 1; answers begin in cell 2."""

from dataclasses import replace

import pytest

from qfmagic.audit.audit import audit
from qfmagic.audit.report import KINDS
from qfmagic.core.errors import CassetteError
from qfmagic.core.fingerprint import of_text
from qfmagic.core.i18n import messages
from qfmagic.transport.cassette.recording import Recorded
from tests.support.documents import (
    TURNS,
    asked,
    cassette,
    code,
    failed,
    found,
    hashes,
    mapped,
    notebook,
    provenance,
    recorded,
    shown,
    talk,
    tape,
)


def test_audit_of_saved_conversation_is_clean():
    assert found(*talk()) == []
    assert found(*talk(), cassette=tape()) == []


def test_audit_finding_has_a_text():
    assert set(KINDS) <= messages().keys()


# ---- answers by themselves


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update({"text/markdown": "The Great Wall is short."}),
        lambda data: data.update({"text/plain": "The Great Wall is short."}),
        lambda data: data.update({"text/html": "<b>more</b>"}),
        lambda data: data.pop("text/plain"),
        lambda data: data.update({"application/json": ["a"]}),
        dict.clear,
    ],
)
def test_audit_reports_edited_answer(change):
    cells = notebook(*talk())["cells"][1:]
    change(cells[1]["outputs"][0]["data"])
    assert found(*cells) == [("edited", 3)]


def test_audit_accepts_answer_saved_as_lines():
    turns = (("hi", "one\ntwo\n\nthree"),)
    (cell,) = talk(turns)
    output = cell["outputs"][0]
    output["data"] = {name: text.splitlines(keepends=True) for name, text in output["data"].items()}
    cell["source"] = cell["source"].splitlines(keepends=True)
    assert found(cell) == []


def test_audit_reports_changed_prompt_once_per_cell():
    cell = asked("hi", "Hello!", 2)
    cell["outputs"].append(asked("hi", "Hello!", 2, chat=None)["outputs"][0])
    cell["source"] += " there"
    assert found(cell) == [("changed", 2), ("answers", 2)]


@pytest.mark.parametrize("source", ["%%qianfan\nhi", "%%qianfan\nhi\n", "%%qianfan\nhi\n\n"])
def test_audit_ignores_line_ends_after_prompt(source):
    cell = asked("hi", "Hello!", 2)
    assert found({**cell, "source": source}) == []


def test_audit_does_not_report_changed_without_source():
    assert found(asked("hi", "Hello!", 2, cell=None)) == []


def test_audit_reports_stub_answers_only():
    assert found(asked("hi", "Hello!", 2, transport="stub")) == [("stub", 2)]
    for mode in ("live", "record", "replay"):
        assert found(asked("hi", "Hello!", 2, transport=mode), cassette=cassette(recorded("hi", "Hello!"))) == []


@pytest.mark.parametrize("given", [{"state": "interrupted"}, {"finish": "interrupted"}, {"finish": "incomplete"}])
def test_audit_reports_incomplete_answer(given):
    assert found(asked("hi", "Hel", 2, **given)) == [("incomplete", 2)]


def test_audit_accepts_truncated_answer():
    assert found(asked("hi", "Hel", 2, finish="length")) == []


def test_audit_reports_answer_without_fingerprint():
    assert found(asked("hi", "Hello!", 2, shown=None)) == [("no_provenance", 2)]


# ---- questions without an answer


@pytest.mark.parametrize(
    ("source", "ran", "codes"),
    [
        ("%%qianfan\nhi", None, ["unasked"]),
        ("%%qianfan\nhi", 2, ["unasked"]),
        ("\n%%qianfan temperature=0.3\nhi", None, ["unasked"]),
        ("%qianfan hi", None, ["unasked"]),
        ("x = 1\nanswer = %qianfan hi", None, ["unasked"]),
        ("%%qianfan quiet into=a\nhi", None, ["unasked"]),
        ("%%qianfan quiet into=a\nhi", 2, []),
        ("%%qianfan stop='[\"a b\"]' quiet\nhi", 2, []),
        ('%%qianfan metadata={"k": "v"} quiet\nhi', 2, []),
        ("%%qianfan system={{ a + b }} quiet\nhi", 2, []),
        ('%%qianfan system="a \\" quiet" once\nhi', 2, ["unasked"]),
        ("%%qf compare models=a,b\nhi", None, ["unasked"]),
        ("%%qf compare models=a,b\nhi", 2, ["unasked"]),
        ("%%qf compare models=a,b into=a quiet\nhi", 2, []),
        ("%%qf map df[df.n > 1] into=a\nhi", 2, ["unasked"]),
        ("%%qf map df[df.n > 1] into=a quiet\nhi", 2, []),
        ("%%qf map df dry\nhi", None, []),
        ("%%qianfan dry\nhi", None, []),
        ("%%qianfan dry\nhi", 2, []),
        ("%qianfan dry hi", 2, []),
        ("%qianfan tell me of dry wine", 2, ["unasked"]),
        ("%qianfan -- dry wine", 2, ["unasked"]),
        ("if never:\n    %qianfan hi", 2, []),
        ("%%writefile a.py\n%qianfan hi", 2, []),
        ("print('%%qianfan')", 2, []),
        ("%qf history", 2, []),
        ("", None, []),
    ],
)
def test_audit_reports_cell_without_answer(source, ran, codes):
    assert [code for code, _ in found(code(source, ran))] == codes


def test_audit_ignores_magic_in_markdown_cell():
    assert found({"cell_type": "markdown", "metadata": {}, "source": "%%qianfan\nhi"}) == []


def test_audit_ignores_cell_tagged_skip_execution():
    assert found(code("%%qianfan\nhi", None, tags=["skip-execution"])) == []


def test_audit_reports_output_without_provenance():
    assert found(code("%%qianfan\nhi", 2, shown("Hello!"))) == [("no_provenance", 2)]
    for nothing in ({}, [], "live", None):
        output = {**shown("Hello!"), "metadata": {"qfmagic": nothing}}
        assert found(code("%%qianfan\nhi", 2, output)) == [("no_provenance", 2)]
    answer = asked("hi", "Hello!", 2, source="plot()\n%qianfan hi")
    answer["outputs"].insert(0, shown("a plot"))
    assert found(answer) == []
    assert found(code("plot()", 2, shown("a plot"))) == []


def test_audit_reports_saved_error_unless_expected():
    assert found(code("1/0", 2, failed())) == [("failed", 2)]
    assert found(code("%%qianfan\nhi", 2, failed("ConnectError"))) == [("failed", 2)]
    assert found(code("1/0", 2, failed(), tags=["raises-exception"])) == []


# ---- the chain


def test_audit_reports_stale_turn_after_retried_parent():
    cells = talk()
    cells[0] = asked(TURNS[0][0], "Another answer.", 2)
    assert found(*cells) == [("stale", 3), ("stale", 4)]


def test_audit_reports_stale_turn_after_deleted_parent():
    first, _, third = talk()
    assert found(first, third) == [("stale", 3)]


def test_audit_accepts_turn_with_shorter_context():
    first, second, _ = talk()
    alone = asked(*TURNS[2], 4, turn=3, context={"sent": 0, "available": 2})
    last = asked(*TURNS[2], 4, [TURNS[1]], turn=3, parents=hashes(TURNS[:2])[1:], context={"sent": 1, "available": 2})
    assert found(first, second, alone) == []
    assert found(first, second, last) == []


def test_audit_accepts_turn_of_new_conversation():
    first, second, _ = talk()
    later = {**second, "execution_count": 9}
    fresh = asked(*TURNS[2], 4, line="%%qianfan new", turn=3)
    assert found(first, later, fresh) == [("order", 4)]  # the count alone
    assert found(first, second, fresh) == []


def test_audit_reports_stale_turns_after_inserted_cell():
    first, second = talk(TURNS[:2])
    between = asked("And how high?", "8 m.", 4, TURNS[:1])
    assert found(first, between, second) == [("stale", 4), ("order", 4)]


def test_audit_accepts_late_cell_after_edit_command():
    first, second = talk(TURNS[:2])
    dropped = asked("And how high?", "8 m.", 4, TURNS[:1])
    assert found(first, dropped, code("%qf drop 2", 5), second) == [("order", 5)]


def test_audit_separates_conversations():
    cells = [*talk(), *talk(chat="trip")]
    for ran, cell in enumerate(cells, 2):
        cell["execution_count"] = ran
    assert found(*cells) == []


def test_audit_accepts_fork_of_another_conversation():
    first, second, _third = talk()
    forked = asked(*TURNS[2], 4, TURNS[:2], chat="trip")
    assert found(first, second, forked) == []
    assert found(first, forked) == [("stale", 3)]


def test_audit_accepts_history_from_quiet_cells():
    first, _, third = talk()
    quiet = code("%%qianfan quiet\nHow long?", 3)
    assert found(first, quiet, third) == []
    assert found(first, third, {**quiet, "execution_count": 5}) == [("stale", 3)]
    never = {**quiet, "execution_count": None}
    assert found(first, never, third) == [("unasked", 3), ("stale", 4)]


def test_audit_accepts_history_of_old_version():
    first, second, third = talk()
    del first["outputs"][0]["metadata"]["qfmagic"]["hash"]
    assert found(first, second, third) == []


def test_audit_accepts_history_of_imported_turns():
    third = talk()[2]
    assert found(code("%qf import talk.jsonl", 2), {**third, "execution_count": 3}) == []


def test_audit_retry_command_replaces_turn():
    first, second, third = talk()
    other = (TURNS[1][0], "Very long.")
    again = asked(*other, 4, TURNS[:1], source="%qf retry")
    after_it = asked(*TURNS[2], 5, [TURNS[0], other])
    assert found(first, second, again, after_it) == []
    before_it = {**third, "execution_count": 5}
    assert found(first, second, again, before_it) == [("stale", 5)]
    undone = code("%qf undo", 5)
    assert found(first, second, again, undone, {**third, "execution_count": 6}) == []
    # Asked again from below, it says nothing about the order of the document.
    assert found(first, second, third, asked(TURNS[0][0], "Anew.", 5, source="%qf retry 1")) == []


def test_audit_reports_turns_out_of_order():
    first, second, third = talk()
    assert found(second, first, third) == [("order", 2), ("order", 3), ("order", 3)]


def test_audit_reports_conversation_restarted_without_command():
    again = [{**cell, "execution_count": cell["execution_count"] + 9} for cell in talk()]
    assert found(*talk(), *again)[:1] == [("order", 5)]
    assert found(*talk(), code("%qf reset", 5), *again) == []


@pytest.mark.parametrize(
    ("counts", "cells"), [((2, 3, 4), []), ((2, 9, 4), [4]), ((2, 2, 4), [3]), ((2, None, 4), []), ((5, 4, 3), [3, 4])]
)
def test_audit_reports_cells_run_out_of_order(counts, cells):
    once = [asked("hi", "Hello!", ran, chat=None, turn=None, hash=None) for ran in counts]
    assert found(*once) == [("order", cell) for cell in cells]


# ---- the cassette


def test_audit_reports_answer_missing_from_cassette():
    assert found(*talk(), cassette=tape(TURNS[:2])) == [("missing", 4)]


def test_audit_needs_no_recording_of_stub_answer():
    assert found(asked("hi", "Hello!", 2, transport="stub"), cassette=cassette()) == [("stub", 2)]


def test_audit_needs_no_recording_of_interrupted_answer():
    assert found(asked("hi", "Hel", 2, state="interrupted"), cassette=cassette()) == [("incomplete", 2)]


def test_audit_reports_answer_that_differs_from_recording():
    assert found(asked("hi", "Hello!", 2), cassette=cassette(recorded("hi", "Good morning!"))) == [("missing", 2)]


def test_audit_accepts_redacted_recording():
    exchange = recorded("hi", "[…]", redacted=True)
    assert found(asked("hi", "Hello!", 2), cassette=cassette(exchange)) == []
    # Nor where it was taken out of the notebook too, and asked again.
    assert found(asked("[…]", "[…]", 2), cassette=cassette(exchange)) == []


def test_audit_matches_each_exchange_once():
    twice = [asked("hi", "Hello!", ran, chat=None, turn=None, hash=None) for ran in (2, 3)]
    one, two = recorded("hi", "Hello!"), recorded("hi", "Hello!", n=1)
    assert found(*twice, cassette=cassette(one, two)) == []
    assert found(*twice, cassette=cassette(one)) == [("missing", 3)]


def test_audit_matches_no_exchange_of_another_answer():
    edited, right = (asked("hi", text, ran, turn=ran) for text, ran in (("Ho!", 2), ("Hello!", 3)))
    exchanges = cassette(recorded("hi", "Hello!"), recorded("hi", "Hey!", n=1))
    assert found(edited, right, cassette=exchanges) == [("missing", 2)]


def test_audit_joins_continued_answer():
    first, whole = ("Tell me.", "Once upon"), ("Tell me.", "Once upon a time.")
    begun = asked(*first, 2, finish="length")
    request = recorded("Go on.", " a time.", [first])
    again = asked(*whole, 3, source="%qf continue", request=request.hash)
    assert found(begun, again, cassette=cassette(recorded(*first), request)) == []
    other = recorded("Go on.", " a midnight.", [first])
    assert found(begun, again, cassette=cassette(recorded(*first), other)) == [("missing", 3)]


@pytest.mark.parametrize(
    ("text", "shown_text", "codes"),
    [
        ("Hello!", "Hello!\n\n[a note]", []),
        ("a\x1bb", "a\\x1bb", []),
        ("Hello!", "Good day!", ["missing"]),
        ('{"a":1}', '{\n  "a": 1\n}', []),
        ('{"a":1}', '{\n  "a": 1\n}\n\n[a note]', []),
    ],
)
def test_audit_matches_answer_without_conversation_by_shown_text(text, shown_text, codes):
    cell = asked("hi", shown_text, 2, chat=None, turn=None, hash=None)
    assert [code for code, _ in found(cell, cassette=cassette(recorded("hi", text)))] == codes


def test_audit_matches_exchange_with_unknown_messages():
    exchange = recorded("hi", "Hello!")
    for body in ({}, {"messages": ["hi"]}, {"messages": [{"role": "user", "content": None}]}):
        assert found(asked("hi", "Ho!", 2), cassette=cassette(replace(exchange, body={**body, "stream": True}))) == []


def test_audit_reports_unused_exchanges():
    more = recorded("And now?", "Now.")
    assert found(*talk(TURNS[:1]), cassette=cassette(recorded(*TURNS[0]), more)) == [("cassette", None)]
    quiet = code("%%qianfan quiet\nAnd now?", 9)
    assert found(*talk(TURNS[:1]), quiet, cassette=cassette(recorded(*TURNS[0]), more)) == []


def test_audit_ignores_recorded_errors():
    broken = recorded("hi", "", status=500, events=())
    assert found(cassette=cassette(broken)) == []


def test_audit_reports_cassette_error_as_finding():
    report = audit(notebook(*talk()), CassetteError("cassette.missing", path="a.qf.jsonl"))
    assert [finding.code for finding in report.findings] == ["cassette"]
    assert "a.qf.jsonl" in report.findings[0].message("zh")


def test_audit_reports_replayed_answer_without_cassette():
    assert found(asked("hi", "Hello!", 2, transport="replay")) == [("cassette", None)]
    assert found(asked("hi", "Hello!", 2, transport="live")) == []


def test_recorded_round_trips_as_cassette_line():
    """The cassettes of these tests are ones that could be read."""
    for exchange in tape().exchanges.values():
        assert Recorded.of_line(exchange.line()) == exchange
    assert provenance("hi", "Hello!")["request"] == recorded("hi", "Hello!").hash


# ---- many rows


ROWS = tuple((f"Rate {n}", f"{n} of 5") for n in range(3))


def _tape(*turns):
    return cassette(*(recorded(*turn) for turn in turns))


def test_audit_counts_exchanges_of_map_by_model():
    assert found(mapped()) == [("cassette", None)]
    assert found(mapped(transport="live", transports=["live"])) == []
    assert found(mapped(), cassette=_tape(*ROWS)) == []
    assert found(mapped(), cassette=_tape(*ROWS, TURNS[0])) == [("cassette", None)]
    assert found(mapped(), asked(*TURNS[0], 3), cassette=_tape(*ROWS, TURNS[0])) == []
    assert found(mapped(), cassette=_tape(*ROWS[:2])) == [("missing", 2)]
    others = [recorded(*turn, model="ernie-4.0-8k") for turn in ROWS]
    assert found(mapped(), cassette=cassette(*others)) == [("cassette", None), ("missing", 2)]


def test_audit_counts_earlier_exchanges_of_map_up_to_most():
    """Of a row that was there already nobody knows how many answers didn't fit before it."""
    exchanges = [{"wire": "v1", "model": "yi_34b_chat", "least": 3, "most": 6}]
    assert found(mapped(exchanges=exchanges), cassette=_tape(*ROWS)) == []
    assert found(mapped(exchanges=exchanges), cassette=_tape(*ROWS, *TURNS)) == []


def test_audit_checks_map_like_answer():
    assert found(mapped(transports=["live", "stub"])) == [("stub", 2)]
    assert found(mapped(transports=[], transport="stub")) == [("stub", 2)]
    assert found(mapped(transports=["live"], answered=1, failed=1)) == [("incomplete", 2)]
    assert found(mapped(transports=["live"], answered=2, failed=1)) == []
    assert found(mapped(transports=["live"], shown="0" * 16)) == [("edited", 2)]
    assert found(mapped(transports=["live"], shown=None)) == [("no_provenance", 2)]
    assert found(mapped(transports=["live"], cell="0" * 16)) == [("changed", 2)]
    assert found(mapped(4, transports=["live"]), mapped(3, transports=["live"])) == [("order", 3)]


@pytest.mark.parametrize("value", [None, 1, "a", [1], {"a": 1}, [{"least": -1}], [{"least": 1, "most": "a"}]])
def test_audit_accepts_map_metadata_of_any_type(value):
    names = ("transports", "transport", "exchanges", "model", "models", "wire", "usage", "parameters", "rows", "cell")
    for name in names:
        cell = mapped(**{name: value})
        found(cell, cassette=_tape(*ROWS))
        cell["outputs"][0]["metadata"] = {"qfmagic_map": value, "qfmagic": {"others": value}}
        found(cell, cassette=_tape(*ROWS))


@pytest.mark.parametrize(("line", "models"), [("model=a,b", 2), ("model='a, b, c'", 3), ("model=a", 1)])
def test_audit_counts_quiet_answers_of_several_models(line, models):
    cell = code(f"%%qianfan {line} quiet into=x\nhi", 2)
    assert found(cell, cassette=_tape(*TURNS[:models])) == []
    if models < len(TURNS):
        assert found(cell, cassette=_tape(*TURNS[: models + 1])) == [("cassette", None)]


def test_audit_accepts_any_number_of_quiet_map_answers():
    assert found(code("%%qf map df quiet into=x\nRate {{ text }}", 2), cassette=_tape(*ROWS)) == []


# ---- several models


def test_audit_checks_each_of_several_answers():
    data = asked(*TURNS[0], 2)
    given = data["outputs"][0]["metadata"]["qfmagic"]
    alone = {"chat": None, "turn": None, "hash": None, "shown": given["shown"], "cell": given["cell"]}
    others = [{**provenance(*TURNS[0], **alone), "answer": of_text(text)} for text in ("Short.", "Broad.")]
    given |= {"answer": of_text(TURNS[0][1]), "others": others}
    whole = [recorded(TURNS[0][0], text, n=n) for n, text in enumerate(("Broad.", "Short.", TURNS[0][1]))]
    assert found(data, cassette=cassette(*whole)) == []
    assert len(audit(notebook(data)).answers) == 3
    assert found(data, cassette=cassette(*whole[:2])) == [("missing", 2)]
    assert found(data, cassette=cassette(*whole[1:], recorded(TURNS[0][0], "Other."))) == [("missing", 2)]
    others[1]["finish"] = "interrupted"
    assert found(data, cassette=cassette(*whole[1:])) == [("incomplete", 2)]
    others[1] |= {"finish": "stop", "transport": "stub"}
    assert found(data) == [("stub", 2)]


# ---- the safety check, and names without a date


def test_audit_reports_filtered_and_flagged_answers():
    assert found(asked("hi", "Hello!", 2, finish="content_filter")) == [("filtered", 2)]
    assert found(asked("hi", "Hello!", 2, flag=2)) == [("flagged", 2)]
    assert found(asked("hi", "Hello!", 2, flag=0)) == []
    assert ("flagged", 2) in found(mapped(flagged=2, served_models=["yi"]))


def test_audit_reports_several_served_models():
    def cells(*served):
        return [asked("hi", "Hello!", n, chat=None, hash=None, served_model=name) for n, name in enumerate(served, 2)]

    assert ("served", None) in found(*cells("m-1", "m-2"))
    assert ("served", None) not in found(*cells("m-1", "m-1"))
    report = audit(notebook(*cells("m-1", "m-2")))
    assert [one.as_json(str)["served_model"] for one in report.answers] == ["m-1", "m-2"]
    assert "m-1, m-2" in next(one.message("en") for one in report.findings if one.code == "served")


# ---- both sides of a merge


def test_audit_reports_more_answers_than_questions():
    cell = asked("hi", "Hello!", 2)
    cell["outputs"].append(asked("hi", "Good day!", 2)["outputs"][0])
    assert ("answers", 2) in found(cell)
    assert ("answers", 2) not in found(asked("hi", "Hello!", 2))


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("%%capture kept\n%qianfan name a harbour", "unfollowed"),
        ("%%time\n%qianfan quiet name a harbour", "unfollowed"),
        ("if True:\n    %qianfan quiet name a harbour", "unfollowed"),
        ("get_ipython().run_cell_magic('qianfan', 'quiet', 'name a harbour')", "unfollowed"),
        ("print('%%qianfan')", "stale"),
        ("%%time\nx = 1", "stale"),
    ],
)
def test_audit_says_what_it_cannot_follow(source, code):
    below = asked("and a bridge", "A bridge", 3, parents=["0" * 16])
    hidden = {"cell_type": "code", "metadata": {}, "execution_count": 2, "source": source, "outputs": []}
    assert [kind for kind, _ in found(hidden, below)] == [code]

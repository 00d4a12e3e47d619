"""Which JSON of a text is the answer, and what is read in spite of defects that leave one meaning."""

import json
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qfmagic import Schema, SchemaError
from qfmagic.structured.reading.lenient_json import transcribe
from qfmagic.structured.reading.reasoning import without_reasoning

MOOD = Schema.of("mood good|bad, score int")
NAME = Schema.of("name str, ok bool")
DRAFT, LAST = '{"mood": "good", "score": 9}', '{"mood": "bad", "score": 2}'
VALUE = {"mood": "bad", "score": 2}


def rejected(schema, text):
    with pytest.raises(SchemaError) as caught:
        schema.parse(text)
    assert caught.value.message("en")
    assert caught.value.message("zh")
    return caught.value.key


# ---- which one


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"An example:\n```json\n{DRAFT}\n```\nThis one: {LAST}", "schema.several"),
        (f"{DRAFT}\n\n```json\n{LAST}\n```", "schema.several"),
        (f"```json\n{DRAFT}\n```\nor\n```json\n{LAST}\n```", "schema.several"),
        (f"{DRAFT}\nFinal: {{'mood': 'bad', 'score': 2}}", "schema.several"),
        (f'{DRAFT}\nFinal: {{"mood": "Bad.", "score": "2"}}', "schema.several"),
        (f'{DRAFT}\nFinal: {{"mood": "mixed", "score": 2}}', "schema.unfit"),
        (f'{DRAFT}\n```json\n{{"mood": "mixed"}}\n```', "schema.unfit"),
        (f'{DRAFT}\nFinal: {{"mood": "bad", "sco', "schema.broken"),
        (f"{DRAFT}\nFinal: {{mood: bad, score: 2}}", "schema.broken"),
        (f'```json\n{DRAFT}\n```\n```json\n{{"mood": "bad",', "schema.broken"),
        (f"[{DRAFT}, {LAST}]", "schema.unfit"),
        (f"Both: [{DRAFT}, {LAST}]", "schema.unfit"),
        (f"<think>{DRAFT}", "schema.no_json"),
    ],
)
def test_parse_rejects_draft_beside_another_value(text, key):
    assert rejected(MOOD, text) == key


@pytest.mark.parametrize(
    "text",
    [
        f'The form is {{"mood": "good|bad", "score": 0}}, so: {LAST}',
        f"The form is {{mood: ..., score: ...}}, so: {LAST}",
        f"{LAST}\n```\n42\n```\n[1] {{}} []",
        f"{LAST}\n\n```json\n{LAST}\n```",
        f"<think>Perhaps {DRAFT}?</think>\n{LAST}",
        f"<think>\n```json\n{DRAFT}\n</think>\n```json\n{LAST}\n```",
        f"Perhaps {DRAFT}?\n</think>\n{LAST}",
        f"Well. <Thinking>{DRAFT}</Thinking> {LAST}",
        f'<think time="3">{DRAFT}</think><think>{DRAFT}</think>{LAST}',
        f'<think>He said "so\n{DRAFT}</think>{LAST}',
        f"<reasoning>{DRAFT}</reasoning><answer>{LAST}</answer>",
        f"[THINK]{DRAFT}[/THINK]{LAST}",
        f"◁think▷{DRAFT}◁/think▷{LAST}",
    ],
)
def test_parse_leaves_out_what_is_not_an_answer(text):
    assert MOOD.parse(text) == VALUE


@pytest.mark.parametrize("around", ["{}", "Here: {} end", "```json\n{}\n```"])
def test_parse_keeps_tags_in_strings(around):
    schema = Schema.of("name str")
    value = {"name": "a <think>b</think> c"}
    assert schema.parse(around.replace("{}", json.dumps(value))) == value


@given(st.lists(st.sampled_from(["<think>", "</think>", '"', "\n", "`", "a", "\\"]), max_size=12).map("".join))
def test_without_reasoning_returns_parts_of_the_text(text):
    position = 0
    for part in without_reasoning(text):
        position = text.index(part, position) + len(part)


def test_parse_counts_object_without_known_field_as_mismatch():
    schema = Schema.of("note str?")
    assert rejected(schema, '{"x": 1}') == "schema.unfit"
    assert schema.parse("{}") == {"note": None}
    assert schema.parse('{"properties": {"note": {"type": "string"}}}\n{"note": "n"}') == {"note": "n"}


# ---- in spite of what


@pytest.mark.parametrize(
    ("text", "defects"),
    [
        ('{"name": "A", "ok": true,}', ["comma"]),
        ('{"name": "A", "ok": true, "more": [1, 2,],}', ["comma"]),
        ('｛"name"："A"，"ok"：true｝', ["punctuation"]),
        ('{"name": "A"、"ok": true}', ["punctuation"]),
        ("{“name”: “A”, “ok”: true}", ["quotes"]),
        ("{'name': 'A', 'ok': True}", ["literal", "quotes"]),
        ('{name: "A", ok: true}', ["quotes"]),
        ('{"name": "A", // the name\n "ok": true}', ["comment"]),
        ('{"name": "A", /* , } */ "ok": true}', ["comment"]),
        ('{"name": "A", # the name\n "ok": true}', ["comment"]),
        ('{"name": "A",\u00a0"ok":\u3000true}', ["blank"]),
        ('{\ufeff"name":\u200b"A", "ok": true}', ["blank"]),
        ('{"result": {"name": "A", "ok": true}}', ["wrapper"]),
        ('{"data": [{"name": "A", "ok": true}]}', ["wrapper"]),
        ('[{"name": "A", "ok": true},]', ["comma", "wrapper"]),
        ('"{\\"name\\": \\"A\\", \\"ok\\": true}"', ["string"]),
        ('{\\"name\\": \\"A\\", \\"ok\\": true}', ["string"]),
        ('{"answer": "{\\"name\\": \\"A\\", \\"ok\\": true}"}', ["string", "wrapper"]),
        ('{"Name": "A", "OK": true}', ["name"]),
    ],
)
@pytest.mark.parametrize("around", ["{}", "Here:\n```json\n{}\n```\nDone."])
def test_read_tells_defects_that_leave_one_meaning(text, defects, around):
    found = NAME.read(around.replace("{}", text, 1))
    assert found.value == {"name": "A", "ok": True}
    assert list(found.despite) == defects


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "A", "ok": true',
        '{"name": "A", "ok": tru',
        '{"name": "A", "ok": true,',
        "{'name': 'A', 'ok': True",
        "{'name': 'A', 'ok",
        '{"name": "A", "ok": true /* cut',
        '{"name": "A" "ok": true}',
        '{"name": "A"; "ok": true}',
        '{"name": "He said "hi"", "ok": true}',
        "{'name': 'it's', 'ok': True}",
        "{“name”: “A “B” C”, “ok”: true}",
        '{"name": A, "ok": true}',
        '{"name": undefined, "ok": true}',
        '{"name": "A", "ok": true, "ok": false}',
        "{'name': 'A', 'ok': True, 'ok': False}",
        '{"name": "A", "ok": true, ...}',
        '{"name": "A",, "ok": true}',
        '{"name": "A", "ok": true]',
        '{"name": "A\\x41", "ok": true}',
        '{"name": "A\\u12", "ok": true}',
        '{"name": "A\\\n", "ok": true}',
        '{"status": "done", "data": {"name": "A", "ok": true}}',
        '{"a": {"name": "A", "ok": true}, "b": {"name": "B", "ok": true}}',
    ],
)
def test_read_rejects_defects_that_leave_several_meanings(text):
    rejected(NAME, text)


@pytest.mark.parametrize(
    ("written", "number"),
    [("+1", "1"), (".5", "0.5"), ("-.5", "-0.5"), ("5.", "5.0"), ("1_000", "1000"), ("１２", "12"), ("−3", "-3")],
)
def test_transcribe_reads_numbers_in_other_forms(written, number):
    found = transcribe(f"[{written}]")
    assert (found.written, found.defects) == (f"[{number}]", {"number"})


@pytest.mark.parametrize("written", ["007", "0x1F", "1,2.3.4", "1__0", "--1", "12%", "1e", "NaN"])
def test_transcribe_rejects_other_numbers(written):
    with pytest.raises(ValueError, match="char"):
        transcribe(f'{{"a": {written}}}')


text = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(text, inside, max_size=3),
    max_leaves=8,
)


def sloppy(value, draw):
    """Write a value as JSON with defects that leave one meaning."""
    blank = lambda: draw(st.sampled_from(["", " ", "\u00a0", "\u3000", "\n", "/* , ] */", "// }\n", "# ]\n"]))  # noqa: E731
    comma = lambda: draw(st.sampled_from([",", "，"]))  # noqa: E731
    if isinstance(value, dict):
        inside = [
            f"{blank()}{sloppy(name, draw)}{blank()}{draw(st.sampled_from(':：'))}{sloppy(one, draw)}"
            for name, one in value.items()
        ]
        return "{" + comma().join(inside) + (draw(st.sampled_from(["", ","])) if value else "") + blank() + "}"
    if isinstance(value, list):
        inside = [f"{blank()}{sloppy(one, draw)}{blank()}" for one in value]
        return "[" + comma().join(inside) + (draw(st.sampled_from(["", "，"])) if value else "") + blank() + "]"
    if isinstance(value, str) and not set(value) & set("\\'\"“”‘’＂"):
        return draw(st.sampled_from(['"{}"', "'{}'", "“{}”"])).replace("{}", value)
    python = value is None or isinstance(value, bool)
    return str(value) if python and draw(st.booleans()) else json.dumps(value, ensure_ascii=False)


@given(st.dictionaries(text, values, max_size=3) | st.lists(values, max_size=3), st.data())
@settings(deadline=None)
def test_transcribe_reads_any_value_with_defects(value, data):
    written = sloppy(value, data.draw)
    found = transcribe(written)
    assert json.loads(found.written) == value
    assert found.end == len(written)
    cut = data.draw(st.integers(0, len(written) - 1))
    with pytest.raises(ValueError, match="char|two meanings|not complete"):
        transcribe(written[:cut])


# ---- values that are meant


@pytest.mark.parametrize(
    ("field", "said", "value"),
    [
        ("good|bad", "GOOD", "good"),
        ("good|bad", " Good. ", "good"),
        ("正面|负面", "“正面”。", "正面"),
        ("A|B", "Ａ", "A"),
        ("c|c++", "C++", "c++"),
        ("very good|bad", "very_good", "very good"),
        ("1|2|3", "3", 3),
        ("1|2|3", "３", 3),
        ("1|2|3", 3.0, 3),
        ("good|bad?", "null", None),
        ("good|bad?", "", None),
        ("int?", "N/A", None),
        ("date?", "", None),
        ("str?", "null", "null"),
        ("str?", "", ""),
        ("int", "1,234", 1234),
        ("int", "１２", 12),
        ("float", "1,234.5", 1234.5),
        ("float", "−0.5", -0.5),
        ("list[good|bad]", ["Good", "bad"], ["good", "bad"]),
        ("list[str]", '["a"]', ["a"]),
        ("int", 12345678901234567890, 12345678901234567890),
    ],
)
def test_read_finds_value_that_is_meant(field, said, value):
    assert Schema.of(f"m {field}").parse(json.dumps({"m": said})) == {"m": value}


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("good|Good", "GOOD"),
        ("a+|a-", "a"),
        ("good|bad", "not good"),
        ("good|bad", "good or bad"),
        ("good|bad", ["good"]),
        ("good|bad", None),
        ("yes|no", True),
        ("010|020", 10),
        ("1|2|3", "4"),
        ("float", "1,234"),
        ("float", "50%"),
        ("float", "1e999"),
        ("int", "1.234"),
        ("int", "12,34"),
        ("int", "12 元"),
        ("int", True),
        ("float", True),
        ("bool", "是"),
        ("date", "2024"),
        ("int", ""),
    ],
)
def test_read_rejects_value_with_several_meanings(field, said):
    rejected(Schema.of(f"m {field}"), json.dumps({"m": said}))


JSON = {
    "type": "object",
    "properties": {
        "m": {"enum": ["good", "bad"]},
        "n": {"type": "integer"},
        "text": {"type": "string"},
        "x": {"type": ["number", "null"]},
        "inner": {"$ref": "#/$defs/Inner"},
    },
    "required": ["m"],
    "$defs": {"Inner": {"type": "object", "properties": {"ok": {"type": "boolean"}}}},
}


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ({"m": "Good", "n": "3"}, {"m": "good", "n": 3}),
        ({"m": "good", "text": None}, {"m": "good"}),
        ({"m": "good", "text": 5}, {"m": "good", "text": "5"}),
        ({"m": "good", "x": "none"}, {"m": "good", "x": None}),
        ({"m": "good", "x": "1.5"}, {"m": "good", "x": 1.5}),
        ({"m": "good", "inner": '{"ok": "True"}'}, {"m": "good", "inner": {"ok": True}}),
    ],
)
def test_read_finds_value_of_json_schema(said, value):
    assert Schema.of(JSON).parse(json.dumps(said)) == value


@given(
    st.lists(
        st.text(string.ascii_letters + "正负中", min_size=1, max_size=6), min_size=2, max_size=4, unique_by=str.casefold
    ),
    st.data(),
)
@settings(deadline=None)
def test_read_finds_choice_in_any_spelling(words, data):
    choice = data.draw(st.sampled_from(words))
    said = data.draw(st.sampled_from([choice, choice.upper(), choice.lower(), choice.title()]))
    wide = "".join(chr(ord(sign) + 0xFEE0) if sign.isascii() else sign for sign in said)
    said = data.draw(st.sampled_from(["{}", " {} ", "{}.", "{}。", "“{}”", "**{}**"])).replace(
        "{}", data.draw(st.sampled_from([said, wide]))
    )
    schema = Schema.of({"type": "object", "properties": {"m": {"enum": words}}, "required": ["m"]})
    assert schema.parse(json.dumps({"m": said})) == {"m": choice}


# ---- backslashes

LATEX = Schema.of("formula str")
COMMANDS = (
    r"\frac \beta \times \neq \rho \text \theta \nabla \right \bar \forall \alpha \sum \not \tfrac \underline \mathbb "
    r"\upsilon \{ \} \, \left \hat \nu \tau \to \ne \tan"
).split()


@pytest.mark.parametrize(
    "formula",
    [
        r"\frac{a}{b}", r"\beta", r"\times", r"\neq", r"\rho", r"\text{x}", r"\nu", r"$\tau$", r"x \to 0", r"\lim_{x\to 0}",
        r"2\times3", r"\left( \frac{1}{2} \right)", r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", r"\underline{x}",
        r"\upsilon", r"\bfoo\b", r"C:\Users\new\temp", r"\{x\}", r"x_1 \nmid \alpha",
    ],
)  # fmt: skip
def test_read_keeps_latex(formula):
    found = LATEX.read(f'{{"formula": "{formula}"}}')
    assert found.value == {"formula": formula}
    assert found.despite == ("backslash",)


@pytest.mark.parametrize(
    "written", [r"a\to b", r"x\nu", r"C:\temp\new", r"src\new\lib", r"\alpha\nThen", r"C:\\new\foo"]
)
def test_read_rejects_backslash_with_two_meanings(written):
    rejected(LATEX, f'{{"formula": "{written}"}}')


@pytest.mark.parametrize(
    "value",
    [
        "One\nnot two\nthree", "name\tage\nBob\t3", "\\frac{a}{b}\nso\n", "\\theta\nu", "Q:\nWhat\nA:\nYes", "a\r\nb",
        "It costs $5\nexists", "\tindented", "\n\nto", "C:\\temp\\new", "中\n文", "\\\\server\\new",
    ],
)  # fmt: skip
def test_read_keeps_escaped_control_characters(value):
    found = LATEX.read(json.dumps({"formula": value}))
    assert found.value == {"formula": value}
    assert found.despite == ()


def test_read_keeps_escaped_control_character_beside_latex():
    assert LATEX.parse(r'{"formula": "$\alpha$\nThen"}') == {"formula": "$\\alpha$\nThen"}


@given(
    st.lists(st.sampled_from([*COMMANDS, " ", "7", "{", "}", "^2", "_i", "=", "(", "+ 1", "&"]), max_size=12).map(
        "".join
    )
)
@example(r"\text\nabla")
@settings(deadline=None)
def test_read_never_changes_a_formula(formula):
    try:
        found = LATEX.parse(f'{{"formula": "{formula}"}}')
    except SchemaError:
        return
    assert found == {"formula": formula}


@given(st.text(string.ascii_uppercase + string.digits + " \n\t\\$.,;中", max_size=20))
@settings(deadline=None)
def test_read_never_changes_an_escaped_text(value):
    assert LATEX.parse(json.dumps({"formula": value})) == {"formula": value}

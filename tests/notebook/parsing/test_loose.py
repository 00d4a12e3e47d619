"""Options typed with a Chinese keyboard are read; options in the forms of other tools are told."""

import pytest

from qfmagic.core.errors import OptionError
from qfmagic.notebook.parsing.line import parse_line, parse_pairs
from qfmagic.notebook.parsing.option_table import help_table


@pytest.mark.parametrize(
    ("line", "options", "flags", "text"),
    [
        ("model=yi，temperature=0.3 你好", {"model": "yi", "temperature": 0.3}, (), "你好"),
        ("model=yi； temperature=0.3", {"model": "yi", "temperature": 0.3}, (), ""),
        ("model=yi, temperature=0.3", {"model": "yi", "temperature": 0.3}, (), ""),
        ("model=yi,temperature=0.3", {"model": "yi", "temperature": 0.3}, (), ""),
        ("model=yi ，temperature=0.3", {"model": "yi", "temperature": 0.3}, (), ""),
        ("model=yi， 你好", {"model": "yi"}, (), "你好"),
        ("raw，model=yi，dry 你好", {"model": "yi"}, ("raw", "dry"), "你好"),
        ("ｍｏｄｅｌ＝ｙｉ　temperature＝０．５　你好", {"model": "yi", "temperature": 0.5}, (), "你好"),
        ("ｒａｗ stream＝ｔｒｕｅ", {"stream": True}, ("raw",), ""),
        ("model=“yi”", {"model": "yi"}, (), ""),
        ("model=”yi”，raw", {"model": "yi"}, ("raw",), ""),
        ("system=‘你是 专家’ 你好", {"system": "你是 专家"}, (), "你好"),
        ("system=「你是 专家」，stream=true", {"system": "你是 专家", "stream": True}, (), ""),
        ("system=你是“专家” 你好", {"system": "你是“专家”"}, (), "你好"),
        ("system=“好”的， 你好", {"system": "“好”的，"}, (), "你好"),
        ('system="a，model=yi" hi', {"system": "a，model=yi"}, (), "hi"),
        ('chat="工作，" hi', {"chat": "工作，"}, (), "hi"),
        ("chat=工作， hi", {"chat": "工作"}, (), "hi"),
        ("model=a，b", {"model": "a,b"}, (), ""),
        ("\u200bmodel=yi hi", {"model": "yi"}, (), "hi"),
        ("model={{ m }}，raw hi", {"model": "{{ m }}"}, ("raw",), "hi"),
    ],
)
def test_parse_line_reads_a_chinese_keyboard(line, options, flags, text):
    read = parse_line(line)
    assert (dict(read.options), set(read.flags), read.text) == (options, set(flags), text)


@pytest.mark.parametrize(
    ("line", "flags", "text"),
    [
        ("once upon a time there was", ("once",), "upon a time there was"),
        ("raw fish dishes of Japan", ("raw",), "fish dishes of Japan"),
        ("model=yi quiet places in Beijing", ("quiet",), "places in Beijing"),
        ("once raw fish dishes", ("once", "raw"), "fish dishes"),
    ],
)
def test_flag_that_may_be_the_prompts_first_word_is_told(line, flags, text):
    read = parse_line(line)
    assert (set(read.flags), read.text, read.unsure) == (set(flags), text, flags[-1])


@pytest.mark.parametrize(
    "line",
    [
        "once after",
        "once 介绍下长城",
        "once Ada Lovelace asks: how high is it?",
        "once about {{ q }}",
        "once -- upon a time",
        "-- once upon a time",
        "once model=yi tell me more",
        "tell me more",
    ],
)
def test_flag_before_a_sentence_or_the_end_of_options_is_a_flag(line):
    assert not parse_line(line).unsure


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("model = yi hi", "model=..."),
        ("model =yi", "model=..."),
        ("model　＝　yi", "model=..."),
        ("--model yi hi", "model=..."),
        ("--model=yi", "model=..."),
        ("—model yi", "model=..."),
        ("－－model yi", "model=..."),
        ("-m yi hi", "model=..."),
        ("-t 0.5 hi", "temperature=..."),
        ("--max-output-tokens 5", "max_output_tokens=..."),
        ("--raw hi", "raw"),
        ("raw --model yi", "model=..."),
        ("（model=yi）你好", "model=..."),
        ("(model=yi, temperature=0.3) hi", "model=..."),
        ("“model=yi” 你好", "model=..."),
        ("model：yi 你好", "model=..."),
        ("model： yi", "model=..."),
        ("model:yi", "model=..."),
    ],
)
def test_parse_line_reports_form_of_options(line, right):
    with pytest.raises(OptionError) as error:
        parse_line(line)
    assert (error.value.key, error.value.values["right"]) == ("option.form", right)
    assert "yi" not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        "你好，model=x 是什么意思",
        "E＝mc²是什么",
        "new，什么意思",
        "-5 + 3 等于多少",
        "- model",
        "--force 和 -f 有什么区别",
        "“你好” 怎么说",
        "(a+b)=c",
        "token：是什么",
        "key: what is that",
        "model: how does it work",
        "model 是什么",
        "-- model = x",
    ],
)
def test_parse_line_keeps_prompts(line):
    assert parse_line(line).text == line.removeprefix("-- ")


@pytest.mark.parametrize(
    "line",
    [
        "api_key = abcdef",
        "--api-key abcdef",
        "apiKey=abcdef",
        "ａｐｉ_key＝abcdef",
        "(token=abcdef)",
        "token：abcdefghijklmnop1234",
        "openai_api_key=abcdef",
        "secret=abcdef",
    ],
)
def test_parse_line_rejects_keys_in_any_form(line):
    with pytest.raises(OptionError) as error:
        parse_line(line)
    assert error.value.key == "option.secret"
    assert "abcdef" not in str(error.value)


@pytest.mark.parametrize("line", ["model=yi；你好", "model=yi，你好", "endpoint=“x”，你好", "model=（yi）"])
def test_parse_line_rejects_texts_as_model_names(line):
    with pytest.raises(OptionError) as error:
        parse_line(line)
    assert error.value.key == "option.value"


def test_parse_line_reports_unclosed_quote():
    with pytest.raises(OptionError) as error:
        parse_line("system=“你好 hi")
    assert error.value.key == "option.quote"


def test_parse_pairs_matches_parse_line():
    settable = help_table().settable
    assert parse_pairs("model＝yi， temperature=０.3", settable, "u") == {"model": "yi", "temperature": 0.3}
    with pytest.raises(OptionError, match=r"model=\.\.\."):
        parse_pairs("model = yi", settable, "u")

"""Keys are found however they are spelled, masked exactly, in time in proportion to the text; and nothing else is."""

import random
import string
import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qfmagic.core.keys.escapes import LAYERS, undone
from qfmagic.core.keys.spellings import MASK, PART, Spellings, spellings_of
from tests.support.spelled import KEY, SECRET, WAYS, b64, told

OTHER = "aB3dE5fG7hJ9kL1mN3pQ5rS7"
KNOWN = Spellings([KEY, OTHER])
AROUND = {
    "alone": ("", ""),
    "words": ("The key ", " was refused."),
    "Chinese": ("密钥", "，无效。"),
    "escapes": ('{"a": "\\u5bc6\\n&amp;%20', '\\""}'),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("way", WAYS)
def test_spellings_masked_hides_spelled_key_and_nothing_around_it(way, around):
    before, after = AROUND[around]
    spelled = WAYS[way](KEY)
    text = f"{before}{spelled}{after}"
    hits = KNOWN.hits(text)
    assert {hit.secret for hit in hits} == {KEY}
    masked = KNOWN.masked(text)
    assert masked.startswith(before)
    assert masked.endswith(after)
    assert not KNOWN.hits(masked)
    assert not told(masked)
    for layer in undone(masked):
        assert not told(layer.text)


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"hex of the secret", "base64 of the secret"}))
def test_spellings_find_key_without_public_part(way):
    spelled = WAYS[way](f"{OTHER}/{OTHER.swapcase()[::-1]}/{SECRET}")
    assert spellings_of(frozenset([f"{OTHER}/{OTHER.swapcase()[::-1]}/{SECRET}"])).find(f"a {spelled} b")


NESTING = ("HTML, dec", "HTML, hex", "HTML, some", "JSON with u", "JSON, all", "wide")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_spellings_find_any_sixteen_characters_in_two_escapes(data):
    tail = f"{KEY.split('-')[-1]}"
    start = data.draw(st.integers(0, len(tail) - PART - 1))
    part = tail[start : start + PART + 1]
    for among in (("split", *NESTING), NESTING):
        way = data.draw(st.sampled_from([way for way in WAYS if way.startswith(among)]))
        part = WAYS[way](part)
    assert KNOWN.find(f"x {part} y") == KEY


PROSE = [
    "Set QIANFAN_BEARER_TOKEN=bce-v3/ALTAK-... in the environment.",
    "A key looks like bce-v3/ALTAK-xxxxxxxx/xxxxxxxx and starts with bce-v3/ALTAK-",
    b64("bce-v3/ALTAK-") + " " + b64("Bearer bce-v3/ALTAK-another-one-0123456789/0123456789"),
    b"bce-v3/ALTAK-".hex(),
    "bce-v3/ALTAK-An0therOneQ7w8e9r0t1y2/1111aaaa2222bbbb3333cccc4444dddd5555eeee",
    "d41d8cd98f00b204e9800998ecf8427e da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "550e8400-e29b-41d4-a716-446655440000",
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/",
    "%E4%B8%AD%E6%96%87 \\u4e2d\\u6587 &lt;b&gt; &amp; \\/",
    string.printable * 20,
]


@pytest.mark.parametrize("text", PROSE)
def test_spellings_find_nothing_in_text_without_key(text):
    assert KNOWN.hits(text) == []
    assert KNOWN.masked(text) == text


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("my-private-deployment-2026", "A private deployment is my choice."),
        ("ernie-gateway-password", "The gateway password of ERNIE is not told."),
        ("prefix-0123456789abcdef", "The digits are 0123456789abcdef."),
        ("password", "pass words are words"),
        ("key", "a key is a key"),
    ],
)
def test_spellings_ignore_words_that_are_part_of_a_key(secret, text):
    assert Spellings([secret]).hits(text) == []


@pytest.mark.parametrize(
    "secret", ["p@ss-w0rd!", "correct horse", "$ecret/+=", "ab12cd34", "MY-GATEWAY-KEY-OF-WORDS", "(tr1cky-Key-0123/)"]
)
@pytest.mark.parametrize("way", ["as it is", "%", "%, all", "JSON, all", "HTML, hex", "upper case", "base64", "hex"])
def test_spellings_mask_short_keys_and_passphrases_whole(secret, way):
    spelled = WAYS[way](secret)
    masked = Spellings([secret]).masked(f"<< {spelled} >>")
    assert masked in (f"<< {MASK} >>", f"<< {MASK}= >>", f"<< {MASK}== >>")


def test_spellings_find_several_keys_at_their_places():
    text = f"1 {KEY} 2 {OTHER[::-1]} 3 {KEY}{OTHER}"
    assert KNOWN.masked(text) == f"1 {MASK} 2 {MASK} 3 {MASK}{MASK}"
    assert [hit.secret for hit in KNOWN.hits(text)] == [KEY, OTHER, KEY, OTHER]


@given(st.text(st.sampled_from(list("%&#;x\\uU/nA41aZ<b>\x1b[m ９2fF{}5"))))
@settings(deadline=None)
def test_layers_map_characters_to_their_origin(text):
    spelled = text
    for number, layer in enumerate(undone(text), 1):
        assert number <= LAYERS
        spans = [layer.origin(at, at + 1) for at in range(len(layer.text))]
        assert spans == sorted(spans)
        for character, (start, end) in zip(layer.text, spans, strict=True):
            assert 0 <= start < end <= len(spelled)
            assert end - start > 1 or spelled[start] == character or character.isalnum()
        spelled = layer.text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"bad key {KEY[:17]}...", f"bad key {MASK}"),
        (f"bad key {KEY[:17]}…", f"bad key {MASK}"),
        (f"...{KEY[-9:]} is bad", f"{MASK} is bad"),
        ("use bce-v3/ALTAK-...", "use bce-v3/ALTAK-..."),
        ("temperature", "temperature"),
    ],
)
def test_spellings_masked_message_masks_truncated_key(said, shown):
    assert KNOWN.masked_message(said) == shown


REPEATED = {
    "words": "The quick brown 狐狸 jumps over 懒狗 & says: hello 世界 https://x/?a=1%20b\n",
    "Chinese": "这是一段中文文本，",
    "JSON": "\\u4e2d\\u6587\\n",
    "%": "%E4%B8%AD%61",
    "entities": "&#98;&#x41;&amp;",
    "backslashes": "\\",
    "ampersands": "&",
    "layers": "%25",
    "tags": "<p>",
    "brackets": "<",
    "blanks": " ",
    "public": "bce-v3/ALTAK-",
    "zeros": "0",
    "key": f"{KEY} ",
    "escaped key": WAYS["JSON, all"](KEY),
}


@pytest.mark.parametrize("kind", REPEATED)
def test_spellings_hits_time_is_linear(kind):
    unit = REPEATED[kind]
    times = []
    for size in (50_000, 200_000):
        text = unit * (size // len(unit))
        started = time.process_time()
        KNOWN.hits(text)
        times.append(time.process_time() - started)
    assert times[1] < 1
    assert times[1] < 12 * times[0] + 0.1


def test_spellings_masked_time_is_linear_in_keys():
    text = f"{OTHER} " * 40_000
    started = time.process_time()
    assert KNOWN.masked(text) == f"{MASK} " * 40_000
    assert time.process_time() - started < 4  # about 1 s; with a copy of the text for each key it took 8 s


def test_spellings_hits_is_fast_without_matches():
    text = "".join(random.Random(1).choices(string.ascii_letters + string.digits + "  \n，。%", k=1_000_000))
    started = time.process_time()
    assert KNOWN.hits(text) == []
    assert time.process_time() - started < 1  # about 0.1 s; a machine under load gets some room


def test_undone_stops_after_known_layers():
    text = "a/b"
    for _ in range(LAYERS + 2):
        text = quote(text, safe="").replace("%", "%25")
    assert len(list(undone(text))) == LAYERS


def test_spellings_repr_hides_key_and_repeated_key_is_found():
    key = "aB3x" * 12
    spellings = spellings_of(frozenset({key}))
    assert key not in repr(spellings)
    assert spellings.hits(f"it is {key}.")

"""Fingerprints: equal for equal contents, whatever a file's editor did, and the same in every version."""

from qfmagic.core import fingerprint


def test_of_json_ignores_the_order_of_keys():
    assert (
        fingerprint.of_json({"b": 1, "a": "长城"}) == fingerprint.of_json({"a": "长城", "b": 1}) == "c5fe9fcb4113542a"
    )


def test_of_source_ignores_line_ends_after_the_last_line_only():
    assert fingerprint.of_source("%%qianfan\nhi\n\n") == fingerprint.of_source("%%qianfan\nhi")
    assert fingerprint.of_source("\n%%qianfan\nhi") != fingerprint.of_source("%%qianfan\nhi")


def test_of_text_accepts_lone_surrogate():
    assert fingerprint.of_text("\ud83d") == fingerprint.of_text("?")

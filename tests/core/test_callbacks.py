"""The callables used where a caller gives none."""

from qfmagic.core.callbacks import always, ignore


def test_ignore_returns_nothing_and_always_allows():
    assert ignore("a", 1) is None
    assert always("a", 1) is True

"""What has the form of a key, whoever's it is."""

import pytest

from qfmagic.core.keys.forms import holds_form, holds_word


@pytest.mark.parametrize(
    "text",
    [
        "bce-v3/ALTAK-a1B2c3D4e5F6g7H8/0123456789abcdef0123456789abcdef01234567",
        "key = 'bce-v3/ALTAK-a1B2c3D4e5F6g7H8/0123456789abcdef0123456789abcdef01234567'",
        "bce-v3%2FALTAK-a1B2c3D4e5F6g7H8%2F0123456789abcdef0123456789abcdef01234567",
        "24.0123456789abcdef0123456789abcdef.2592000.1700000000-1234567",
        "QIANFAN_SK=a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6",
        "QIANFAN_SK＝“a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6”",
        "ｂｃｅ－ｖ３／ＡＬＴＡＫ－ａ１Ｂ２ｃ３Ｄ４ｅ５Ｆ６／０１２３４５６７８９ａｂｃｄｅｆ",
        "bce－v3／ALTAK－a1B2c3D4e5F6g7H8／0123456789abcdef",
    ],
)
def test_holds_form_finds_keys_of_the_service(text):
    assert holds_form(f"Use {text} here")


@pytest.mark.parametrize(
    "text",
    [
        "bce-v3/ALTAK-your-key/xxxxxxxxxxxxxxxx",
        "d41d8cd98f00b204e9800998ecf8427e",
        "123e4567-e89b-12d3-a456-426614174000",
        "QIANFAN_SK=$SECRET",
        "介绍下长城",
    ],
)
def test_holds_form_ignores_long_words_without_key(text):
    assert not holds_form(f"Use {text} here")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("switch a1B2c3D4e5F6g7H8i9J0k1L2", True),
        ("switch a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6", True),
        ("switch abcdefghijklmnopqrstuvwx", False),
        ("switch analysis_of_2026_and_more", False),
        ("switch 0123456789abcdef01234567", False),
    ],
)
def test_holds_word_finds_random_words(line, found):
    assert holds_word(line) is found

"""Compressed bodies: whatever is in them, however they are cut, never more than a body may hold."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.errors import ProtocolError
from qfmagic.core.wire.unpacking import MEMBERS, STEP, Unpacker

MOST = 1 << 20
TEXT = "长城，万里。".encode() * 1000


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {"gzip": gzip.compress, "deflate": zlib.compress, "Deflate": raw_deflate, "identity": bytes}


def unpacked(encoding, pieces, most=MOST):
    unpacker = Unpacker(encoding, most)
    found = [piece for packed in pieces for piece in unpacker.feed(packed)]
    unpacker.close()
    return found


def cut(data, places):
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(name=st.sampled_from(sorted(PACKERS)), data=st.binary(max_size=300), places=st.lists(st.integers(0, 10**6)))
def test_unpacker_restores_data_in_any_chunks(name, data, places):
    assert b"".join(unpacked(name, cut(PACKERS[name](data), places))) == data


@given(name=st.sampled_from(["gzip", "deflate"]), data=st.binary(max_size=200), places=st.lists(st.integers(0, 300)))
def test_unpacker_raises_only_protocol_errors(name, data, places):
    error = None
    try:
        unpacked(name, cut(data, places))
    except ProtocolError as raised:
        error = raised
    assert error is None or error.key in ("protocol.packed_broken", "protocol.packed_cut")
    assert error is None or error.message("zh") != error.message("en")


@given(name=st.sampled_from(["gzip", "deflate", "Deflate"]), end=st.integers(1, 60))
def test_unpacker_keeps_data_before_cut_and_reports_cut(name, end):
    packed = PACKERS[name](TEXT)[: -min(end, 20)]
    unpacker = Unpacker(name, MOST)
    assert TEXT.startswith(b"".join(unpacker.feed(packed)))
    with pytest.raises(ProtocolError) as caught:
        unpacker.close()
    assert caught.value.key == "protocol.packed_cut"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,deflate,gzip", "br", "zstd", "compress", "gzip, br", "💥"])
def test_unpacker_rejects_several_layers_and_unknown_encodings(encoding):
    with pytest.raises(ProtocolError) as caught:
        Unpacker(encoding, MOST)
    assert caught.value.key == "protocol.encoding"


@pytest.mark.parametrize("encoding", ["", "identity", "Identity, GZIP", " x-gzip , "])
def test_unpacker_accepts_one_layer_in_any_spelling(encoding):
    packed = gzip.compress(TEXT) if "g" in encoding.lower() else TEXT
    assert b"".join(unpacked(encoding, [packed])) == TEXT


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_unpacker_stops_bomb_at_bound(name):
    packed = PACKERS[name](bytes(8 * MOST))
    sizes = []

    def unpack():
        unpacker = Unpacker(name, MOST)
        for start in range(0, len(packed), STEP):
            sizes.extend(map(len, unpacker.feed(packed[start : start + STEP])))

    with pytest.raises(ProtocolError) as caught:
        unpack()
    assert caught.value.key == "protocol.endless"
    assert sum(sizes) <= MOST
    assert max(sizes) <= STEP


def test_unpacker_bounds_empty_members():
    """Members that hold nothing cost work and bring no size; so do blocks without content."""
    assert b"".join(unpacked("gzip", [gzip.compress(b"") * MEMBERS])) == b""
    with pytest.raises(ProtocolError) as caught:
        unpacked("gzip", [gzip.compress(b"") * (MEMBERS + 1)])
    assert caught.value.key == "protocol.packed_broken"
    with pytest.raises(ProtocolError) as caught:
        unpacked("Deflate", [b"\0\0\0\xff\xff" * (MOST // 5 + 1)])
    assert caught.value.key == "protocol.endless"


def test_unpacker_accepts_only_padding_after_gzip():
    assert b"".join(unpacked("gzip", [gzip.compress(TEXT), b"\0" * 9, b"\0"])) == TEXT
    for name, behind in (("gzip", b"\0x"), ("gzip", b"<html>"), ("deflate", b"x")):
        with pytest.raises(ProtocolError) as caught:
            unpacked(name, [PACKERS[name](TEXT) + behind])
        assert caught.value.key in ("protocol.packed_broken", "protocol.packed_cut")

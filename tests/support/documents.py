"""Small notebooks as qfmagic leaves them, and their cassettes."""

import json
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType

from qfmagic.audit.audit import audit
from qfmagic.core.context import Exchange
from qfmagic.core.conversation import chain
from qfmagic.core.fingerprint import of_json, of_source
from qfmagic.core.wire import ChatRequest
from qfmagic.transport.cassette.file import Cassette
from qfmagic.transport.cassette.recording import recorded_of

TURNS = (("介绍下长城", "The Great Wall is long."), ("How long?", "21,196 km."), ("Since when?", "Since 700 BC."))


def request_of(prompt, history=()):
    said = [one for pair in history for one in pair] + [prompt]
    messages = [{"role": ("user", "assistant")[n % 2], "content": one} for n, one in enumerate(said)]
    return ChatRequest("v1", "yi_34b_chat", "yi_34b_chat", {"messages": messages, "stream": True}, {})


def hashes(history):
    found, parent = [], None
    for prompt, answer in history:
        parent = chain(parent, Exchange.of(prompt, answer))
        found.append(parent)
    return found


def provenance(prompt, answer, history=(), **changed):
    parents = hashes(history)
    return {
        "version": "0.1.0", "transport": "live", "wire": "v1", "model": "yi_34b_chat", "endpoint": "yi_34b_chat",
        "parameters": {"temperature": 0.3}, "chat": "main", "turn": len(history) + 1, "state": "answered",
        "hash": hashes([*history, (prompt, answer)])[-1], "parents": parents,
        "request": request_of(prompt, history).hash, "finish": "stop",
        "usage": {"prompt_tokens": 4, "completion_tokens": 20, "total_tokens": 24},
        "context": {"sent": len(history), "available": len(history)}, **changed,
    }  # fmt: skip


def code(source, ran, *outputs, **metadata):
    return {"cell_type": "code", "metadata": metadata, "execution_count": ran, "source": source, "outputs": [*outputs]}


def shown(text, metadata=None):
    data = {"text/markdown": text, "text/plain": text}
    given = {} if metadata is None else {"qfmagic": {"shown": of_json(data), **metadata}}
    return {"output_type": "display_data", "data": data, "metadata": given}


def failed(name="ValueError"):
    return {"output_type": "error", "ename": name, "evalue": "...", "traceback": []}


def asked(prompt, answer, ran, history=(), *, line="%%qianfan", source=None, **changed):
    """A cell that asked, with its answer."""
    source = f"{line}\n{prompt}" if source is None else source
    return code(
        source, ran, shown(answer, {"cell": of_source(source), **provenance(prompt, answer, history, **changed)})
    )


def mapped(ran=2, *, source="%%qf map df\nRate {{ text }}", **changed):
    """A cell that asked about many rows, with its summary."""
    data = {"text/markdown": "3 of 3 rows", "text/plain": "3 of 3 rows"}
    given = {
        "transport": "record", "transports": ["record"], "wire": "v1", "model": "yi_34b_chat",
        "endpoint": "yi_34b_chat", "parameters": {"temperature": 0.3}, "cell": of_source(source),
        "rows": 3, "answered": 3, "kept": 0, "failed": 0, "shown": of_json(data),
        "usage": {"prompt_tokens": 12, "completion_tokens": 60},
        "exchanges": [{"wire": "v1", "model": "yi_34b_chat", "least": 3, "most": 3}], **changed,
    }  # fmt: skip
    return code(source, ran, {"output_type": "display_data", "data": data, "metadata": {"qfmagic_map": given}})


def talk(turns=TURNS, **changed):
    """One cell for each turn of a conversation."""
    return [asked(*turn, n + 2, turns[:n], **changed) for n, turn in enumerate(turns)]


def notebook(*cells):
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": deepcopy([code("%load_ext qfmagic", 1), *cells]),
    }


def recorded(prompt, answer, history=(), n=0, **changed):
    event = {"id": "as-1", "created": 1, "result": answer, "is_end": True, "is_truncated": False}
    events = [(0.1, f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())]
    headers = {"content-type": "text/event-stream"}
    recorded = recorded_of(request_of(prompt, history), n, status=200, headers=headers, events=events)
    return replace(recorded, **changed)


def cassette(*exchanges):
    return Cassette(MappingProxyType({one.key: one for one in exchanges}))


def tape(turns=TURNS):
    """The cassette of a conversation."""
    return cassette(*(recorded(*turn, turns[:n]) for n, turn in enumerate(turns)))


def found(*cells, cassette=None, **more):
    """What an audit says of a notebook with these cells: each code, and the cell."""
    report = audit(notebook(*cells), cassette, **more)
    for finding in report.findings:
        for lang in ("en", "zh"):
            assert finding.message(lang)
    return [(finding.code, finding.cell) for finding in report.findings]

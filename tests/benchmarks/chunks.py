"""CPU time per chunk of long streams."""

from contextlib import ExitStack

from .common import Row, environment, medians, worker

COUNT = 20_000
WAYS = {
    "block": ("as one block", COUNT),
    "single": ("one write per event", COUNT),
    "paced": ("events arriving one by one", COUNT // 5),
}


def _spent(url: str, scratch: str, contenders: dict[str, tuple[str, ...]], repetitions: int) -> dict[str, float]:
    """CPU seconds of a stream, by contender."""
    with ExitStack() as stack:
        env = environment(url, scratch)
        asks = {name: stack.enter_context(worker("drains", *words, env=env)) for name, words in contenders.items()}
        rounds = {name: lambda ask=ask: float(ask("go")) for name, ask in asks.items()}
        return medians(rounds, repetitions)


def against_others(server: str, scratch: str) -> list[Row]:
    """A V1 stream read to its end by ``Qianfan.stream``, against plain synchronous httpx, and against the SDK."""
    rows = []
    contenders = {"qfmagic": ("ours",), "httpx": ("plain",), "SDK": ("sdk",)}
    for way, (title, count) in WAYS.items():
        spent = _spent(f"{server}/{way}/{count}", scratch, contenders, 7 if way != "paced" else 5)
        figures = ", ".join(f"{name} {seconds / count * 1e6:.1f}" for name, seconds in spent.items()) + " µs/chunk"
        for other, aim in (("httpx", "≤ 1.0"), ("SDK", "≤ 0.5")):
            ratio = spent["qfmagic"] / spent[other]
            rows.append(Row(f"CPU per chunk, {count:,} {title}: qfmagic / {other}", f"{ratio:.2f}×", aim, figures))
    return rows


def flatness(server: str, scratch: str) -> list[Row]:
    """A V2 stream behind 1000 turns of history, all sent, against one behind 10."""
    contenders = {turns: ("ours", turns) for turns in ("10", "1000")}
    spent = _spent(f"{server}/block/{COUNT}", scratch, contenders, 9)
    figures = ", ".join(f"{turns} turns {seconds / COUNT * 1e6:.1f}" for turns, seconds in spent.items()) + " µs/chunk"
    ratio = spent["1000"] / spent["10"]
    return [Row(f"CPU per chunk, {COUNT:,} behind 1000 turns / 10 turns", f"{ratio:.2f}×", "about 1.0", figures)]

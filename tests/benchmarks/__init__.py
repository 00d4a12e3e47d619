"""
Benchmarks against httpx and the official SDK: ``python -m tests.benchmarks``, from the root of the repository.

Everything runs on this machine, against servers on the loopback. Timings differ between machines and between runs, so
that only ratios of contenders that took turns in one run are reported, as medians; nothing is asserted.
"""

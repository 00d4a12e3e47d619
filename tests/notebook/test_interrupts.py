"""Interrupts that wait for a good moment."""

import signal

import pytest

from qfmagic.notebook.interrupts import Interrupts


def test_interrupts_passing_stops_between_items():
    """What makes the items may wait for ever, and the interrupt has been taken already."""
    asked = []

    def items():
        for number in range(3):
            asked.append(number)
            yield number

    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:  # noqa: PT012 - the loop asks for the items
        for _ in interrupts.passing(items()):
            signal.raise_signal(signal.SIGINT)
    assert asked == [0]

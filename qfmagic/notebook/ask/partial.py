"""What there is of an answer: as far as it came, or with what came before."""

from dataclasses import replace

from ...client.streams import Stream
from ...core.answer import Answer
from ...core.errors import QianfanError
from ...core.usage import added


def joined(begun: Answer | None, answer: Answer) -> Answer:
    """The whole of an answer that was continued; each count is the sum of both requests'."""
    if begun is None:
        return answer
    return replace(
        answer,
        text=begun.text + answer.text,
        reasoning=begun.reasoning + answer.reasoning,
        usage=added([begun.usage, answer.usage]),
        flag=max(begun.flag, answer.flag),
        extra={**begun.extra, **answer.extra},
        seconds=begun.seconds + answer.seconds,
    )


def so_far(stream: Stream, error: KeyboardInterrupt | QianfanError) -> Answer:
    """What had come; the whole answer, if the interrupt came when it was just there."""
    if isinstance(error, QianfanError):
        return error.partial or Answer("", finish_reason="interrupted")
    try:
        return stream.answer
    except QianfanError as late:  # it failed just when it was interrupted
        return late.partial or Answer("", finish_reason="interrupted")

"""The ways in which a model's text comes to be shown, each as the Markdown and HTML that are left in a document."""

from collections.abc import Callable, Iterator

from qfmagic.core.answer import Answer
from qfmagic.core.conversation import Conversation, Turn
from qfmagic.notebook.conversation.export import exported
from qfmagic.notebook.output.bundle import answer_bundle
from qfmagic.notebook.output.views import StaticView
from qfmagic.testing.harness import magics_of
from tests.support.services import refusal, v2

STYLES = ("markdown", "text", "json", "code", "html")


def _answer(style: str) -> Callable[[str], dict]:
    return lambda text: answer_bundle(Answer(text), ["a note"], style)


def _export(text: str) -> dict:
    turn = Turn(text, Answer(text, finish_reason="stop", model=text))
    return {"text/markdown": exported(Conversation(text, (turn,)), ".md")}


def _pages(text: str) -> list[dict]:
    return [{"url": text, "title": "A page"}, {"index": 2, "url": f"https://a.example/{text}", "title": text}]


# Those that are functions of the text.
PURE: dict[str, Callable[[str], dict]] = {
    **{f"format={style}": _answer(style) for style in STYLES},
    "reasoning": lambda text: answer_bundle(Answer("The answer.", reasoning=text), ["a note"]),
    "both": lambda text: answer_bundle(Answer(text, reasoning=text), ["a note"]),
    "note": lambda text: answer_bundle(Answer("The answer."), [text]),
    "export": _export,
    "sources": lambda text: answer_bundle(Answer("The answer.", extra={"search_results": _pages(text)}), ["a note"]),
}


class Session:
    """
    A shell whose service answers with what is wanted, and the outputs that are left in its document.

    Args:
        shell: The shell.
        service: What answers its questions.
    """

    def __init__(self, shell, service) -> None:
        self._shell, self._service = shell, service
        self._shown: list[dict] = []
        front = magics_of(shell).engine.cell.front
        front.view = lambda ask, style, whole_cell: StaticView(lambda bundle, **_: self._shown.append(bundle))
        front.publish = self._shown.append
        front.conclude = lambda bundle, metadata: self._shown.append(bundle)

    def ask(self, line: str = "model=m", question: str = "Why?") -> None:
        self._shell.run_cell_magic("qianfan", line, question)

    def command(self, line: str, body: str | None = None) -> None:
        if body is None:
            self._shell.run_line_magic("qf", line)
        else:
            self._shell.run_cell_magic("qf", line, body)

    def ways(self, text: str) -> Iterator[tuple[str, list[dict]]]:
        """Each way, and the outputs that show *text* in it."""
        for name, show in WAYS.items():
            self._service.answers = {"m": v2(text, "m"), "other": v2(text, text)}
            self._shell.user_ns["rows"] = [{"q": text, text[:20]: "x"}, {"q": "b", text[:20]: text}]
            self._shown.clear()
            try:
                show(self, text)
            except Exception as error:  # noqa: BLE001 - shown as plain text by every front end; what was left counts
                self._shown.append({"text/plain": str(error)})
            yield name, [*self._shown]

    def refuse(self, text: str) -> None:
        self._service.answers["other"] = refusal(text, text, 400)


def _quoted(text: str) -> str:
    """As one word of a line."""
    return "'" + text.replace("'", "").replace("\n", " ").replace("{{", "{") + "'"


def _said(*lines: str) -> Callable[[Session, str], None]:
    def show(session: Session, text: str) -> None:
        for line in lines:
            session.command(line)

    return show


def _refused(line: str, body: str) -> Callable[[Session, str], None]:
    def show(session: Session, text: str) -> None:
        session.refuse(text)
        session.command(line, body)

    return show


def _asked(line: str) -> Callable[[Session, str], None]:
    return lambda session, text: session.ask(line)


def _compare(line: str) -> Callable[[Session, str], None]:
    return lambda session, text: session.command(f"compare {line}", "Why?")


# Those that take a session, one after the other: the first leaves the turn that others show.
WAYS: dict[str, Callable[[Session, str], None]] = {
    "question": lambda session, text: session.ask("model=m raw", text),
    "cell": _asked("model=m"),
    "model's name": _asked("model=other"),
    "last": _said("last"),
    "show": _said("show 1", "show 2", "show 3"),
    "history": _said("history"),
    "several": _asked("model=m,other"),
    "compare": _compare("models=m,other n=2"),
    "compare refused": _refused("compare models=m,other", "Why?"),
    "compare rows": lambda session, text: session.command("compare over=rows models=m,other", "Why {{ q }}?"),
    "map": lambda session, text: session.command("map rows model=m into=found", "Why {{ q }}?"),
    "map refused": _refused("map rows model=other into=found", "Why {{ q }}?"),
    "map dry": lambda session, text: session.command("map rows model=m dry", "Why {{ q }}?"),
    "settings": lambda session, text: session.command(f"set system={_quoted(text)}"),
    "panel": _said("panel", "settings", "unset system"),
    "conversation's name": lambda session, text: session.command(f"fork {_quoted(text)}"),
    "back": _said("history", "switch main", "usage", "drop 1", "restore 1", "reset"),
}

"""``qfmagic`` on the command line: what there is outside of a notebook."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from .core.errors import OptionError, QianfanError
from .core.i18n import reader_language, text
from .version import __version__

WRONG = 2  # the exit status where nothing could be done
INTERRUPTED = 130  # as shells have it
PORT = 8765
_LANGS = ("zh", "en", "auto")
_VERSION = f"qfmagic {__version__}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a terminal without Chinese gets escapes, not an error
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # that is what is suppressed
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words == ["--version"]:  # asked by scripts, and often: it doesn't wait for the texts
        _say(_VERSION)
        return 0
    try:
        lang = _language(os.environ)
        given = _parser(lang).parse_args(words)
        command: Callable[[argparse.Namespace, str], int] = given.command
        status = command(given, lang)
    except QianfanError as error:
        _complain(error.message())
        return WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has read enough
        with suppress(OSError, AttributeError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRONG
    return status


def _language(environ: Mapping[str, str]) -> str:
    chosen = environ.get("QFMAGIC_LANG") or "auto"
    if chosen not in _LANGS:
        raise OptionError("option.value", name="QFMAGIC_LANG", value=chosen, allowed=list(_LANGS))
    return reader_language(chosen, environ)


def _say(shown: str) -> None:
    sys.stdout.write(f"{shown}\n")
    sys.stdout.flush()  # a server says where it is and goes on


def _complain(shown: str) -> None:
    from .core.terminal import printable  # noqa: PLC0415 - only where something is wrong

    sys.stderr.write(f"qfmagic: {printable(shown)}\n")


# ---- the commands


def _audit(given: argparse.Namespace, lang: str) -> int:
    from .audit.command import run  # noqa: PLC0415 - --version must not wait for it

    if given.cassette is not None and len(given.notebooks) > 1:
        _complain(text("cli.audit.one", lang, count=len(given.notebooks)))
        return WRONG
    return run(
        given.notebooks,
        environ=os.environ,
        lang=lang,
        say=_say,
        complain=_complain,
        cassette=given.cassette,
        as_json=given.json,
        strict=given.strict,
    )


def _serve(given: argparse.Namespace, lang: str) -> int:
    from .testing.serve import serve  # noqa: PLC0415 - as above

    return serve(given.host, given.port, given.pace, lang=lang, say=_say, complain=_complain, allowed=given.allow_host)


# ---- the line


class _ArgumentParser(argparse.ArgumentParser):
    """argparse, with the headings and errors of the catalogue."""

    lang = "en"

    def error(self, message: str) -> NoReturn:
        reason = message[:1].upper() + message[1:] if self.lang == "en" else message
        _complain(text("cli.wrong", self.lang, reason=reason, program=self.prog))
        self.exit(WRONG)

    def format_help(self) -> str:
        return super().format_help().replace("usage:", f"{text('cli.usage', self.lang)}:", 1)


def _parser(lang: str) -> _ArgumentParser:
    parser = _ArgumentParser(prog="qfmagic", description=text("cli.about", lang), add_help=False)
    parser.lang = lang
    options = _options(parser)
    options.add_argument("--version", action="version", version=_VERSION, help=text("cli.version", lang))
    commands = parser.add_subparsers(
        title=text("cli.commands", lang), metavar="COMMAND", required=True, parser_class=_ArgumentParser
    )

    audit = _command(commands, "audit", _audit, lang, epilog=text("cli.audit.exit", lang))
    named = audit.add_argument_group(text("cli.arguments", lang))
    named.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help=text("cli.audit.notebook", lang))
    options = _options(audit)
    options.add_argument("--cassette", type=Path, metavar="PATH", help=text("cli.audit.cassette", lang))
    options.add_argument("--json", action="store_true", help=text("cli.audit.json", lang))
    options.add_argument("--strict", action="store_true", help=text("cli.audit.strict", lang))

    server = _command(commands, "stub-server", _serve, lang)
    options = _options(server)
    options.add_argument("--port", type=_port, default=PORT, metavar="N", help=text("cli.server.port", lang))
    options.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=text("cli.server.host", lang))
    options.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help=text("cli.server.allow_host", lang)
    )
    options.add_argument("--pace", type=_pace, default=0.0, metavar="SECONDS", help=text("cli.server.pace", lang))
    return parser


def _command(
    commands: Any, name: str, work: Callable[[argparse.Namespace, str], int], lang: str, epilog: str = ""
) -> _ArgumentParser:
    said = text(f"cli.{'server' if name == 'stub-server' else name}", lang)
    parser: _ArgumentParser = commands.add_parser(name, help=said, description=said, epilog=epilog, add_help=False)
    parser.lang = lang
    parser.set_defaults(command=work)
    return parser


def _options(parser: _ArgumentParser) -> Any:
    """The group of its options, of which it has one already."""
    options = parser.add_argument_group(text("cli.options", parser.lang))
    options.add_argument("-h", "--help", action="help", help=text("cli.help", parser.lang))
    return options


def _port(written: str) -> int:
    port = int(written) if written.isascii() and written.isdigit() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{written!r} (0 - 65535)")
    return port


def _pace(written: str) -> float:
    try:
        pace = float(written)
    except ValueError:
        pace = -1.0
    if not 0 <= pace < 3600:
        raise argparse.ArgumentTypeError(f"{written!r} (0 - 3600)")
    return pace

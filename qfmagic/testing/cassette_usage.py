"""Plain tests and their cassettes: which test uses which, what was played, and what nothing asked for."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ..core.errors import CassetteError
from ..transport.cassette.file import beside
from ..transport.cassette.recording import Key
from .unplayed import complaint, language, left_over


class User(NamedTuple):
    """
    A test that uses a cassette.

    Attributes:
        cassette: The file.
        test: The test's id.
        file: The file the test stands in.
        named: Whether the test names the cassette; else it is the one beside the test's file.
    """

    cassette: str
    test: str
    file: str
    named: bool


class Ledger:
    """What is known of one run; that of a worker of pytest-xdist is merged into the one that reports."""

    def __init__(self) -> None:
        self.users: set[User] = set()
        self.passed: set[str] = set()
        self.used: set[tuple[str, str, int]] = set()

    def expect(self, item: pytest.Item) -> Path:
        """Note that a test uses its cassette; return that."""
        path, named = cassette_of(item)
        self.users.add(User(str(path), item.nodeid, str(item.path), named))
        return path

    def note(self, path: Path, keys: Iterable[Key]) -> None:
        """Note what was played from a cassette, or recorded onto it."""
        self.used |= {(str(path), *key) for key in keys}

    def packed(self) -> dict[str, list[Any]]:
        """All of it, in the types that go from process to process."""
        used = [list(one) for one in self.used]
        return {"users": [list(user) for user in self.users], "passed": list(self.passed), "used": used}

    def merge(self, packed: dict[str, list[Any]]) -> None:
        """Take over what another process has packed."""
        self.users |= {User(*user) for user in packed["users"]}
        self.passed |= set(packed["passed"])
        self.used |= {tuple(one) for one in packed["used"]}

    def reports(self, config: pytest.Config) -> Iterator[pytest.TestReport]:
        """
        A failure for each cassette with answers that nothing asked for.

        Only if all tests that use it have run and passed, as far as can be told: else another may ask for them.
        """
        for path in map(Path, sorted({user.cassette for user in self.users})):
            users = [user for user in self.users if user.cassette == str(path)]
            if not ({user.test for user in users} <= self.passed and _whole(config, path, users)):
                continue
            try:
                left = left_over(path, {(key, n) for name, key, n in self.used if name == str(path)})
                error = complaint(path, left).with_hint("testing.again") if left else None
            except CassetteError as found:
                error = found
            if error is not None:
                yield _failure(config, path, error)


def cassette_of(item: pytest.Item) -> tuple[Path, bool]:
    """The cassette of a test, and whether the test itself names it."""
    marker = item.get_closest_marker("qianfan")
    named = marker.kwargs.get("cassette") if marker else None
    path = item.path.parent / named if named else beside(item.path)
    return Path(os.path.normpath(path)), bool(named)


def _whole(config: pytest.Config, cassette: Path, users: Iterable[User]) -> bool:
    """
    Whether the run took in every test that may use a cassette.

    One beside a test file is that file's; one that tests name may be used by any under the folder it is in.
    """
    given = [config.invocation_params.dir / argument for argument in config.args if "::" not in argument]
    if config.getoption("lf", default=False):
        return False
    return all(
        any(path in (Path(user.file), *Path(user.file).parents) for path in given)
        if not user.named
        else any(path in cassette.parents for path in given)
        for user in users
    )


def _failure(config: pytest.Config, path: Path, error: CassetteError) -> pytest.TestReport:
    name = path.relative_to(config.rootpath).as_posix() if path.is_relative_to(config.rootpath) else str(path)
    return pytest.TestReport(
        nodeid=f"{name}::cassette",
        location=(name, None, f"cassette {path.name}"),
        keywords={},
        outcome="failed",
        longrepr=error.message(language()),
        when="call",
    )

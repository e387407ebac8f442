"""The public Centrifuge SDKs, for the tests that need one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.sdks import NAMES, Sdk, start

_rooms = itertools.count(1)


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], Sdk]]:
    """Starts each SDK once, for all cases that let it live."""
    with ExitStack() as stack:
        running_sdks: dict[str, Sdk] = {}

        def get(name: str) -> Sdk:
            if name not in running_sdks:
                running_sdks[name] = stack.enter_context(start(name))
            return running_sdks[name]

        yield get


@pytest.fixture(params=NAMES)
def sdk(request: pytest.FixtureRequest, started: Callable[[str], Sdk]) -> Sdk:
    """One SDK, as its process runs already."""
    return started(request.param)


@pytest.fixture(params=NAMES)
def own_sdk(request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """One SDK in a process that nobody else uses."""
    with start(request.param) as sdk:
        yield sdk


@pytest.fixture
def room() -> str:
    """A room in which nobody was."""
    return f"room-{next(_rooms)}"

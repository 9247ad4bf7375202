"""Failures: what crashes, outages, garbage and floods do to the services, and what they must not do.

A test that fails tells what it waited for, and the last lines of every process that it had started.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.journeys.conftest import home, journey

__all__ = ["home", "journey"]

SPARE: Final = 25
"""Seconds before its time-out at which a test gives up by itself: it can still end its processes, and say why."""

BEGAN_AT: Final = pytest.StashKey[float]()

LINES: Final = 40
"""Of each log that a failure shows."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that the time-out ends can neither tell what it waited for nor end its processes; giving up can."""
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and item.path.parent == Path(__file__).parent
            and asyncio.iscoroutinefunction(item.obj)
        ):
            marker = item.get_closest_marker("timeout")
            seconds = float(marker.args[0] if marker else config.getini("timeout")) - SPARE
            item.obj = _giving_up(item, item.obj, seconds)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """From here on the time-out counts."""
    item.stash[BEGAN_AT] = time.monotonic()


def _giving_up(
    item: pytest.Item, test: Callable[..., Awaitable[None]], seconds: float
) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def within(**fixtures: Any) -> None:
        try:
            async with asyncio.timeout(item.stash[BEGAN_AT] + seconds - time.monotonic()) as limit:
                await test(**fixtures)
        except TimeoutError as given_up:
            if not limit.expired():
                raise
            waiting = ", ".join(getattr(given_up.__cause__, "__notes__", ()))
            raise AssertionError(f"gave up after {seconds:.0f} seconds {waiting}") from given_up

    return within


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the ends of the processes' logs to a failure."""
    report = yield
    started_in = getattr(item, "funcargs", {}).get("home")
    if report.failed and started_in is not None:
        for log in sorted(started_in.glob("*.log")):
            said = "\n".join(log.read_text(errors="replace").splitlines()[-LINES:])
            report.sections.append((f"the last that {log.stem} said", said))
    return report

"""How every command speaks: its answer on stdout, all else on stderr, and an exit code that tells how it went."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from enum import IntEnum
from typing import Any, Final, Never

from rich.console import Console

from shared.settings import EX_CONFIG


class Exit(IntEnum):
    """How a command ended; from 64 on as in sysexits.h."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    CONFIG = EX_CONFIG


out: Final = Console(highlight=False, soft_wrap=True)


def fail(line: str, code: Exit = Exit.FAILED) -> Never:
    """End with one line on stderr."""
    sys.stderr.write(f"{line}\n")
    sys.exit(code)


def run(work: Callable[[], Coroutine[Any, Any, int]]) -> None:
    """Do something asynchronous and end with its exit code unless that is 0."""
    if code := asyncio.run(work()):
        sys.exit(code)

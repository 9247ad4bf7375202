"""How every command speaks: its answer on stdout, all else on stderr, and an exit code that tells how it went."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import UTC, date, datetime, time
from enum import IntEnum
from typing import Annotated, Any, Final, Never, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from shared.configuration.settings import EX_CONFIG


class Exit(IntEnum):
    """How a command ended; from 64 on as in sysexits.h."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    NOT_ALLOWED = 77
    CONFIG = EX_CONFIG


EXITS: Final = (
    "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 69 a service, Kafka or PostgreSQL does not answer,"
    " 77 a key or an account may not, 78 a setting or profile is wrong."
)

Json = Annotated[bool, typer.Option("--json", help="one JSON document instead of text")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]
Key = Annotated[
    str | None,
    typer.Option(envvar="CHAIRTIME_API_KEY", help="an API key; that of the running `chairtime up` when unset"),
]

out: Final = Console(highlight=False, soft_wrap=True)
err: Final = Console(highlight=False, soft_wrap=True, stderr=True)

UNCUT: Final = 1000
"""Columns of an answer that goes to a file or another program: nothing in it is cut."""

T = TypeVar("T")


def fail(line: str, code: Exit = Exit.FAILED) -> Never:
    """End with one line on stderr."""
    sys.stderr.write(f"{line}\n")
    sys.exit(code)


def run(work: Callable[[], Coroutine[Any, Any, int]]) -> None:
    """Do something asynchronous and end with its exit code unless that is 0."""
    if code := asyncio.run(work()):
        sys.exit(code)


def fetch(work: Coroutine[Any, Any, T], doing: str) -> T:
    """What something asynchronous gives; a terminal shows meanwhile what is being done."""
    with err.status(f"{doing} ..."):
        return asyncio.run(work)


def group(about: str) -> typer.Typer:
    """A command that has commands of its own."""
    return typer.Typer(
        help=about, epilog=EXITS, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown"
    )


def confirm(question: str, yes: bool) -> None:
    """Ask before something is done; ends where the answer is no, or nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail(f"{question} Nobody can be asked here: add --yes", Exit.USAGE)
    if not typer.confirm(question, err=True):
        fail("nothing was changed")


def print_json(value: Any) -> None:
    """The one document of `--json`."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under their columns' names; what is None stays empty."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else UNCUT)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def day_of(text: str) -> datetime:
    """The beginning of a day in UTC."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: they are written like 2030-01-07") from None


def instant(value: str | datetime | None) -> str:
    """An instant in UTC to the second, as people compare it."""
    if value is None:
        return ""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def counted(number: int, thing: str) -> str:
    """`1 event`, `2 events`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"

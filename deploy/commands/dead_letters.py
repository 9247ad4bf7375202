"""`chairtime dead-letters`: messages that had no effect, looked at, put through again, or dropped."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, get_args

import typer

from deploy.commands.terminal import (
    Exit,
    Json,
    Key,
    Yes,
    confirm,
    counted,
    day_of,
    err,
    fetch,
    group,
    instant,
    out,
    print_json,
    print_table,
)
from deploy.operating.services import LetterAddress, ServiceName, Services, addresses, everywhere, without_phone
from shared.tables.dead_letters import Status

dead_letters = group("Messages that had no effect: look at them, put them through again, or drop them.")


def _letter(text: str) -> LetterAddress:
    service, _, id = text.partition("/")
    if service not in tuple(ServiceName) or not id.isdecimal() or not 0 < int(id) < 2**63:
        raise typer.BadParameter(f"{text!r} is no dead letter: they are named like booking/7")
    return LetterAddress(ServiceName(service), str(int(id)))


Letters = Annotated[
    list[LetterAddress] | None, typer.Argument(parser=_letter, metavar="LETTER", help="such as booking/7")
]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=day_of, metavar="DAY", help="those that arrived on this day or later, such as 2030-01-07 (UTC)"
    ),
]
ErrorType = Annotated[str | None, typer.Option(help="all open letters of one error type")]
Of = Annotated[ServiceName | None, typer.Option("--service", help="of one service alone")]
Reason = Annotated[str, typer.Option(help="in a line, without personal data; it is kept")]


@dead_letters.command("list")
def list_letters(
    status: Annotated[str, typer.Option(help="open, retried or discarded")] = "open",
    service: Of = None,
    since: Since = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """List what waits, or how it was ended; at most 200 a service, oldest first."""
    if status not in get_args(Status):
        raise typer.BadParameter(f"{status!r} is not open, retried or discarded", param_hint="--status")
    rows = fetch(everywhere(key, service, "/ops/dead-letters", status=status), "asking for dead letters")
    rows = [row for row in rows if since is None or datetime.fromisoformat(row["arrived_at"]) >= since]
    if json:
        return print_json(rows)
    ended = () if status == "open" else ("ended", "by", "reason")
    columns = ("letter", "kind", "error", "topic/partition/offset", "about", "arrived", *ended)
    print_table(columns, ([*_line(row), *_end(row)][: len(columns)] for row in rows)) if rows else None
    return err.print(f"{counted(len(rows), 'dead letter')} {status}")


def _line(row: dict[str, Any]) -> list[object]:
    place = f"{row['topic']}/{row['partition']}/{row['kafka_offset']}"
    letter = f"{row['service']}/{row['id']}"
    return [letter, row["kind"], row["error_type"], place, row["aggregate"], instant(row["arrived_at"])]


def _end(row: dict[str, Any]) -> list[object]:
    return [instant(row["ended_at"]), row["ended_by"], row["reason"]]


@dead_letters.command("show")
def show_letter(
    letter: Annotated[LetterAddress, typer.Argument(parser=_letter, metavar="LETTER", help="such as booking/7")],
    key: Key = None,
    json: Json = False,
) -> None:
    """Show one letter: why, where it stood, its headers, and how many wait behind it. Its bytes are not shown."""

    async def ask() -> dict[str, Any]:
        async with Services(addresses(key)) as services:
            shown: dict[str, Any] = await services.get(letter.service, f"/ops/dead-letters/{letter.id}")
        aggregate = without_phone(shown["aggregate"])
        return {"service": str(letter.service), **shown, "aggregate": aggregate}

    shown = fetch(ask(), "asking for the letter")
    if json:
        return print_json(shown)
    place = f"{shown['topic']}, partition {shown['partition']}, offset {shown['kafka_offset']}"
    for name, value in (
        ("letter", f"{letter.service}/{letter.id}"),
        ("status", shown["status"]),
        ("kind", shown["kind"]),
        ("error", shown["error"]),
        ("place", place),
        ("about", shown["aggregate"]),
        ("message", shown["message_id"]),
        ("arrived", instant(shown["arrived_at"])),
        ("bytes", shown["value_bytes"]),
        ("behind it", shown["behind"]),
        ("ended", shown["ended_at"] and f"{instant(shown['ended_at'])} by {shown['ended_by']}: {shown['reason']}"),
        *((f"  {name}", "(not shown)" if value is None else value) for name, value in shown["headers"]),
    ):
        if value is not None:
            out.print(f"{name:<14} {value}", markup=False)
    return None


@dead_letters.command("retry")
def retry(
    letters: Letters = None,
    error_type: ErrorType = None,
    service: Of = None,
    yes: Yes = False,
    key: Key = None,
    json: Json = False,
) -> None:
    """Put letters through the rules again, each with all that waits behind it, in order.

    Exits 1 where one failed again: it stays open, and so does what waits behind it.
    """
    wanted = _wanted(letters, error_type, service)
    confirm(f"Retry {_named(letters, error_type)}, and what waits behind?", yes)
    _settle(wanted, "retry", {}, key, json, ("retried",))


@dead_letters.command("discard")
def discard(
    reason: Reason,
    letters: Letters = None,
    error_type: ErrorType = None,
    service: Of = None,
    yes: Yes = False,
    key: Key = None,
    json: Json = False,
) -> None:
    """Drop letters for good; what waited behind them goes on, and counts as released."""
    wanted = _wanted(letters, error_type, service)
    confirm(f"Discard {_named(letters, error_type)} for good?", yes)
    _settle(wanted, "discard", {"reason": reason}, key, json, ("discarded", "released"))


def _wanted(
    letters: list[LetterAddress] | None, error_type: str | None, service: ServiceName | None
) -> dict[ServiceName, dict[str, Any]]:
    """What is asked of each service."""
    if bool(letters) == (error_type is not None):
        raise typer.BadParameter("either letters, such as booking/7, or --error-type", param_hint="LETTER")
    if letters:
        if service is not None:
            raise typer.BadParameter("a letter names its service itself", param_hint="--service")
        return {
            s: {"ids": [int(p.id) for p in letters if p.service is s]} for s in dict.fromkeys(p[0] for p in letters)
        }
    return {s: {"error_type": error_type} for s in ((service,) if service else tuple(ServiceName))}


def _named(letters: list[LetterAddress] | None, error_type: str | None) -> str:
    return counted(len(letters), "dead letter") if letters else f"all dead letters of {error_type}"


def _settle(
    wanted: dict[ServiceName, dict[str, Any]],
    action: str,
    body: dict[str, Any],
    key: str | None,
    json: bool,
    counts: Iterable[str],
) -> None:
    async def ask() -> list[tuple[ServiceName, dict[str, Any]]]:
        async with Services(addresses(key)) as services:
            return [(s, await services.post(s, f"/ops/dead-letters/{action}", w | body)) for s, w in wanted.items()]

    answers = fetch(ask(), f"{action.removesuffix('y')}ing")
    done = {count: sum(answer[count] for _, answer in answers) for count in counts}
    failed = [{"letter": f"{s}/{f['id']}", "error_type": f["error_type"]} for s, a in answers for f in a["failed"]]
    if json:
        print_json({**done, "failed": failed})
    else:
        out.print(", ".join(f"{number} {count}" for count, number in done.items()))
    for failure in failed:
        err.print(f"{failure['letter']} failed again: {failure['error_type']}; it stays open", markup=False)
    if failed:
        raise typer.Exit(Exit.FAILED)

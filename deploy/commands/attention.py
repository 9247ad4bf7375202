"""What a person settles: matters for attention, and texts that must wait."""

from typing import Annotated, Any
from uuid import UUID

import typer

from deploy.commands.terminal import (
    Json,
    Key,
    Yes,
    confirm,
    counted,
    err,
    fetch,
    group,
    instant,
    out,
    print_json,
    print_table,
)
from deploy.operating.services import LetterAddress, ServiceName, Services, addresses, everywhere

attention = group("What software must not decide, and a person settles.")
texts = group("Stop texts, or let them go again: all, a clinic's or a person's.")

Of = Annotated[ServiceName | None, typer.Option("--service", help="of one service alone")]
Reason = Annotated[str, typer.Option(help="in a line, without personal data; it is kept")]


def _matter(text: str) -> LetterAddress:
    service, _, id = text.partition("/")
    try:
        return LetterAddress(ServiceName(service), str(UUID(id)))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no matter: they are named like booking/<id>") from None


@attention.command("list")
def list_matters(service: Of = None, key: Key = None, json: Json = False) -> None:
    """List what waits for a person; at most 200 a service, oldest first. What each asks: docs/reliability.md."""
    rows = fetch(everywhere(key, service, "/ops/attention"), "asking what waits")
    if json:
        return print_json(rows)
    if rows:
        print_table(
            ("matter", "kind", "subject", "detail", "raised"),
            (
                (f"{r['service']}/{r['id']}", r["kind"], r["subject"], r["detail"], instant(r["raised_at"]))
                for r in rows
            ),
        )
    return err.print(f"{counted(len(rows), 'matter')} for a person")


@attention.command("resolve")
def resolve(
    matter: Annotated[LetterAddress, typer.Argument(parser=_matter, metavar="MATTER", help="such as billing/<id>")],
    reason: Reason,
    key: Key = None,
    json: Json = False,
) -> None:
    """Say what was done about one of them."""

    async def ask() -> None:
        async with Services(addresses(key)) as services:
            await services.post(matter.service, f"/ops/attention/{matter.id}/resolve", {"reason": reason})

    fetch(ask(), "resolving")
    if json:
        return print_json({"service": matter.service, "id": matter.id, "status": "resolved"})
    return out.print(f"{matter.service}/{matter.id}: resolved")


Everyone = Annotated[bool, typer.Option("--all", help="all texts of all clinics")]
OfClinic = Annotated[str | None, typer.Option("--clinic", help="a clinic's")]
OfContact = Annotated[str | None, typer.Option("--contact", help="a person's, by contact id")]


@texts.command("list")
def list_pauses(key: Key = None, json: Json = False) -> None:
    """List what is paused now, since when, by whom and why."""

    async def ask() -> list[dict[str, Any]]:
        async with Services(addresses(key)) as services:
            paused: list[dict[str, Any]] = await services.get(ServiceName.REMINDERS, "/v1/pauses")
            return paused

    _show_pauses(fetch(ask(), "asking what is paused"), json)


@texts.command("pause")
def pause(
    reason: Reason,
    everyone: Everyone = False,
    clinic: OfClinic = None,
    contact: OfContact = None,
    yes: Yes = False,
    key: Key = None,
    json: Json = False,
) -> None:
    """Stop texts at once, until somebody resumes them; what passes its deadline meanwhile is never sent."""
    which = _which(everyone, clinic, contact)
    if everyone:
        confirm("Stop all texts of all clinics?", yes)
    _move("pause", which | {"reason": reason}, key, json)


@texts.command("resume")
def resume(
    everyone: Everyone = False,
    clinic: OfClinic = None,
    contact: OfContact = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Let texts go again; of several pauses each is resumed by what it paused."""
    _move("resume", _which(everyone, clinic, contact), key, json)


def _which(everyone: bool, clinic: str | None, contact: str | None) -> dict[str, str]:
    if [everyone, clinic is not None, contact is not None].count(True) != 1:
        raise typer.BadParameter("one of --all, --clinic and --contact", param_hint="--all")
    return {"clinic": clinic} if clinic is not None else {"contact_id": contact} if contact is not None else {}


def _move(action: str, body: dict[str, str], key: str | None, json: bool) -> None:
    async def ask() -> list[dict[str, Any]]:
        async with Services(addresses(key)) as services:
            paused: list[dict[str, Any]] = await services.post(ServiceName.REMINDERS, f"/v1/{action}", body)
            return paused

    _show_pauses(fetch(ask(), f"asking reminders to {action}"), json)


def _show_pauses(paused: list[dict[str, Any]], json: bool) -> None:
    if json:
        return print_json(paused)
    if not paused:
        return out.print("no text is paused")
    return print_table(
        ("paused", "of", "since", "by", "reason"),
        ((p["scope"], p["subject"], instant(p["paused_at"]), p["paused_by"], p["reason"]) for p in paused),
    )

"""`chairtime course`: what became of one course, across the three services."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import typer

from deploy.commands.terminal import Exit, Json, Key, fail, fetch, instant, out, print_json, print_table
from deploy.operating.services import ServiceName, ServiceRefused, Services, addresses
from deploy.operating.timeline import INSTANTS, Moment, states, timeline


def course(
    course_id: Annotated[UUID, typer.Argument(help="the course's id")], key: Key = None, json: Json = False
) -> None:
    """Tell the whole story of a course, across the services, as one timeline: ids, states and reasons, no person.

    It goes back 30 days, which is how long the services keep what they have told. What is still to come follows: the
    texts that are planned now.
    """
    stories, texts = fetch(_ask(course_id, key), "asking the three services")
    if not stories:
        fail("no service has told anything of such a course in the last 30 days", Exit.FAILED)
    moments, stand = timeline(stories, texts), states(stories)
    if json:
        return print_json({"course_id": course_id, **stand, "timeline": [moment._asdict() for moment in moments]})
    out.print(f"course {course_id}: {stand['course']}")
    if stand["sessions"]:
        out.print("sessions: " + ", ".join(f"{number} {state}" for number, state in stand["sessions"].items()))
    out.print()
    return print_table(("at", "who", "what", "session", ""), (_line(moment) for moment in moments))


def _line(moment: Moment) -> tuple[object, ...]:
    told = {n: instant(v) if n in INSTANTS else v for n, v in moment.told.items()}
    words = " · ".join(f"{name.removesuffix('_at').replace('_', ' ')} {value}" for name, value in told.items())
    about = f"{words} · {moment.id}" if moment.what.startswith(("dead letter", "attention")) else words
    return instant(moment.at), moment.who, moment.what, moment.session, about


async def _ask(course_id: UUID, key: str | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Each service's story, and the texts that reminders has of the course."""
    async with Services(addresses(key)) as services:

        async def unless_unknown(service: ServiceName, path: str, **query: str | int) -> Any:
            try:
                return await services.get(service, path, **query)
            except ServiceRefused as refusal:
                if refusal.status == 404:
                    return None
                raise

        *told, texts = await asyncio.gather(
            *(unless_unknown(service, f"/ops/courses/{course_id}/story") for service in ServiceName),
            unless_unknown(ServiceName.REMINDERS, "/v1/texts", course_id=str(course_id), limit=500),
        )
    stories = {str(service): story for service, story in zip(ServiceName, told, strict=True) if story is not None}
    return stories, texts or []

"""No route of booking opens without a key, and a key opens what its role may do."""

import re
from pathlib import Path
from typing import Final

import httpx2

from tests.stand_ins.booking_desk import COURSE_PATH, COURSES, NOBODY, ROLES, Desk, desk, wish
from tests.stand_ins.callers import key_of, keys_file

OPEN: Final = {"/asyncapi", "/health/live", "/health/ready", "/metrics", "/v1/calendars/{token}.ics"}
"""What needs no key: the last has its own."""


def guarded(booking: Desk) -> list[tuple[str, str]]:
    """Method and path of every route that a key opens."""
    return [
        (method.upper(), re.sub(r"{\w+}", NOBODY, path.replace("{location}", "stella").replace("{id}", "1")))
        for path, methods in booking.app.openapi()["paths"].items()
        for method in methods
        if path not in OPEN
    ]


async def test_no_route_opens_without_a_key_or_with_a_wrong_one(booking: Desk) -> None:
    answers = set()
    for method, path in guarded(booking):
        for given in ("", "Bearer", "Bearer wrong", f"Basic {key_of('front_desk')}", key_of("till"), "Bearer \xff"):
            headers = {"Authorization": given.encode("latin-1")} if given else {}
            answer = await booking.client.request(method, path, headers=headers)
            assert answer.status_code == 401, (method, path, given)
            assert answer.headers["www-authenticate"] == "Bearer"
            answers.add(answer.text)
    assert len(answers) == 1


async def test_a_key_opens_what_its_role_may_do_and_nothing_else(booking: Desk) -> None:
    allowed = {
        (method, path): {role for role in ROLES if (await ask(booking, method, path, role)).status_code != 403}
        for method, path in guarded(booking)
    }
    operators = {place for place in allowed if place[1].startswith("/ops/") or place[1].startswith("/v1/locations/")}
    assert operators
    assert {place for place, roles in allowed.items() if roles == {"operator"}} == operators
    assert {place for place, roles in allowed.items() if roles == {"front_desk"}} == set(allowed) - operators


async def ask(booking: Desk, method: str, path: str, role: str) -> httpx2.Response:
    return await booking.client.request(method, path, headers={"Authorization": f"Bearer {key_of(role)}"})


async def test_a_key_that_is_taken_out_is_shut_at_once(databases: dict[str, str], tmp_path: Path) -> None:
    file = keys_file(tmp_path)
    async with desk(databases["booking"], file) as booking:
        await booking.post(COURSES, wish())
        assert (await booking.get(COURSE_PATH)).status_code == 200
        file.write_text("")
        assert (await booking.get(COURSE_PATH)).status_code == 401

"""A location's calendar behind its link: what it shows, what it keeps to itself, and how it is shut."""

import hashlib

import icalendar

from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import session_cancel_requested
from tests.facts.course import OTHER, session_id, start
from tests.stand_ins.booking_desk import Desk, wish

LINK = "/v1/locations/stella/calendar"


async def link(booking: Desk, location: str = "stella") -> str:
    answer = await booking.post(f"/v1/locations/{location}/calendar", role="operator", method="PUT")
    assert answer.status_code == 200
    return str(answer.json()["url"])


async def test_the_calendar_shows_chairs_and_times_and_names_nobody(booking: Desk) -> None:
    await booking.post("/v1/courses", wish(3))
    await booking.hear(prepayment_satisfied(2), session_cancel_requested(3))
    answer = await booking.client.get(await link(booking))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    shown = icalendar.Calendar.from_ical(answer.content)
    assert shown.calendar_name == "Stella"
    assert [
        (str(e["UID"]), e.start, str(e["SUMMARY"]), str(e["STATUS"]), e["SEQUENCE"]) for e in shown.walk("VEVENT")
    ] == [
        (str(session_id(1)), start(1), "chair-1", "TENTATIVE", 1),
        (str(session_id(2)), start(2), "chair-1", "CONFIRMED", 2),
    ]
    for name in ("patient", "provider", "ketamine"):
        assert name not in answer.text.lower()


async def test_a_new_link_shuts_the_old_one_and_a_revoked_one_opens_nothing(booking: Desk) -> None:
    old = await link(booking)
    new = await link(booking)
    assert (await booking.client.get(old)).status_code == 404
    assert (await booking.client.get(new)).status_code == 200
    for _ in range(2):
        assert (await booking.post(LINK, role="operator", method="DELETE")).status_code == 204
    shut = await booking.client.get(new)
    assert (shut.status_code, shut.json()) == (404, (await booking.client.get("/v1/calendars/guessed.ics")).json())


async def test_a_link_opens_its_own_location_and_is_not_kept(booking: Desk) -> None:
    await booking.post("/v1/courses", wish())
    await booking.post("/v1/courses", wish(course=OTHER, location="albany"))
    url = await link(booking, "albany")
    shown = icalendar.Calendar.from_ical((await booking.client.get(url)).content)
    assert [str(event["UID"]) for event in shown.walk("VEVENT")] == [str(session_id(1, OTHER))]
    token = url.removeprefix("/v1/calendars/").removesuffix(".ics")
    [row] = await booking.rows("SELECT token_sha256, issued_by FROM calendar_feeds")
    assert (row.token_sha256, row.issued_by) == (hashlib.sha256(token.encode()).digest(), "operator")


async def test_only_an_operator_of_a_known_location_gets_a_link(booking: Desk) -> None:
    assert (await booking.post(LINK, role="front_desk", method="PUT")).status_code == 403
    assert (await booking.post(LINK, role="front_desk", method="DELETE")).status_code == 403
    assert (await booking.client.put(LINK)).status_code == 401
    nowhere = await booking.post("/v1/locations/nowhere/calendar", role="operator", method="PUT")
    assert nowhere.status_code == 404

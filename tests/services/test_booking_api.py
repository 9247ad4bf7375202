"""What the desk can ask of booking over HTTP, and what it is told."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from shared.contract import Needs
from tests.booking_desk import Desk, desk, keys_file, required, wish
from tests.booking_story import COURSE, DAY, HOUR, NOW, OTHER, satisfied, session_id, start

COURSE_PATH = f"/v1/courses/{COURSE}"
SESSION_PATH = f"/v1/sessions/{session_id(1)}"


@pytest.fixture
async def booking(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(databases["booking"], keys_file(tmp_path)) as opened:
        yield opened


async def states(booking: Desk, course: UUID = COURSE) -> list[str]:
    shown = (await booking.get(f"/v1/courses/{course}")).json()
    return [session["state"] for session in shown["sessions"]]


# Courses -------------------------------------------------------------------------------------------------------------


async def test_a_course_is_held_whole_and_shown(booking: Desk) -> None:
    answer = await booking.post("/v1/courses", wish(2))
    assert answer.status_code == 201
    told = answer.json()
    assert [(s["number"], s["state"], s["chair"]) for s in told["sessions"]] == [
        (1, "held", "chair-1"),
        (2, "held", "chair-1"),
    ]
    shown = (await booking.get(COURSE_PATH)).json()
    assert (shown["state"], shown["patient_id"], shown["payer"]) == ("accepted", "patient-1", "self_pay")
    assert [(s["session_id"], s["needs"], s["of"]) for s in shown["sessions"]] == [
        (str(session_id(1)), "money", 2),
        (str(session_id(2)), "money", 2),
    ]
    assert datetime.fromisoformat(shown["sessions"][0]["starts_at"]) == start(1)
    assert shown["sessions"][0]["time_zone"] == "America/Chicago"


async def test_the_same_again_is_shown_and_other_content_is_refused(booking: Desk) -> None:
    first = await booking.post("/v1/courses", wish(), key="k")
    again = await booking.post("/v1/courses", wish(), key="k")
    assert (again.status_code, again.json()) == (201, first.json())
    by_another_key = await booking.post("/v1/courses", wish())
    assert (by_another_key.status_code, by_another_key.json()["state"]) == (200, "accepted")
    refused = await booking.post("/v1/courses", wish(2))
    assert (refused.status_code, refused.json()["title"]) == (409, "course_exists")
    assert await states(booking) == ["held"]


async def test_a_course_that_cannot_be_held_names_every_conflict_and_holds_nothing(booking: Desk) -> None:
    sunday = {"session_id": str(session_id(1)), "starts_at": (start(1) + 5 * DAY).isoformat()}
    night = {"session_id": str(session_id(2)), "starts_at": (start(1) + 7 * DAY + 12 * HOUR).isoformat()}
    answer = await booking.post("/v1/courses", wish(sessions=[sunday, night]))
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert answer.json()["title"] == "closed"
    assert [(c["session_id"], c["code"]) for c in answer.json()["conflicts"]] == [
        (str(session_id(1)), "closed"),
        (str(session_id(2)), "closed"),
    ]
    shown = (await booking.get(COURSE_PATH)).json()
    assert (shown["state"], shown["sessions"]) == ("rejected", [])
    assert (await booking.post("/v1/courses", wish())).status_code == 201, "after a rejection it may be asked again"


async def test_a_course_is_cancelled_once(booking: Desk) -> None:
    await booking.post("/v1/courses", wish(2))
    answer = await booking.post(f"{COURSE_PATH}/cancel", {"by": "patient"})
    assert [event["type"].removeprefix("booking.") for event in answer.json()] == [
        "session.cancelled.v1",
        "session.cancelled.v1",
        "course.closed.v1",
    ]
    again = await booking.post(f"{COURSE_PATH}/cancel", {"by": "patient"})
    assert (again.status_code, again.json()["title"]) == (409, "wrong_state")


# Sessions ------------------------------------------------------------------------------------------------------------


async def test_a_session_is_moved_and_its_chair_goes_with_it(booking: Desk) -> None:
    await booking.post("/v1/courses", wish())
    later = start(1) + HOUR
    answer = await booking.post(f"{SESSION_PATH}/reschedule", {"starts_at": later.isoformat()})
    [moved] = answer.json()
    assert (moved["type"], moved["data"]["version"]) == ("booking.session.rescheduled.v1", 2)
    shown = (await booking.get(COURSE_PATH)).json()
    assert datetime.fromisoformat(shown["sessions"][0]["starts_at"]) == later
    closed = await booking.post(f"{SESSION_PATH}/reschedule", {"starts_at": (later + 12 * HOUR).isoformat()})
    assert (closed.status_code, closed.json()["title"]) == (409, "closed")


async def test_an_unpaid_check_in_is_402_and_remembered_until_the_money_comes(booking: Desk) -> None:
    await booking.post("/v1/courses", wish(2))
    await booking.hear(satisfied(2))
    booking.clock.time = start(1) - timedelta(minutes=5)
    here = {"at": booking.clock.time.isoformat(), "starts_at": start(1).isoformat()}
    refused = await booking.post(f"{SESSION_PATH}/check-in", here)
    assert refused.status_code == 402
    assert (refused.json()["title"], refused.json()["needs"]) == ("not_paid", "money")
    waiting = (await booking.get(COURSE_PATH)).json()["sessions"][0]
    assert datetime.fromisoformat(waiting["here_at"]) == booking.clock.time
    await booking.hear(satisfied())
    assert await states(booking) == ["checked_in", "confirmed"]
    late = await booking.post(f"{SESSION_PATH}/check-in", here)
    assert (late.status_code, late.json()["title"]) == (409, "wrong_state")


async def test_an_unpaid_check_in_tells_that_the_insurer_is_waited_for(booking: Desk) -> None:
    await booking.post("/v1/courses", wish())
    await booking.hear(required(needs=Needs.AUTHORIZATION))
    booking.clock.time = start(1)
    refused = await booking.post(f"{SESSION_PATH}/check-in", {"at": start(1).isoformat()})
    assert (refused.status_code, refused.json()["needs"]) == (402, "authorization")


async def test_a_check_in_too_early_or_for_another_time_is_a_conflict(booking: Desk) -> None:
    await booking.post("/v1/courses", wish())
    early = await booking.post(f"{SESSION_PATH}/check-in", {"at": NOW.isoformat()})
    assert (early.status_code, early.json()["title"]) == (409, "too_early")
    stale = {"at": NOW.isoformat(), "starts_at": (start(1) + HOUR).isoformat()}
    assert (await booking.post(f"{SESSION_PATH}/check-in", stale)).json()["title"] == "stale"


async def test_a_visit_is_told_from_check_in_to_completion(booking: Desk) -> None:
    await booking.post("/v1/courses", wish(2))
    await booking.hear(satisfied(1), satisfied(2))
    booking.clock.time = start(1)
    here = await booking.post(f"{SESSION_PATH}/check-in", {"at": start(1).isoformat()})
    assert [event["type"] for event in here.json()] == ["booking.session.checked_in.v1"]
    treated = {"started_at": start(1).isoformat(), "ended_at": (start(1) + HOUR).isoformat()}
    done = await booking.post(f"{SESSION_PATH}/complete", treated)
    assert [event["type"] for event in done.json()] == ["booking.session.completed.v1"]
    second = f"/v1/sessions/{session_id(2)}"
    missed = await booking.post(f"{second}/miss", {"at": (start(2) + HOUR).isoformat()})
    assert [event["type"] for event in missed.json()] == [
        "booking.session.missed.v1",
        "booking.course.completed.v1",
    ]
    refused = await booking.post(f"{second}/cancel", {"by": "patient"})
    assert (refused.status_code, refused.json()["title"]) == (409, "wrong_state")


# The day's board -----------------------------------------------------------------------------------------------------


async def board(booking: Desk, **parameters: Any) -> list[tuple[int, str, str | None]]:
    """Number, state and need of each session on the first day's board."""
    day = parameters.pop("day", start(1).date())
    shown = await booking.get("/v1/sessions", location="stella", day=day, **parameters)
    return [(int(row["patient_id"][-1]), row["state"], row["needs"]) for row in shown.json()]


def course_at(hour: int) -> dict[str, Any]:
    """A course of one session on the first day, by a patient of its own, so many hours later."""
    course = UUID(int=COURSE.int + hour)
    starts_at = (start(1) + hour * HOUR).isoformat()
    return wish(course=course, sessions=[{"session_id": str(session_id(1, course)), "starts_at": starts_at}])


async def test_the_board_says_why_a_session_is_not_confirmed_as_billing_last_told(booking: Desk) -> None:
    for hour in range(4):
        await booking.post("/v1/courses", course_at(hour))
    courses = [UUID(int=COURSE.int + hour) for hour in range(4)]
    assert await board(booking) == [(n, "held", "money") for n in (1, 2, 3, 4)]
    await booking.hear(
        required(course=courses[0]),
        *(required(needs=Needs.AUTHORIZATION, course=courses[n]) for n in (1, 2, 3)),
        required(course=courses[2]),
    )
    await booking.hear(satisfied(course=courses[3]))
    told = [(1, "held", "money"), (2, "held", "authorization"), (3, "held", "money"), (4, "confirmed", None)]
    assert await board(booking) == told
    await booking.hear(required(needs=Needs.AUTHORIZATION, course=courses[1]))  # a relay tells it once more
    assert await board(booking) == told
    await booking.hear(required(course=courses[1]))  # approved, and the copay is missing
    assert await board(booking) == [told[0], (2, "held", "money"), *told[2:]]
    assert not await booking.rows("SELECT 1 FROM inbox WHERE type = 'billing.prepayment.required.v1'"), "cheap"


async def test_what_billing_needs_may_be_told_before_the_course_is_known(booking: Desk) -> None:
    await booking.hear(required(needs=Needs.AUTHORIZATION))
    assert (await booking.get(COURSE_PATH)).status_code == 404
    await booking.post("/v1/courses", wish())
    assert await board(booking) == [(1, "held", "authorization")]


async def test_a_batch_that_the_database_refuses_as_a_whole_keeps_its_notes(booking: Desk) -> None:
    await booking.post("/v1/courses", wish())
    beyond_int = satisfied(grant=2**40)
    await booking.hear(required(needs=Needs.AUTHORIZATION), beyond_int, satisfied(course=OTHER))
    assert [row.kind for row in await booking.rows("SELECT kind FROM dead_letters")] == ["defect"]
    assert await board(booking) == [(1, "held", "authorization")]


async def test_the_board_comes_in_pages_that_lead_to_each_other(booking: Desk) -> None:
    for hour in range(5):
        await booking.post("/v1/courses", course_at(hour))
    path: str | None = f"/v1/sessions?location=stella&day={start(1).date()}&limit=2"
    pages: list[list[int]] = []
    while path is not None:
        answer = await booking.get(path)
        pages.append([int(row["patient_id"][-1]) for row in answer.json()])
        path = answer.links["next"]["url"] if "next" in answer.links else None
        if len(pages) == 1:  # a session that was shown is cancelled, and one moves: no other is shown twice or lost
            await booking.post(f"/v1/courses/{COURSE}/cancel", {"by": "patient"})
    assert pages == [[1, 2], [3, 4], [5]]


async def test_a_day_is_the_locations_own(booking: Desk) -> None:
    await booking.post("/v1/courses", course_at(0))  # 15:00 UTC, a day that begins in Chicago at 05:00 or 06:00 UTC
    assert len(await board(booking)) == 1
    assert await board(booking, day=(start(1) + DAY).date()) == []
    empty = await booking.get("/v1/sessions", location="albany", day=start(1).date())
    assert (empty.status_code, empty.json()) == (200, [])


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
async def test_the_days_on_which_the_clocks_change_have_all_their_hours(booking: Desk, day: str) -> None:
    booking.clock.time = datetime(2026, 1, 1, tzinfo=UTC)
    assert (await booking.get("/v1/sessions", location="stella", day=day)).status_code == 200

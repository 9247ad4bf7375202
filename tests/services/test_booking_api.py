"""What the desk can ask of booking over HTTP, and what it is told."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from shared.contract.closed_sets import Intent, Needs
from shared.contract.reminders import ReplyReceived
from tests.booking_desk import Desk, desk, required, wish
from tests.booking_story import COURSE, DAY, HOUR, NOW, OTHER, satisfied, session_id, start
from tests.callers import keys_file

COURSE_PATH = f"/v1/courses/{COURSE}"
SESSION_PATH = f"/v1/sessions/{session_id(1)}"
CHICAGO = ZoneInfo("America/Chicago")


@pytest.fixture
async def booking(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(databases["booking"], keys_file(tmp_path)) as opened:
        yield opened


async def states(booking: Desk, course: UUID = COURSE) -> list[str]:
    shown = (await booking.get(f"/v1/courses/{course}")).json()
    return [session["state"] for session in shown["sessions"]]


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


async def test_a_taken_time_is_answered_with_free_ones_near_by(booking: Desk) -> None:
    for n in range(4):
        await booking.post("/v1/courses", wish(course=UUID(int=COURSE.int + 1 + n)))
    answer = (await booking.post("/v1/courses", wish())).json()
    [near] = answer["alternatives"]
    assert near["session_id"] == str(session_id(1))
    assert len(near["starts_at"]) == 3
    for free in near["starts_at"]:
        moved = wish(sessions=[{"session_id": str(session_id(1)), "starts_at": free}])
        assert (await booking.post("/v1/courses", moved)).status_code == 201
        await booking.post(f"{COURSE_PATH}/cancel", {"by": "clinic"})
        break


async def test_a_plan_is_worked_out_or_the_nearest_start_is_named(booking: Desk) -> None:
    plan = {"first_day": "2026-03-09", "count": 3, "weekdays": ["tue", "thu"], "earliest": "09:00", "latest": "11:00"}
    answer = await booking.post("/v1/courses", planned(plan))
    assert answer.status_code == 201
    starts = [datetime.fromisoformat(s["starts_at"]).astimezone(CHICAGO) for s in answer.json()["sessions"]]
    assert len(starts) == 3
    assert {f"{at:%a}" for at in starts} <= {"Tue", "Thu"}
    assert all("09:00" <= f"{at:%H:%M}" <= "11:00" for at in starts)
    never = await booking.post("/v1/courses", planned(plan | {"weekdays": ["sun"]}, course=OTHER))
    assert (never.status_code, never.json()["title"]) == (409, "no_plan_found")
    over = await booking.post("/v1/courses", planned(plan | {"first_day": "2026-02-02"}, course=OTHER))
    assert (over.status_code, over.json()["detail"]) == (422, "plan.first_day: lies in the past")
    assert datetime.fromisoformat(over.json()["nearest_start"]) > NOW


def planned(plan: dict[str, Any], **told: Any) -> dict[str, Any]:
    return {name: value for name, value in wish(**told).items() if name != "sessions"} | {"plan": plan}


async def test_a_change_is_told_and_shown(booking: Desk) -> None:
    await booking.post("/v1/courses", wish(2))
    changed = await booking.post(f"{COURSE_PATH}/change", {"companions": ["c-1"]})
    assert [event["type"] for event in changed.json()] == ["booking.course.changed.v1"]
    assert (await booking.get(COURSE_PATH)).json()["companions"] == ["c-1"]
    taken = {"add_sessions": [{"session_id": str(session_id(3)), "starts_at": start(2).isoformat()}]}
    refused = await booking.post(f"{COURSE_PATH}/change", taken)
    assert refused.status_code == 409
    again = await booking.post("/v1/courses", wish(2))
    assert (again.status_code, again.json()["companions"]) == (200, ["c-1"]), (
        "what was asked for first is no other course"
    )


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


async def test_the_board_shows_what_a_patient_replied_about_the_time_that_holds_now(booking: Desk) -> None:
    async def replies() -> list[str | None]:
        shown = await booking.get("/v1/sessions", location="stella", day=start(1).date())
        return [row["reply"] for row in shown.json()]

    def reply(intent: Intent, session: UUID | None) -> ReplyReceived:
        return ReplyReceived(contact_id="p", course_id=COURSE, session_id=session, intent=intent)

    first = session_id(1)

    await booking.post("/v1/courses", wish())
    assert await replies() == [None]
    await booking.hear(reply(Intent.CONFIRM, first), reply(Intent.UNCLEAR, None), reply(Intent.HELP, session_id(9)))
    assert await replies() == ["confirm"]
    await booking.hear(reply(Intent.CANNOT_COME, first))
    assert await replies() == ["cannot_come"]
    later = (start(1) + 2 * HOUR).isoformat()
    await booking.post(f"{SESSION_PATH}/reschedule", {"starts_at": later})
    assert await replies() == [None]


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
    from_another_day = f"{start(1) - DAY:%Y%m%dT%H%M%S.%fZ}_{UUID(int=0).hex}"
    assert await board(booking, day=(start(1) + DAY).date(), after=from_another_day) == []


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


async def free(booking: Desk, **parameters: Any) -> list[dict[str, Any]]:
    asked = {
        "location": "stella",
        "treatment": "ketamine_induction",
        "first_day": "2026-03-10",
        "last_day": "2026-03-10",
    }
    answer = await booking.get("/v1/availability", **asked | parameters)
    assert answer.status_code == 200, answer.text
    places: list[dict[str, Any]] = answer.json()
    return places


async def test_the_first_free_places_can_be_had(booking: Desk) -> None:
    places = await free(booking, limit=3)
    assert [datetime.fromisoformat(place["starts_at"]).astimezone(CHICAGO).strftime("%H:%M") for place in places] == [
        "08:00",
        "08:15",
        "08:30",
    ]
    assert (places[0]["time_zone"], places[0]["chair"]) == ("America/Chicago", "chair-1")
    session = {"session_id": str(session_id(1)), "starts_at": places[0]["starts_at"]}
    booked = (await booking.post("/v1/courses", wish(sessions=[session]))).json()["sessions"][0]
    assert (booked["starts_at"], booked["ends_at"]) == (places[0]["starts_at"], places[0]["ends_at"])
    assert (booked["chair"], booked["provider"]) == (places[0]["chair"], places[0]["provider"])
    assert (await free(booking, limit=1))[0]["chair"] == "chair-2"
    after_the_patients_own = await free(booking, limit=1, patient_id="patient-1")
    assert after_the_patients_own[0]["starts_at"] == booked["ends_at"]


async def test_a_patient_who_is_elsewhere_then_has_no_place_here(booking: Desk) -> None:
    elsewhere = wish(course=OTHER, location="albany", patient_id="patient-1")
    [there] = (await booking.post("/v1/courses", elsewhere)).json()["sessions"]
    begins, ends = (datetime.fromisoformat(there[name]) for name in ("starts_at", "ends_at"))

    def meets(place: dict[str, Any]) -> bool:
        return datetime.fromisoformat(place["starts_at"]) < ends and begins < datetime.fromisoformat(place["ends_at"])

    assert any(map(meets, await free(booking, limit=200)))
    assert not any(map(meets, await free(booking, limit=200, patient_id="patient-1")))


async def test_free_places_begin_now_and_end_where_the_day_does(booking: Desk) -> None:
    booking.clock.time = datetime(2026, 3, 10, 15, 7, tzinfo=UTC)
    places = await free(booking, limit=200)
    assert datetime.fromisoformat(places[0]["starts_at"]) == datetime(2026, 3, 10, 15, 15, tzinfo=UTC)
    assert datetime.fromisoformat(places[-1]["ends_at"]) <= datetime(2026, 3, 11, 0, tzinfo=UTC)
    assert len(await free(booking, limit=200, minutes=30)) > len(places)
    assert await free(booking, first_day="2026-03-08", last_day="2026-03-08") == [], "a Sunday"
    unasked = await booking.get("/v1/availability", location="stella", treatment="ketamine_induction")
    assert datetime.fromisoformat(unasked.json()[0]["starts_at"]) == datetime(2026, 3, 10, 15, 15, tzinfo=UTC)


SNOW = {
    "closure_id": "00000000-0000-4000-8000-0000000c1053",
    "location": "stella",
    "starts_at": (start(1) - HOUR).isoformat(),
    "ends_at": (start(1) + HOUR).isoformat(),
}


async def test_a_closure_lists_and_moves_the_sessions_concerned(booking: Desk) -> None:
    for hour in (0, 1, 4):
        await booking.post("/v1/courses", course_at(hour))
    broken = SNOW | {"chair": "chair-1"}
    answer = await booking.post("/v1/closures", broken, key="k")
    assert answer.status_code == 201
    assert [(s["course_id"], s["result"]) for s in answer.json()["sessions"]] == [(str(COURSE), "waiting")]
    await booking.timers(NOW)
    [moved] = (await booking.get(f"/v1/closures/{SNOW['closure_id']}")).json()["sessions"]
    assert (moved["result"], moved["previous_chair"]) == ("moved", "chair-1")
    assert (moved["chair"], moved["starts_at"]) == ("chair-3", moved["previous_starts_at"])
    again = await booking.post("/v1/closures", broken, key="k")
    assert (again.status_code, again.json()["sessions"]) == (201, [moved])
    refused = await booking.post("/v1/closures", SNOW)
    assert (refused.status_code, refused.json()["title"]) == (409, "closure_exists")


async def test_what_is_closed_takes_nobody_and_is_not_free(booking: Desk) -> None:
    assert (await booking.post("/v1/closures", SNOW)).json()["sessions"] == []
    refused = await booking.post("/v1/courses", wish())
    assert (refused.status_code, refused.json()["title"]) == (409, "closed")
    starts = [datetime.fromisoformat(place["starts_at"]) for place in await free(booking, limit=200)]
    assert starts[0] == start(1) + HOUR

"""What the desk can ask of booking over HTTP, and what it is told: courses, sessions, closures."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from shared.contract.closed_sets import Needs
from tests.facts.billing import prepayment_required, prepayment_satisfied
from tests.facts.course import COURSE, DAY, HOUR, NOW, OTHER, session_id, start
from tests.stand_ins.booking_desk import COURSE_PATH, SESSION_PATH, Desk, course_at, free, wish
from tests.stand_ins.booking_places import STELLA


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
    for at in near["starts_at"]:
        moved = wish(sessions=[{"session_id": str(session_id(1)), "starts_at": at}])
        assert (await booking.post("/v1/courses", moved)).status_code == 201
        await booking.post(f"{COURSE_PATH}/cancel", {"by": "clinic"})
        break


async def test_a_plan_is_worked_out_or_the_nearest_start_is_named(booking: Desk) -> None:
    plan = {"first_day": "2026-03-09", "count": 3, "weekdays": ["tue", "thu"], "earliest": "09:00", "latest": "11:00"}
    answer = await booking.post("/v1/courses", planned(plan))
    assert answer.status_code == 201
    starts = [datetime.fromisoformat(s["starts_at"]).astimezone(STELLA.location.tz) for s in answer.json()["sessions"]]
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
    await booking.hear(prepayment_satisfied(2))
    booking.clock.time = start(1) - timedelta(minutes=5)
    here = {"at": booking.clock.time.isoformat(), "starts_at": start(1).isoformat()}
    refused = await booking.post(f"{SESSION_PATH}/check-in", here)
    assert refused.status_code == 402
    assert (refused.json()["title"], refused.json()["needs"]) == ("not_paid", "money")
    waiting = (await booking.get(COURSE_PATH)).json()["sessions"][0]
    assert datetime.fromisoformat(waiting["here_at"]) == booking.clock.time
    await booking.hear(prepayment_satisfied())
    assert await states(booking) == ["checked_in", "confirmed"]
    late = await booking.post(f"{SESSION_PATH}/check-in", here)
    assert (late.status_code, late.json()["title"]) == (409, "wrong_state")


async def test_an_unpaid_check_in_tells_that_the_insurer_is_waited_for(booking: Desk) -> None:
    await booking.post("/v1/courses", wish())
    await booking.hear(prepayment_required(needs=Needs.AUTHORIZATION))
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
    await booking.hear(prepayment_satisfied(1), prepayment_satisfied(2))
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

"""What the desk looks at: the day's board, what a session waits for, what its patient replied, free places."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from shared.contract.closed_sets import Intent, Needs
from shared.contract.reminders import ReplyReceived
from tests.facts.billing import prepayment_required, prepayment_satisfied
from tests.facts.course import COURSE, DAY, HOUR, OTHER, session_id, start
from tests.stand_ins.booking_desk import COURSE_PATH, SESSION_PATH, Desk, course_at, free, wish
from tests.stand_ins.booking_places import STELLA


async def board(booking: Desk, **parameters: Any) -> list[tuple[int, str, str | None]]:
    """Number, state and need of each session on the first day's board."""
    day = parameters.pop("day", start(1).date())
    shown = await booking.get("/v1/sessions", location="stella", day=day, **parameters)
    return [(int(row["patient_id"][-1]), row["state"], row["needs"]) for row in shown.json()]


async def test_the_board_says_why_a_session_is_not_confirmed_as_billing_last_told(booking: Desk) -> None:
    for hour in range(4):
        await booking.post("/v1/courses", course_at(hour))
    courses = [UUID(int=COURSE.int + hour) for hour in range(4)]
    assert await board(booking) == [(n, "held", "money") for n in (1, 2, 3, 4)]
    await booking.hear(
        prepayment_required(course=courses[0]),
        *(prepayment_required(needs=Needs.AUTHORIZATION, course=courses[n]) for n in (1, 2, 3)),
        prepayment_required(course=courses[2]),
    )
    await booking.hear(prepayment_satisfied(course=courses[3]))
    told = [(1, "held", "money"), (2, "held", "authorization"), (3, "held", "money"), (4, "confirmed", None)]
    assert await board(booking) == told
    await booking.hear(prepayment_required(needs=Needs.AUTHORIZATION, course=courses[1]))  # a relay tells it once more
    assert await board(booking) == told
    await booking.hear(prepayment_required(course=courses[1]))  # approved, and the copay is missing
    assert await board(booking) == [told[0], (2, "held", "money"), *told[2:]]
    assert not await booking.rows("SELECT 1 FROM inbox WHERE type = 'billing.prepayment.required.v1'"), "cheap"


async def test_what_billing_needs_may_be_told_before_the_course_is_known(booking: Desk) -> None:
    await booking.hear(prepayment_required(needs=Needs.AUTHORIZATION))
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
    beyond_int = prepayment_satisfied(grant=2**40)
    await booking.hear(prepayment_required(needs=Needs.AUTHORIZATION), beyond_int, prepayment_satisfied(course=OTHER))
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


async def test_the_first_free_places_can_be_had(booking: Desk) -> None:
    places = await free(booking, limit=3)
    assert [
        datetime.fromisoformat(place["starts_at"]).astimezone(STELLA.location.tz).strftime("%H:%M") for place in places
    ] == [
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

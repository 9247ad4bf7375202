"""A rule that fails by a defect holds back its course alone, until an operator retries or discards over HTTP."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from shared.contract.billing import PaymentRecorded
from shared.contract.booking import CourseClosed, SessionConfirmed, SessionReleased
from shared.contract.clinic import PaymentCaptured, SessionRescheduleRequested
from shared.contract.closed_sets import TextKind
from shared.contract.reminders import TextSent
from shared.decision.message import Message
from tests.facts.clinic import session_reschedule_requested
from tests.journeys.conftest import Course, Journey, weekday_mornings

PRICE = 45000


class Defect:
    """A defect in a service's rule, on the messages that `hits` names, until it is healed."""

    def __init__(self, journey: Journey, service: str, hits: Callable[[Message], bool]) -> None:
        self._worker = journey.embedded.services[service].worker
        self._sound = self._worker._rules
        self._hits = hits
        self._worker._rules = replace(self._sound, decide=self._decide)

    def heal(self) -> None:
        """A release that has the defect no more."""
        self._worker._rules = self._sound

    def narrow(self, hits: Callable[[Message], bool]) -> None:
        """A release that has less of it."""
        self._hits = hits

    def _decide(self, state: Any, message: Message, *more: Any) -> Any:
        if self._hits(message):
            raise ZeroDivisionError("a secret value")
        return self._sound.decide(state, message, *more)


async def post(journey: Journey, service: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of a request."""
    headers = {"Authorization": f"Bearer {journey.address.api_key}", "Idempotency-Key": str(uuid4())}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(getattr(journey.address, service) + path, json=body) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


def about(message: Message, *ids: UUID) -> bool:
    return message.data.key in {str(id) for id in ids}


def one_visit(journey: Journey, hour: int) -> Course:
    start = weekday_mornings(journey.now, 1, weeks_ahead=2)[0].replace(hour=hour)
    return Course([start])


async def test_a_defect_holds_back_one_course_with_its_deadline_until_it_is_retried_in_order(journey: Journey) -> None:
    stuck, other = one_visit(journey, 9), one_visit(journey, 11)
    await journey.publish(stuck.requested, other.requested)
    moved_to = stuck.starts[0] + timedelta(hours=6)
    defect = Defect(journey, "booking", lambda m: isinstance(m.data, SessionRescheduleRequested) and about(m, stuck.id))
    move = session_reschedule_requested(1, moved_to, stuck.id, session_id=stuck.sessions[0])
    await journey.publish(move, stuck.paid(journey.now, PRICE), other.paid(journey.now, PRICE))
    assert await journey.states(other.id) == ["confirmed"]
    assert await journey.states(stuck.id) == ["held"]
    letters = await journey.get("booking", "/ops/dead-letters")
    assert [(letter["kind"], letter["error_type"], letter["aggregate"]) for letter in letters] == [
        ("defect", "ZeroDivisionError", str(stuck.id)),
        ("held_back", "held_back", str(stuck.id)),
    ]
    assert "secret" not in str(letters)

    await journey.pass_time(timedelta(hours=73))  # its hold would have expired an hour ago
    assert not journey.told(SessionReleased)
    cancel = await post(journey, "booking", f"/v1/courses/{stuck.id}/cancel", {"by": "clinic"})
    assert (cancel[0], cancel[1]["title"]) == (409, "course_blocked")
    first = letters[0]["id"]
    status, problem = await post(journey, "booking", f"/ops/dead-letters/{first}/retry")
    assert (status, problem["title"]) == (409, "still_failing")
    assert "secret" not in str(problem)
    assert len(await journey.get("booking", "/ops/dead-letters")) == 2

    defect.heal()
    assert await post(journey, "booking", f"/ops/dead-letters/{first}/retry") == (200, {"retried": 2, "failed": []})
    await journey.pass_time(timedelta())
    assert await journey.states(stuck.id) == ["confirmed"]
    (confirmed,) = journey.told(SessionConfirmed, course_id=stuck.id)
    assert (confirmed.starts_at, confirmed.version) == (moved_to, 3)
    assert await journey.get("booking", "/ops/dead-letters") == []
    ended = await journey.get("booking", "/ops/dead-letters?status=retried")
    assert [letter["ended_by"] for letter in ended] == ["up", "up"]
    assert (await post(journey, "booking", f"/ops/dead-letters/{first}/retry"))[0] == 404


async def test_the_texts_of_a_course_that_is_held_back_wait_and_those_of_others_go_out(journey: Journey) -> None:
    stuck, other = one_visit(journey, 9), one_visit(journey, 11)
    await journey.publish(*(c.contact(journey.now) for c in (stuck, other)), stuck.requested, other.requested)
    await journey.publish(*(c.paid(journey.now, PRICE) for c in (stuck, other)))
    defect = Defect(journey, "reminders", lambda m: about(m, stuck.id))
    for course in (stuck, other):
        to = course.starts[0] + timedelta(hours=5)
        await journey.publish(session_reschedule_requested(1, to, course.id, session_id=course.sessions[0]))
    await journey.until(stuck.starts[0] - timedelta(hours=3))
    assert journey.told(TextSent, course_id=other.id, kind=TextKind.DAY_BEFORE)
    assert not journey.told(TextSent, course_id=stuck.id, kind=TextKind.DAY_BEFORE)
    defect.heal()
    (letter,) = await journey.get("reminders", "/ops/dead-letters")
    assert (await post(journey, "reminders", f"/ops/dead-letters/{letter['id']}/retry"))[0] == 200
    await journey.until(stuck.starts[0] + timedelta(hours=5))
    (sent,) = journey.told(TextSent, course_id=stuck.id, kind=TextKind.DAY_BEFORE)
    assert sent.sent_at >= stuck.starts[0] - timedelta(hours=3), "that of the old time never went out"
    assert len(journey.told(TextSent, course_id=stuck.id, kind=TextKind.DAY_OF)) == 1


async def test_what_is_discarded_is_dropped_with_a_reason_and_what_waited_behind_it_goes_on(journey: Journey) -> None:
    course = one_visit(journey, 9)
    await journey.publish(course.requested)
    too_much = course.paid(journey.now, 10**8)
    Defect(journey, "billing", lambda m: isinstance(m.data, PaymentCaptured) and m.data.amount_cents == 10**8)
    await journey.publish(too_much)
    await journey.publish(course.paid(journey.now, PRICE))
    assert await journey.states(course.id) == ["held"]
    first, second = await journey.get("billing", "/ops/dead-letters")
    path = f"/ops/dead-letters/{first['id']}/discard"
    assert (await post(journey, "billing", path, {}))[0] == 422
    assert (await post(journey, "billing", path, {"reason": ""}))[0] == 422
    assert await post(journey, "billing", path, {"reason": "typed with too many zeros"}) == (
        200,
        {"discarded": 1, "released": 1, "failed": []},
    )
    await journey.pass_time(timedelta())
    assert await journey.states(course.id) == ["confirmed"]
    assert [event.amount_cents for event in journey.told(PaymentRecorded)] == [PRICE]
    (dropped,) = await journey.get("billing", "/ops/dead-letters?status=discarded")
    assert (dropped["ended_by"], dropped["reason"]) == ("up", "typed with too many zeros")
    (retried,) = await journey.get("billing", "/ops/dead-letters?status=retried")
    assert retried["id"] == second["id"]


async def test_many_are_retried_by_their_error_and_discarded_by_their_ids(journey: Journey) -> None:
    courses = [one_visit(journey, 9 + n) for n in range(5)]
    ids = [course.id for course in courses]
    await journey.publish(*(course.requested for course in courses))
    defect = Defect(journey, "billing", lambda m: isinstance(m.data, PaymentCaptured) and about(m, *ids))
    for _ in range(2):
        await journey.publish(*(course.paid(journey.now, PRICE // 2) for course in courses))
    letters = await journey.get("billing", "/ops/dead-letters")
    assert sorted(letter["kind"] for letter in letters) == ["defect"] * 5 + ["held_back"] * 5

    defect.narrow(lambda m: isinstance(m.data, PaymentCaptured) and about(m, *ids[3:]))
    status, done = await post(journey, "billing", "/ops/dead-letters/retry", {"error_type": "ZeroDivisionError"})
    assert (status, done["retried"]) == (200, 6)
    left = await journey.get("billing", "/ops/dead-letters")
    failing = [letter["id"] for letter in left if letter["kind"] == "defect"]
    assert done["failed"] == [{"id": id, "error_type": "ZeroDivisionError"} for id in failing]
    await journey.pass_time(timedelta())
    assert [await journey.states(course.id) for course in courses] == [["confirmed"]] * 3 + [["held"]] * 2

    which = {"ids": [letter["id"] for letter in left if letter["aggregate"] == str(ids[3])], "reason": "a double"}
    assert await post(journey, "billing", "/ops/dead-letters/discard", which) == (
        200,
        {"discarded": 2, "released": 0, "failed": [{"id": which["ids"][1], "error_type": "ZeroDivisionError"}]},
    )
    defect.heal()
    again = {"ids": [letter["id"] for letter in await journey.get("billing", "/ops/dead-letters")]}
    assert await post(journey, "billing", "/ops/dead-letters/retry", again) == (200, {"retried": 2, "failed": []})
    await journey.pass_time(timedelta())
    assert await journey.states(ids[4]) == ["confirmed"]
    await journey.until(courses[3].starts[0])
    assert [event.course_id for event in journey.told(CourseClosed)] == [ids[3]]
    for wrong in ({}, {"ids": []}, {"ids": [1], "error_type": "invalid"}, {"error_type": "invalid", "unknown": 1}):
        assert (await post(journey, "billing", "/ops/dead-letters/retry", wrong))[0] == 422

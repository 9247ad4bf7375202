"""The services' stories of a course as one: no server."""

from typing import Any

from deploy.operating.timeline import states, timeline

FIRST, SECOND = "3f0c9a44-0d6e-4a7e-9f41-6f2f5a3a1c01", "3f0c9a44-0d6e-4a7e-9f41-6f2f5a3a1c02"


def event(at: str, type: str, published_at: str | None = None, **data: Any) -> dict[str, Any]:
    return {"at": at, "published_at": published_at or at, "id": f"{at} {type}", "type": type, "data": data}


def story(*events: dict[str, Any], letters: Any = (), attention: Any = ()) -> dict[str, Any]:
    return {"events": events, "dead_letters": letters, "attention": attention}


ACCEPTED = event(
    "2030-01-04T12:00:00Z",
    "booking.course.accepted.v1",
    sessions=[
        {"session_id": FIRST, "number": 1, "state": "held"},
        {"session_id": SECOND, "number": 2, "state": "held"},
    ],
)
CONFIRMED = event(
    "2030-01-04T12:00:00.250000Z",
    "booking.session.confirmed.v1",
    session_id=FIRST,
    number=1,
    state="confirmed",
    grant=1,
)


def test_the_services_stories_become_one_in_order_of_time_with_each_sessions_number() -> None:
    satisfied = event(
        "2030-01-04T12:00:00.200000Z", "billing.prepayment.satisfied.v1", session_id=FIRST, basis="paid", grant=1
    )
    told = timeline({"reminders": story(), "billing": story(satisfied), "booking": story(ACCEPTED, CONFIRMED)})
    assert [(m.who, m.what, m.session) for m in told] == [
        ("booking", "course accepted", None),
        ("billing", "prepayment satisfied", 1),
        ("booking", "session confirmed", 1),
    ]
    assert told[1].told == {"basis": "paid", "grant": 1}


def test_what_happened_at_one_instant_stands_in_the_order_in_which_it_was_published() -> None:
    at = "2030-01-04T12:00:00Z"
    effect = event(at, "booking.session.confirmed.v1", "2030-01-04T12:00:00.300000Z", session_id=FIRST)
    cause = event(at, "billing.prepayment.satisfied.v1", "2030-01-04T12:00:00.100000Z", session_id=FIRST)
    told = timeline({"booking": story(effect), "billing": story(cause)})
    assert [m.who for m in told] == ["billing", "booking"]


def test_what_waits_for_a_person_and_what_is_to_come_stand_in_the_timeline() -> None:
    letter = {"id": 7, "kind": "defect", "error_type": "KeyError", "topic": "x", "at": "2030-01-05T09:00:00Z"}
    matter = {
        "id": "m",
        "kind": "unreported_session",
        "subject": SECOND,
        "raised_at": "2030-01-08T04:00:00Z",
        "resolved_at": "2030-01-08T05:00:00Z",
    }
    text = {"text_id": "t", "kind": "day_of", "session_id": FIRST, "due_at": "2030-01-04T09:00:00Z"}
    planned = [text | {"state": "scheduled"}, text | {"state": "sent"}]
    told = timeline({"booking": story(ACCEPTED, letters=[letter], attention=[matter])}, planned)
    assert [(m.what, m.session, m.id) for m in told[1:]] == [
        ("dead letter open", None, "booking/7"),
        ("attention raised", 2, "booking/m"),
        ("attention resolved", 2, "booking/m"),
        ("text planned", 1, "t"),
    ]


def test_how_a_course_stands_is_what_booking_told_last() -> None:
    assert states({"booking": story(ACCEPTED, CONFIRMED)}) == {
        "course": "accepted",
        "sessions": {1: "confirmed", 2: "held"},
    }
    assert states({"billing": story()}) == {"course": "unknown", "sessions": {}}

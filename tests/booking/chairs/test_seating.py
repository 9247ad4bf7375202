"""Seats: a course is seated whole in the first free chairs, and every reason against it is named."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from services.booking.chairs.location import Room
from services.booking.chairs.seating import Seated, seat_course
from shared.contract.clinic import RecordOnFile
from shared.contract.closed_sets import Refusal
from tests.facts.clinic import requested_at
from tests.facts.course import DAY, HOUR, MINUTE, NOW, TEN
from tests.stand_ins.booking_places import ONE_CHAIR, STELLA
from tests.stand_ins.booking_story import Story
from tests.stand_ins.seats import calendar_of, refusals, taken


@pytest.mark.parametrize(
    ("recorded_on", "codes"),
    [
        (None, [Refusal.RECORD_MISSING]),
        (date(2026, 3, 11), [Refusal.RECORD_MISSING]),
        (date(2026, 3, 10), []),
    ],
)
def test_spravato_needs_the_enrolment_before_the_first_dose(recorded_on: date | None, codes: Sequence[Refusal]) -> None:
    records = [RecordOnFile(kind="rems_enrolment", recorded_on=recorded_on)] if recorded_on else []
    story = Story()
    [event] = story.tell(requested_at(TEN, treatment="spravato", location="albany", records=records))
    assert [c.code for c in getattr(event, "conflicts", ())] == codes


def test_each_session_gets_the_first_free_chair_and_the_first_free_provider() -> None:
    others = (taken(TEN, "chair-1", "provider-2"), taken(TEN + HOUR, "chair-2", "provider-1", patient="y"))
    seated = seat_course(calendar_of(*others), STELLA, requested_at(TEN, TEN + 2 * DAY), NOW)
    assert isinstance(seated, Seated)
    assert [(s.chair, s.provider) for s in seated.taken] == [("chair-3", "provider-3"), ("chair-1", "provider-1")]


def test_a_free_chair_without_a_free_provider_is_no_place() -> None:
    place = replace(STELLA, room=Room(chairs=("chair-1", "chair-2"), providers=("provider-1",)))
    assert refusals(requested_at(TEN), taken(TEN, "chair-2"), place=place) == [(0, Refusal.PROVIDER_TAKEN)]


def test_two_sessions_of_one_course_do_not_sit_on_each_other() -> None:
    calm = {"ketamine_induction": STELLA.protocols["ketamine_induction"].model_copy(update={"smallest_gap_hours": 0})}
    assert refusals(requested_at(TEN, TEN + HOUR), place=replace(STELLA, protocols=calm)) == [(1, Refusal.PATIENT_BUSY)]


def test_every_conflict_is_named_and_nothing_is_seated() -> None:
    protocol = STELLA.protocols["ketamine_induction"].model_copy(update={"records": ("consent", "screening")})
    place = replace(ONE_CHAIR, protocols={"ketamine_induction": protocol})
    request = requested_at(NOW - DAY, TEN, TEN + HOUR, TEN + 3 * DAY + 12 * HOUR, TEN + 30 * DAY)
    assert refusals(request, taken(TEN), place=place) == [
        (None, Refusal.RECORD_MISSING),
        (None, Refusal.RECORD_MISSING),
        (2, Refusal.TOO_CLOSE),
        (4, Refusal.TOO_FAR),
        (4, Refusal.OUTSIDE_WINDOW),
        (0, Refusal.IN_PAST),
        (1, Refusal.CHAIR_TAKEN),
        (2, Refusal.CHAIR_TAKEN),
        (3, Refusal.CLOSED),
    ]


def test_the_records_that_the_protocol_needs_must_be_on_file() -> None:
    protocol = STELLA.protocols["ketamine_induction"].model_copy(update={"records": ("consent", "screening")})
    place = replace(STELLA, protocols={"ketamine_induction": protocol})
    have = tuple(RecordOnFile(kind=kind, recorded_on=date(2026, 3, 1)) for kind in ("screening", "consent", "other"))
    assert refusals(requested_at(TEN, records=have), place=place) == []
    assert refusals(requested_at(TEN, records=have[:1]), place=place) == [(None, Refusal.RECORD_MISSING)]


def test_the_present_is_past() -> None:
    assert refusals(requested_at(TEN), now=TEN) == [(0, Refusal.IN_PAST)]
    assert refusals(requested_at(TEN), now=TEN - MINUTE) == []

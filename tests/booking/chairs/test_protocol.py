"""Protocols: how long a visit takes, and for how much of it a provider stays."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.booking.chairs.location import Room
from services.booking.chairs.seating import Seated, seat_course
from shared.contract.closed_sets import Refusal
from tests.facts.clinic import course_requested
from tests.facts.course import NOW, OTHER, start
from tests.stand_ins.booking_places import AUTUMN, SPRING, STELLA, always_open
from tests.stand_ins.booking_story import accepted
from tests.stand_ins.seats import calendar_of, wishes


def test_the_requests_own_minutes_go_before_the_protocols() -> None:
    story = accepted(minutes=30)
    assert story.session().ends_at == start(1) + timedelta(minutes=30)


@pytest.mark.parametrize(("night", "ends"), [(SPRING, "04:15"), (AUTUMN, "02:15")])
def test_a_visit_over_the_change_lasts_as_long_as_any_other(night: date, ends: str) -> None:
    place = always_open()
    found = seat_course(calendar_of(), place, course_requested(sessions=wishes(place, f"{night} 01:30")), NOW)
    assert isinstance(found, Seated)
    [seat] = found.taken
    assert seat.ends_at - seat.starts_at == timedelta(minutes=105)
    assert f"{place.location.local(seat.ends_at):%H:%M}" == ends


def test_two_visits_share_a_provider_who_stays_for_the_treatment_only() -> None:
    protocol = STELLA.protocols["ketamine_induction"].model_copy(update={"provider_during": ("treatment",)})
    place = replace(
        STELLA, protocols={"ketamine_induction": protocol}, room=Room(chairs=("a", "b"), providers=("provider-1",))
    )
    first = seat_course(calendar_of(), place, course_requested(1), NOW)
    assert isinstance(first, Seated)
    [seat] = first.taken
    assert (seat.provider_from, seat.provider_until) == (
        seat.starts_at + timedelta(minutes=15),
        seat.starts_at + timedelta(minutes=60),
    )
    for minutes, free in ((44, False), (45, True)):
        at = seat.starts_at + timedelta(minutes=minutes)
        wish = course_requested(1, OTHER, sessions=({"session_id": OTHER, "starts_at": at},))
        second = seat_course(first.calendar, place, wish, NOW)
        assert isinstance(second, Seated) is free
        if not isinstance(second, Seated):
            assert [conflict.code for conflict in second] == [Refusal.PROVIDER_TAKEN]

"""The last look at a text that is due: send it, wait, or never, and why."""

from datetime import datetime, timedelta

import pytest

from services.reminders.people.contact import Contact
from services.reminders.rules.ladder import window_of
from services.reminders.rules.last_look import Send, Suppress, Wait, judge, wording_of
from services.reminders.text.text import TextState
from shared.contract.booking import SessionConfirmed
from shared.contract.closed_sets import SessionState, SuppressedReason, TextKind
from shared.contract.internal import PersonErased
from tests.reminders_story import (
    DAY,
    HOUR,
    MONDAY,
    PATIENT,
    PHONE,
    PLACES,
    Story,
    accepted,
    contact,
    required,
    session_event,
    starts_at,
)

STELLA = PLACES["stella"]
R = SuppressedReason
EARLY = starts_at(1).replace(hour=12)
"""7:00 in Chicago: two hours before it is night."""


def planned(start: datetime | None = None, person: bool = True) -> Story:
    story = Story()
    if person:
        story.hear(contact())
    story.hear(accepted(1))
    story.hear(session_event(SessionConfirmed, 1, SessionState.CONFIRMED, 2, start, grant=1))
    return story


def look(story: Story, kind: TextKind, now: datetime) -> object:
    assert story.course is not None
    return judge(story.text(kind), story.course, story.contacts.get(PATIENT), STELLA, now)


def test_a_due_text_is_sent_to_the_number_as_it_is_now() -> None:
    story = planned()
    verdict = look(story, TextKind.DAY_OF, starts_at(1) - 2 * HOUR + timedelta(minutes=45))

    assert isinstance(verdict, Send)
    assert verdict.contact.phone == PHONE
    assert verdict.until == starts_at(1) - HOUR / 2


def test_the_provider_may_not_keep_it_into_the_night() -> None:
    story = Story()
    story.hear(contact())
    story.hear(accepted(1))
    evening = MONDAY + 9 * HOUR
    story.hear(required(1), evening)

    verdict = look(story, TextKind.PAYMENT_DUE, evening)

    assert isinstance(verdict, Send)
    assert verdict.until == MONDAY + 11 * HOUR  # 21:00


def test_a_day_of_text_for_an_early_appointment_goes_out_the_evening_before() -> None:
    story = planned(EARLY)
    text = story.text(TextKind.DAY_OF)

    assert STELLA.location.local(text.due_at).isoformat() == "2026-03-15T20:45:00-05:00"
    assert look(story, TextKind.DAY_OF, text.due_at - HOUR) == Wait(text.due_at)
    assert isinstance(look(story, TextKind.DAY_OF, text.due_at), Send)
    assert look(story, TextKind.DAY_OF, text.due_at + HOUR) == Suppress(R.QUIET_HOURS_TOO_LATE)


def test_a_person_who_is_elsewhere_is_texted_by_their_own_clock() -> None:
    story = planned(starts_at(1) - HOUR)
    story.hear(contact(time_zone="Pacific/Honolulu", region="US-HI"))
    text = story.text(TextKind.DAY_OF)

    verdict = look(story, TextKind.DAY_OF, text.nominal_at - 20 * HOUR)

    assert isinstance(verdict, Wait)
    assert verdict.until.astimezone(story.contacts[PATIENT].zone).hour == 20


@pytest.mark.parametrize(("region", "hour"), [(None, 20), ("US-IL", 20), ("US-RI", 18)])
def test_of_somebody_whose_zone_nobody_knows_the_narrowest_hours_count(region: str | None, hour: int) -> None:
    story = Story()
    story.hear(contact(time_zone="America/Springfield", region=region))
    window = window_of(story.contacts[PATIENT], STELLA)

    assert window.zone == STELLA.location.tz
    assert window.closes_after(MONDAY).astimezone(window.zone).hour == hour
    assert not window.allows(MONDAY - HOUR - timedelta(minutes=1))


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (lambda: planned(person=False), R.NO_NUMBER),
        (lambda: _with(contact(allowed=False)), R.NO_CONSENT),
        (lambda: _with(contact(), contact(allowed=False, recorded_at=MONDAY)), R.OPTED_OUT),
        (lambda: _with(contact(), contact(phone="+13125550177")), R.NO_CONSENT),
        (lambda: _with(contact(), PersonErased(person_id=PATIENT)), R.NO_NUMBER),
    ],
)
def test_without_number_or_consent_it_is_never_sent(story: object, reason: SuppressedReason) -> None:
    told: Story = story()  # type: ignore[operator]
    noon = starts_at(1) - DAY + 2 * HOUR

    assert look(told, TextKind.DAY_BEFORE, noon) == Suppress(reason)


def _with(*records: object) -> Story:
    story = planned(person=False)
    for record in records:
        story.hear(record)  # type: ignore[arg-type]
    return story


def test_consent_is_not_judged_before_the_text_is_due() -> None:
    story = _with(contact(allowed=False))

    assert isinstance(look(story, TextKind.DAY_BEFORE, MONDAY), Wait)


def test_a_text_that_comes_too_late_is_not_sent() -> None:
    assert look(planned(), TextKind.DAY_OF, starts_at(1)) == Suppress(R.TOO_LATE)


def test_a_text_of_another_version_is_not_sent() -> None:
    story = planned()
    text = story.text(TextKind.DAY_BEFORE)
    story.hear(session_event(SessionConfirmed, 1, SessionState.CONFIRMED, 3, grant=2))
    assert story.course is not None

    assert judge(text, story.course, None, STELLA, text.due_at) == Suppress(R.SUPERSEDED)


def test_a_second_payment_text_on_the_same_day_is_not_sent() -> None:
    story = Story()
    story.hear(contact())
    story.hear(accepted(1, 2))
    night = MONDAY + 13 * HOUR  # 23:00: waits for the morning
    story.hear(required(1), night)
    story.hear(required(2), night + 2 * HOUR)
    first, second = story.texts(TextState.SCHEDULED)
    assert first.due_at == second.due_at
    assert story.course is not None

    assert isinstance(judge(first, story.course, story.contacts[PATIENT], STELLA, first.due_at), Send)
    sent = first._replace(state=TextState.SENT, sent_on=STELLA.location.local(first.due_at).date())
    after = story.course.with_text(sent)
    assert judge(second, after, story.contacts[PATIENT], STELLA, second.due_at) == Suppress(R.SUPERSEDED)


def test_the_list_of_dates_holds_what_is_confirmed_when_it_goes_out() -> None:
    story = planned()
    assert story.course is not None

    body = wording_of(story.text(TextKind.BOOKED), story.course, Contact(PATIENT), STELLA)

    assert "Mon Mar 16 10:00 AM" in body
    assert "STOP" in body

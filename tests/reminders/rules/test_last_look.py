"""The last look at a text that is due, and at an answer: send it, wait, or never, and why; and what it says."""

from datetime import datetime, timedelta

import pytest

from services.reminders.people.contact import Contact
from services.reminders.rules.last_look import (
    NONE,
    Paused,
    Pauses,
    Send,
    Suppress,
    Wait,
    judge,
    judge_answer,
    wording_of,
)
from services.reminders.text.text import TextState
from shared.contract.closed_sets import SuppressedReason, TextKind
from shared.contract.internal import PersonErased
from tests.facts.billing import prepayment_required
from tests.facts.booking import course_accepted, session_confirmed
from tests.facts.clinic import contact_updated
from tests.facts.course import DAY, HOUR, MIDNIGHT, NOW, PATIENT, PHONE, start
from tests.facts.reminders import answer_wanted, consent_recorded
from tests.stand_ins.reminders_story import STELLA, K, Story, says, told, told_at


@pytest.mark.parametrize(("locale", "words"), [("es-US", "Siga su hoja"), ("en-US", "Please follow"), ("fr", "Please")])
def test_everybody_is_texted_in_their_language_or_the_clinics_own(locale: str, words: str) -> None:
    story = told(contact_updated(locale=locale), course_accepted(1), session_confirmed(1))

    assert words in says(story, K.DAY_BEFORE)


def test_nobody_is_asked_for_a_driver_where_none_is_needed() -> None:
    story = told(contact_updated(), course_accepted(1), session_confirmed(1))
    assert "take you home" in says(story, K.DAY_OF)
    assert story.course is not None
    story.course = story.course._replace(treatment="consultation")

    assert "take you home" not in says(story, K.DAY_OF)


R = SuppressedReason
EARLY = start(1).replace(hour=12)
"""7:00 in Chicago: two hours before it is night."""


def planned(at: datetime | None = None, person: bool = True) -> Story:
    story = Story()
    if person:
        story.hear(contact_updated())
    story.hear(course_accepted(1))
    story.hear(session_confirmed(1, starts_at=at or start(1)))
    return story


def look(story: Story, kind: TextKind, now: datetime) -> object:
    assert story.course is not None
    return judge(story.text(kind), story.course, story.contacts.get(PATIENT), STELLA, now)


def test_a_due_text_is_sent_to_the_number_as_it_is_now() -> None:
    story = planned()
    verdict = look(story, TextKind.DAY_OF, start(1) - 2 * HOUR + timedelta(minutes=45))

    assert isinstance(verdict, Send)
    assert verdict.contact.phone == PHONE
    assert verdict.until == start(1) - HOUR / 2


def test_the_provider_may_not_keep_it_into_the_night() -> None:
    story = Story()
    story.hear(contact_updated())
    story.hear(course_accepted(1))
    evening = NOW + 10 * HOUR
    story.hear(prepayment_required(1), evening)

    verdict = look(story, TextKind.PAYMENT_DUE, evening)

    assert isinstance(verdict, Send)
    assert verdict.until == NOW + 12 * HOUR  # 21:00


def test_a_day_of_text_for_an_early_appointment_goes_out_the_evening_before() -> None:
    story = planned(EARLY)
    text = story.text(TextKind.DAY_OF)

    assert STELLA.location.local(text.due_at).isoformat() == "2026-03-09T20:45:00-05:00"
    assert look(story, TextKind.DAY_OF, text.due_at - HOUR) == Wait(text.due_at)
    assert isinstance(look(story, TextKind.DAY_OF, text.due_at), Send)
    assert look(story, TextKind.DAY_OF, text.due_at + HOUR) == Suppress(R.QUIET_HOURS_TOO_LATE)


def test_a_person_who_is_elsewhere_is_texted_by_their_own_clock() -> None:
    story = planned(start(1) - HOUR)
    story.hear(contact_updated(time_zone="Pacific/Honolulu", region="US-HI"))
    text = story.text(TextKind.DAY_OF)

    verdict = look(story, TextKind.DAY_OF, text.nominal_at - 20 * HOUR)

    assert isinstance(verdict, Wait)
    assert verdict.until.astimezone(story.contacts[PATIENT].zone).hour == 20


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (lambda: planned(person=False), R.NO_NUMBER),
        (lambda: _with(contact_updated(allowed=False)), R.NO_CONSENT),
        (lambda: _with(contact_updated(), contact_updated(allowed=False, recorded_at=NOW)), R.OPTED_OUT),
        (lambda: _with(contact_updated(), contact_updated(phone="+13125550177")), R.NO_CONSENT),
        (lambda: _with(contact_updated(), PersonErased(person_id=PATIENT)), R.NO_NUMBER),
    ],
)
def test_without_number_or_consent_it_is_never_sent(story: object, reason: SuppressedReason) -> None:
    told: Story = story()  # type: ignore[operator]
    noon = start(1) - DAY + 2 * HOUR

    assert look(told, TextKind.DAY_BEFORE, noon) == Suppress(reason)


def _with(*records: object) -> Story:
    story = planned(person=False)
    for record in records:
        story.hear(record)  # type: ignore[arg-type]
    return story


def test_consent_is_not_judged_before_the_text_is_due() -> None:
    story = _with(contact_updated(allowed=False))

    assert isinstance(look(story, TextKind.DAY_BEFORE, NOW), Wait)


def test_a_text_that_comes_too_late_is_not_sent() -> None:
    assert look(planned(), TextKind.DAY_OF, start(1)) == Suppress(R.TOO_LATE)


def test_a_text_of_another_version_is_not_sent() -> None:
    story = planned()
    text = story.text(TextKind.DAY_BEFORE)
    story.hear(session_confirmed(1, version=3, grant=2))
    assert story.course is not None

    assert judge(text, story.course, None, STELLA, text.due_at) == Suppress(R.SUPERSEDED)


def test_a_second_payment_text_on_the_same_day_is_not_sent() -> None:
    story = Story()
    story.hear(contact_updated())
    story.hear(course_accepted(2))
    night = NOW + 14 * HOUR  # 23:00: waits for the morning
    story.hear(prepayment_required(1), night)
    story.hear(prepayment_required(2), night + 2 * HOUR)
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

    assert "Tue Mar 10 10:00 AM" in body
    assert "STOP" in body


def look_at_answer(story: Story, now: datetime, pauses: Pauses = NONE) -> object:
    return judge_answer(story.person.answers[-1], story.person, STELLA, now, pauses)


@pytest.mark.parametrize("kind", [TextKind.HELP, TextKind.UNMONITORED_REPLY])
def test_a_person_is_answered_at_any_hour(kind: TextKind) -> None:
    story = told_at((contact_updated(), NOW), (answer_wanted(kind), MIDNIGHT))

    verdict = look_at_answer(story, MIDNIGHT)

    assert isinstance(verdict, Send)
    assert verdict.until == MIDNIGHT + timedelta(minutes=5)


def test_the_answer_to_what_is_not_understood_names_who_helps() -> None:
    story = told_at((contact_updated(locale="es"), NOW), (answer_wanted(TextKind.UNMONITORED_REPLY), MIDNIGHT))

    body = wording_of(story.person.answers[0], None, story.person, STELLA)

    assert "630-555-0136" in body
    assert "911" in body
    assert "988" in body
    assert "nadie lee" in body


def test_the_one_confirmation_goes_out_after_the_opt_out_and_nothing_else() -> None:
    story = told_at((contact_updated(), NOW), (consent_recorded(False, MIDNIGHT), MIDNIGHT))
    assert isinstance(look_at_answer(story, MIDNIGHT), Send)

    story.hear(answer_wanted(TextKind.HELP), MIDNIGHT)
    assert look_at_answer(story, MIDNIGHT) == Suppress(SuppressedReason.OPTED_OUT)


def test_an_answer_that_is_late_is_not_sent() -> None:
    story = told_at((contact_updated(), NOW), (answer_wanted(TextKind.HELP), NOW))

    assert look_at_answer(story, NOW + timedelta(minutes=5)) == Suppress(SuppressedReason.TOO_LATE)


def test_who_came_back_meanwhile_gets_no_confirmation_of_the_opt_out() -> None:
    story = told_at(
        (contact_updated(), NOW), (consent_recorded(False, NOW), NOW), (consent_recorded(True, NOW + DAY), NOW + DAY)
    )

    assert look_at_answer(story, NOW + timedelta(minutes=1)) == Suppress(SuppressedReason.SUPERSEDED)


def test_a_stranger_and_an_erased_person_are_not_answered() -> None:
    story = told_at((contact_updated(allowed=False), NOW), (answer_wanted(TextKind.HELP), NOW))
    assert look_at_answer(story, NOW) == Suppress(SuppressedReason.NO_CONSENT)

    story.hear(PersonErased(person_id=PATIENT))
    assert look_at_answer(story, NOW) == Suppress(SuppressedReason.NO_NUMBER)


@pytest.mark.parametrize(
    "pauses", [Pauses(True), Pauses(clinics=frozenset({"stella"})), Pauses(contacts=frozenset({PATIENT}))]
)
def test_a_pause_stops_answers_too(pauses: Pauses) -> None:
    story = told_at((contact_updated(), NOW), (answer_wanted(TextKind.HELP), NOW))

    assert look_at_answer(story, NOW, pauses) == Paused(NOW + timedelta(minutes=5))
    assert look_at_answer(story, NOW + HOUR, pauses) == Suppress(SuppressedReason.PAUSED)

"""What a person, or staff, says about texts: it counts at once, for the number it was said from, and is answered."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reminders.people.consent import Consent, Number, allowed_at
from services.reminders.people.contact import Contact, recorded
from services.reminders.people.messages import AnswerWanted, ConsentRecorded
from services.reminders.rules.last_look import NONE, Paused, Pauses, Send, Suppress, judge_answer, wording_of
from shared.contract.clinic import Texting
from shared.contract.closed_sets import SuppressedReason, TextKind
from shared.contract.internal import PersonErased
from shared.contract.register import EventData
from shared.contract.reminders import ConsentChanged
from tests.reminders_story import DAY, HOUR, MONDAY, PATIENT, PHONE, PLACES, Story, contact

R = SuppressedReason
OTHER_PHONE = "+13125550199"
STELLA = PLACES["stella"]
MIDNIGHT = MONDAY + 14 * HOUR


def said(
    allowed: bool, at: datetime, word: str = "", phone: str | None = PHONE, answer_for: str | None = "stella"
) -> ConsentRecorded:
    return ConsentRecorded(
        contact_id=PATIENT,
        allowed=allowed,
        wording=word or ("START" if allowed else "STOP"),
        source="text",
        recorded_at=at,
        phone=phone,
        answer_for=answer_for,
    )


def wanted(kind: TextKind) -> AnswerWanted:
    return AnswerWanted(contact_id=PATIENT, kind=kind, location="stella", phone=PHONE)


def told(*events: tuple[EventData, datetime]) -> Story:
    story = Story()
    for event, at in events:
        story.hear(event, at)
    return story


def person(story: Story) -> Contact:
    return story.contacts[PATIENT]


def test_stop_ends_all_texts_and_is_confirmed_once() -> None:
    story = told((contact(), MONDAY))

    assert story.hear(said(False, MONDAY + HOUR), MONDAY + HOUR) == [
        ConsentChanged(contact_id=PATIENT, allowed=False, source="text")
    ]
    assert person(story).opted_out
    assert story.hear(said(False, MONDAY + 2 * HOUR, "QUIT"), MONDAY + 2 * HOUR) == []
    (confirmation,) = person(story).answers
    assert (confirmation.kind, confirmation.location) == (TextKind.OPT_OUT_CONFIRMED, "stella")
    assert confirmation.deadline_at == MONDAY + HOUR + timedelta(minutes=5)


@pytest.mark.parametrize("phone", [OTHER_PHONE, None])
def test_what_is_said_from_another_number_does_not_count(phone: str | None) -> None:
    story = told((contact(), MONDAY))
    story.hear(said(False, MONDAY + HOUR, phone=phone), MONDAY + HOUR)

    assert person(story).allowed is (phone is not None)


def test_an_old_form_that_comes_after_stop_changes_nothing_and_a_start_does() -> None:
    story = told((contact(), MONDAY), (said(False, MONDAY + HOUR), MONDAY + HOUR))

    assert story.hear(contact(recorded_at=MONDAY + HOUR / 2, wording="form-2"), MONDAY + 3 * HOUR) == []
    assert story.hear(said(True, MONDAY + 4 * HOUR), MONDAY + 4 * HOUR) == [
        ConsentChanged(contact_id=PATIENT, allowed=True, source="text")
    ]
    assert not person(story).opted_out


def test_a_form_that_is_dated_ahead_of_its_arrival_does_not_outlive_a_stop() -> None:
    story = told((contact(recorded_at=MONDAY + 30 * DAY), MONDAY))
    assert person(story).allowed

    story.hear(said(False, MONDAY + HOUR), MONDAY + HOUR)

    assert not person(story).allowed


def test_staff_record_consent_for_a_number_and_a_later_number_needs_another() -> None:
    story = told((contact(allowed=False), MONDAY))
    story.hear(said(True, MONDAY + HOUR, "form-7", phone=None, answer_for=None), MONDAY + HOUR)
    assert person(story).allowed

    story.hear(contact(allowed=False, phone=OTHER_PHONE), MONDAY + 2 * HOUR)

    assert not person(story).allowed


def look(story: Story, now: datetime, pauses: Pauses = NONE) -> object:
    return judge_answer(person(story).answers[-1], person(story), STELLA, now, pauses)


@pytest.mark.parametrize("kind", [TextKind.HELP, TextKind.UNMONITORED_REPLY])
def test_a_person_is_answered_at_any_hour(kind: TextKind) -> None:
    story = told((contact(), MONDAY), (wanted(kind), MIDNIGHT))

    verdict = look(story, MIDNIGHT)

    assert isinstance(verdict, Send)
    assert verdict.until == MIDNIGHT + timedelta(minutes=5)


def test_the_answer_to_what_is_not_understood_names_who_helps() -> None:
    story = told((contact(locale="es"), MONDAY), (wanted(TextKind.UNMONITORED_REPLY), MIDNIGHT))

    body = wording_of(person(story).answers[0], None, person(story), STELLA)

    assert "630-555-0136" in body
    assert "911" in body
    assert "988" in body
    assert "nadie lee" in body


def test_the_one_confirmation_goes_out_after_the_opt_out_and_nothing_else() -> None:
    story = told((contact(), MONDAY), (said(False, MIDNIGHT), MIDNIGHT))
    assert isinstance(look(story, MIDNIGHT), Send)

    story.hear(wanted(TextKind.HELP), MIDNIGHT)
    assert look(story, MIDNIGHT) == Suppress(R.OPTED_OUT)


def test_an_answer_that_is_late_is_not_sent() -> None:
    story = told((contact(), MONDAY), (wanted(TextKind.HELP), MONDAY))

    assert look(story, MONDAY + timedelta(minutes=5)) == Suppress(R.TOO_LATE)


def test_who_came_back_meanwhile_gets_no_confirmation_of_the_opt_out() -> None:
    story = told((contact(), MONDAY), (said(False, MONDAY), MONDAY), (said(True, MONDAY + DAY), MONDAY + DAY))

    assert look(story, MONDAY + timedelta(minutes=1)) == Suppress(R.SUPERSEDED)


def test_a_stranger_and_an_erased_person_are_not_answered() -> None:
    story = told((contact(allowed=False), MONDAY), (wanted(TextKind.HELP), MONDAY))
    assert look(story, MONDAY) == Suppress(R.NO_CONSENT)

    story.hear(PersonErased(person_id=PATIENT))
    assert look(story, MONDAY) == Suppress(R.NO_NUMBER)


@pytest.mark.parametrize(
    "pauses", [Pauses(True), Pauses(clinics=frozenset({"stella"})), Pauses(contacts=frozenset({PATIENT}))]
)
def test_a_pause_stops_answers_too(pauses: Pauses) -> None:
    story = told((contact(), MONDAY), (wanted(TextKind.HELP), MONDAY))

    assert look(story, MONDAY, pauses) == Paused(MONDAY + timedelta(minutes=5))
    assert look(story, MONDAY + HOUR, pauses) == Suppress(R.PAUSED)


def test_an_answer_in_the_name_of_a_place_that_nobody_serves_is_none() -> None:
    story = told((contact(), MONDAY))
    story.hear(wanted(TextKind.HELP).model_copy(update={"location": "elsewhere"}))

    assert person(story).answers == ()


WORDS = st.lists(
    st.tuples(
        st.sampled_from(["form", "number", "erase", "stop", "start"]),
        st.booleans(),
        st.integers(-3, 3),  # when it was recorded, in hours before or after it was heard
        st.sampled_from([PHONE, OTHER_PHONE]),
    ),
    min_size=1,
    max_size=12,
)


@given(WORDS)
def test_any_past_instant_can_be_told_from_the_ledger(words: list[tuple[str, bool, int, str]]) -> None:
    """Whoever reads the ledger and the changes of number knows whether texts were allowed, then and now."""
    who = Contact(PATIENT)
    entries: list[Consent] = []
    numbers: list[Number] = []
    then: list[tuple[datetime, bool]] = []
    story = Story()
    for n, (what, allowed, off, phone) in enumerate(words):
        now = MONDAY + n * HOUR
        match what:
            case "erase":
                story.hear(PersonErased(person_id=PATIENT), now)
            case "form" | "number":
                story.hear(contact(allowed, now + off * HOUR, phone, wording=f"w{n}"), now)
            case _:
                story.hear(said(what == "start", now, phone=None), now)
        who = person(story)
        entries += who.unsaved
        if who.renumbered_at is not None:
            numbers.append(Number(who.phone_version, who.renumbered_at, who.phone is None))
        then.append((now, who.allowed))
        story.contacts[PATIENT] = replace(who, unsaved=(), renumbered_at=None, look_at=None, answers=())

    for instant, allowed in then:
        found = allowed_at(entries, numbers, instant)
        assert (found is not None) is allowed
    assert allowed_at(entries, numbers, MONDAY - HOUR) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=10))
def test_what_was_said_last_counts_whatever_the_order_in_which_it_is_heard(said: list[tuple[bool, int, int]]) -> None:
    """`heard_at` is when it reached Kafka, which is the same however late it is read."""
    ends = set()
    for order in (said, said[::-1], sorted(said)):
        who = Contact(PATIENT, phone=PHONE, phone_version=1)
        for allowed, hour, late in order:
            texting = Texting(
                allowed=allowed, wording=f"w{allowed}{hour}{late}", source="s", recorded_at=MONDAY + hour * HOUR
            )
            who = recorded(who, texting, MONDAY + (hour + late) * HOUR)
        ends.add(who.allowed)

    assert len(ends) == 1

"""Who may be texted: what is said counts at once, and only for the number that it was said for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.reminders.people.consent import NEW_NUMBER
from shared.contract.closed_sets import TextKind
from shared.contract.internal import PersonErased
from shared.contract.reminders import ConsentChanged
from tests.facts.clinic import contact_updated
from tests.facts.course import DAY, HOUR, NOW, OTHER_PHONE, PATIENT
from tests.facts.reminders import answer_wanted, consent_recorded
from tests.stand_ins.reminders_story import Story, told_at


def test_the_first_consent_is_told() -> None:
    story = Story()

    assert story.hear(contact_updated()) == [ConsentChanged(contact_id=PATIENT, allowed=True, source="intake")]
    assert story.person.allowed


def test_a_record_without_consent_changes_nothing_and_is_no_opt_out() -> None:
    story = Story()

    assert story.hear(contact_updated(allowed=False)) == []
    assert not story.person.allowed
    assert not story.person.opted_out


def test_a_new_number_needs_new_consent() -> None:
    story = Story()
    story.hear(contact_updated(recorded_at=NOW - DAY))

    assert story.hear(contact_updated(recorded_at=NOW - DAY, phone=OTHER_PHONE)) == [
        ConsentChanged(contact_id=PATIENT, allowed=False, source=NEW_NUMBER)
    ]
    assert story.hear(contact_updated(recorded_at=NOW - 2 * DAY, phone=OTHER_PHONE, wording="older")) == []
    assert story.hear(contact_updated(recorded_at=NOW, phone=OTHER_PHONE)) == [
        ConsentChanged(contact_id=PATIENT, allowed=True, source="intake")
    ]


def test_the_old_number_come_back_does_not_bring_its_old_consent_back() -> None:
    story = Story()
    story.hear(contact_updated(recorded_at=NOW - DAY))
    story.hear(contact_updated(recorded_at=NOW, phone=OTHER_PHONE))
    story.hear(contact_updated(recorded_at=NOW - DAY))

    assert not story.person.allowed


def test_an_erased_person_keeps_the_proof_and_loses_the_number() -> None:
    story = Story()
    story.hear(contact_updated())

    events = story.hear(PersonErased(person_id=PATIENT))

    assert events == [ConsentChanged(contact_id=PATIENT, allowed=False, source="erased")]
    gone = story.person
    assert (gone.phone, gone.time_zone, gone.region, gone.locale) == (None, None, None, None)
    assert gone.consent is not None
    story.hear(contact_updated())
    assert not story.person.allowed  # told anew, the old form does not count


def test_a_zone_that_nobody_knows_goes_to_a_person() -> None:
    story = Story()
    story.hear(contact_updated(time_zone="America/Springfield"))

    assert [what.kind for what in story.attention] == ["unknown_time_zone"]
    assert story.person.zone is None


def test_a_change_of_zone_has_waiting_texts_looked_at_again() -> None:
    story = Story()
    story.hear(contact_updated())
    story.contacts[PATIENT] = replace(story.person, look_at=None)  # stored
    story.hear(contact_updated(time_zone="America/New_York"), NOW + DAY)

    assert story.person.look_at == NOW + DAY


def test_stop_ends_all_texts_and_is_confirmed_once() -> None:
    story = told_at((contact_updated(), NOW))

    assert story.hear(consent_recorded(False, NOW + HOUR), NOW + HOUR) == [
        ConsentChanged(contact_id=PATIENT, allowed=False, source="text")
    ]
    assert story.person.opted_out
    assert story.hear(consent_recorded(False, NOW + 2 * HOUR, "QUIT"), NOW + 2 * HOUR) == []
    (confirmation,) = story.person.answers
    assert (confirmation.kind, confirmation.location) == (TextKind.OPT_OUT_CONFIRMED, "stella")
    assert confirmation.deadline_at == NOW + HOUR + timedelta(minutes=5)


@pytest.mark.parametrize("phone", [OTHER_PHONE, None])
def test_what_is_said_from_another_number_does_not_count(phone: str | None) -> None:
    story = told_at((contact_updated(), NOW))
    story.hear(consent_recorded(False, NOW + HOUR, phone=phone), NOW + HOUR)

    assert story.person.allowed is (phone is not None)


def test_staff_record_consent_for_a_number_and_a_later_number_needs_another() -> None:
    story = told_at((contact_updated(allowed=False), NOW))
    story.hear(consent_recorded(True, NOW + HOUR, "form-7", phone=None, answer_for=None), NOW + HOUR)
    assert story.person.allowed

    story.hear(contact_updated(allowed=False, phone=OTHER_PHONE), NOW + 2 * HOUR)

    assert not story.person.allowed


def test_an_answer_in_the_name_of_a_place_that_nobody_serves_is_none() -> None:
    story = told_at((contact_updated(), NOW))
    story.hear(answer_wanted(TextKind.HELP).model_copy(update={"location": "elsewhere"}))

    assert story.person.answers == ()


def test_an_opt_out_that_only_we_know_of_counts_and_is_not_told_again() -> None:
    story = Story()
    story.hear(contact_updated(recorded_at=NOW - DAY))
    assert story.hear(ConsentChanged(contact_id=PATIENT, allowed=False, source="text")) == []
    assert not story.contacts[PATIENT].allowed
    assert story.contacts[PATIENT].opted_out
    assert story.hear(contact_updated(recorded_at=NOW - DAY, wording="form-2"), NOW + DAY) == [], "an older yes"
    assert not story.contacts[PATIENT].allowed

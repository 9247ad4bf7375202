"""Who may be texted: the ledger's latest entry counts, and only for the number that it was given for."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.reminders.people.consent import CARRIER, NEW_NUMBER
from services.reminders.people.contact import Contact, opt_out
from shared.contract.internal import PersonErased
from shared.contract.reminders import ConsentChanged
from tests.reminders_story import DAY, MONDAY, PATIENT, Story, contact

OTHER_PHONE = "+13125550199"


def person(story: Story) -> Contact:
    return story.contacts[PATIENT]


def test_the_first_consent_is_told() -> None:
    story = Story()

    assert story.hear(contact()) == [ConsentChanged(contact_id=PATIENT, allowed=True, source="intake")]
    assert person(story).allowed


def test_a_record_without_consent_changes_nothing_and_is_no_opt_out() -> None:
    story = Story()

    assert story.hear(contact(allowed=False)) == []
    assert not person(story).allowed
    assert not person(story).opted_out


def test_the_same_record_again_adds_nothing_to_the_ledger() -> None:
    story = Story()
    story.hear(contact())
    before = person(story)

    assert story.hear(contact(), MONDAY + DAY) == []
    assert person(story) is before


def test_an_old_allowed_never_undoes_a_later_opt_out() -> None:
    story = Story()
    story.hear(contact(recorded_at=MONDAY - 2 * DAY))
    story.contacts[PATIENT] = opt_out(person(story), "21610", CARRIER, MONDAY)

    assert story.hear(contact(recorded_at=MONDAY - DAY), MONDAY + DAY) == []
    assert story.hear(contact(recorded_at=MONDAY, wording="form-2"), MONDAY + DAY) == []
    assert not person(story).allowed
    assert person(story).opted_out


def test_consent_recorded_after_the_opt_out_counts() -> None:
    story = Story()
    story.hear(contact())
    story.hear(contact(allowed=False, recorded_at=MONDAY))

    assert story.hear(contact(recorded_at=MONDAY + DAY), MONDAY + DAY) == [
        ConsentChanged(contact_id=PATIENT, allowed=True, source="intake")
    ]
    assert not person(story).opted_out


def test_a_new_number_needs_new_consent() -> None:
    story = Story()
    story.hear(contact(recorded_at=MONDAY - DAY))

    assert story.hear(contact(recorded_at=MONDAY - DAY, phone=OTHER_PHONE)) == [
        ConsentChanged(contact_id=PATIENT, allowed=False, source=NEW_NUMBER)
    ]
    assert story.hear(contact(recorded_at=MONDAY - 2 * DAY, phone=OTHER_PHONE, wording="older")) == []
    assert story.hear(contact(recorded_at=MONDAY, phone=OTHER_PHONE)) == [
        ConsentChanged(contact_id=PATIENT, allowed=True, source="intake")
    ]


def test_the_old_number_come_back_does_not_bring_its_old_consent_back() -> None:
    story = Story()
    story.hear(contact(recorded_at=MONDAY - DAY))
    story.hear(contact(recorded_at=MONDAY, phone=OTHER_PHONE))
    story.hear(contact(recorded_at=MONDAY - DAY))

    assert not person(story).allowed


def test_an_erased_person_keeps_the_proof_and_loses_the_number() -> None:
    story = Story()
    story.hear(contact())

    events = story.hear(PersonErased(person_id=PATIENT))

    assert events == [ConsentChanged(contact_id=PATIENT, allowed=False, source="erased")]
    gone = person(story)
    assert (gone.phone, gone.time_zone, gone.region, gone.locale) == (None, None, None, None)
    assert gone.consent is not None
    story.hear(contact())
    assert not person(story).allowed  # told anew, the old form does not count


def test_a_zone_that_nobody_knows_goes_to_a_person() -> None:
    story = Story()
    story.hear(contact(time_zone="America/Springfield"))

    assert [what.kind for what in story.attention] == ["unknown_time_zone"]
    assert person(story).zone is None


def test_a_change_of_zone_has_waiting_texts_looked_at_again() -> None:
    story = Story()
    story.hear(contact())
    story.contacts[PATIENT] = replace(person(story), look_at=None)  # stored
    story.hear(contact(time_zone="America/New_York"), MONDAY + DAY)

    assert person(story).look_at == MONDAY + DAY


RECORDS = st.lists(
    st.tuples(st.booleans(), st.integers(-5, 5), st.sampled_from(["+13125550101", OTHER_PHONE])), min_size=1
)


@given(RECORDS)
def test_nobody_is_allowed_unless_the_latest_record_says_so_for_this_number(
    records: list[tuple[bool, int, str]],
) -> None:
    story = Story()
    for n, (allowed, day, phone) in enumerate(records):
        when = MONDAY + timedelta(days=day)
        story.hear(contact(allowed=allowed, recorded_at=when, phone=phone, wording=f"form-{n}"))

    latest = max(day for _, day, _ in records)
    if person(story).allowed:
        said = [(allowed, phone) for allowed, day, phone in records if day == latest]
        assert all(allowed for allowed, _ in said)
        assert said[0][1] == records[-1][2]

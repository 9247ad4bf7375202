"""The ledger of consent.

The latest entry counts, whatever the order in which it is heard, and any past instant can be told.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.reminders.people.consent import CARRIER, Consent
from services.reminders.people.contact import Contact, opt_out, recorded
from shared.contract.clinic import Texting
from shared.contract.internal import PersonErased
from shared.contract.reminders import ConsentChanged
from tests.facts.clinic import contact_updated
from tests.facts.course import DAY, HOUR, NOW, OTHER_PHONE, PATIENT, PHONE
from tests.facts.reminders import consent_recorded
from tests.stand_ins.reminders_ledger import Number, allowed_at
from tests.stand_ins.reminders_story import Story, told_at


def test_the_same_record_again_adds_nothing_to_the_ledger() -> None:
    story = Story()
    story.hear(contact_updated())
    before = story.person

    assert story.hear(contact_updated(), NOW + DAY) == []
    assert story.person is before


def test_an_old_allowed_never_undoes_a_later_opt_out() -> None:
    story = Story()
    story.hear(contact_updated(recorded_at=NOW - 2 * DAY))
    story.contacts[PATIENT] = opt_out(story.person, "21610", CARRIER, NOW)

    assert story.hear(contact_updated(recorded_at=NOW - DAY), NOW + DAY) == []
    assert story.hear(contact_updated(recorded_at=NOW, wording="form-2"), NOW + DAY) == []
    assert not story.person.allowed
    assert story.person.opted_out


def test_consent_recorded_after_the_opt_out_counts() -> None:
    story = Story()
    story.hear(contact_updated())
    story.hear(contact_updated(allowed=False, recorded_at=NOW))

    assert story.hear(contact_updated(recorded_at=NOW + DAY), NOW + DAY) == [
        ConsentChanged(contact_id=PATIENT, allowed=True, source="intake")
    ]
    assert not story.person.opted_out


RECORDS = st.lists(
    st.tuples(st.booleans(), st.integers(-5, 5), st.sampled_from(["+13125550101", OTHER_PHONE])), min_size=1
)


@given(RECORDS)
def test_nobody_is_allowed_unless_the_latest_record_says_so_for_this_number(
    records: list[tuple[bool, int, str]],
) -> None:
    story = Story()
    for n, (allowed, day, phone) in enumerate(records):
        when = NOW + timedelta(days=day)
        story.hear(contact_updated(allowed=allowed, recorded_at=when, phone=phone, wording=f"form-{n}"))

    latest = max(day for _, day, _ in records)
    if story.person.allowed:
        said = [(allowed, phone) for allowed, day, phone in records if day == latest]
        assert all(allowed for allowed, _ in said)
        assert said[0][1] == records[-1][2]


def test_an_old_form_that_comes_after_stop_changes_nothing_and_a_start_does() -> None:
    story = told_at((contact_updated(), NOW), (consent_recorded(False, NOW + HOUR), NOW + HOUR))

    assert story.hear(contact_updated(recorded_at=NOW + HOUR / 2, wording="form-2"), NOW + 3 * HOUR) == []
    assert story.hear(consent_recorded(True, NOW + 4 * HOUR), NOW + 4 * HOUR) == [
        ConsentChanged(contact_id=PATIENT, allowed=True, source="text")
    ]
    assert not story.person.opted_out


def test_a_form_that_is_dated_ahead_of_its_arrival_does_not_outlive_a_stop() -> None:
    story = told_at((contact_updated(recorded_at=NOW + 30 * DAY), NOW))
    assert story.person.allowed

    story.hear(consent_recorded(False, NOW + HOUR), NOW + HOUR)

    assert not story.person.allowed


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
        now = NOW + n * HOUR
        match what:
            case "erase":
                story.hear(PersonErased(person_id=PATIENT), now)
            case "form" | "number":
                story.hear(contact_updated(allowed, now + off * HOUR, phone=phone, wording=f"w{n}"), now)
            case _:
                story.hear(consent_recorded(what == "start", now, phone=None), now)
        who = story.person
        entries += who.unsaved
        if who.renumbered_at is not None:
            numbers.append(Number(who.phone_version, who.renumbered_at, who.phone is None))
        then.append((now, who.allowed))
        story.contacts[PATIENT] = replace(who, unsaved=(), renumbered_at=None, look_at=None, answers=())

    for instant, allowed in then:
        found = allowed_at(entries, numbers, instant)
        assert (found is not None) is allowed
    assert allowed_at(entries, numbers, NOW - HOUR) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=10))
def test_what_was_said_last_counts_whatever_the_order_in_which_it_is_heard(words: list[tuple[bool, int, int]]) -> None:
    """`heard_at` is when it reached Kafka, which is the same however late it is read."""
    ends = set()
    for order in (words, words[::-1], sorted(words)):
        who = Contact(PATIENT, phone=PHONE, phone_version=1)
        for allowed, hour, late in order:
            texting = Texting(
                allowed=allowed, wording=f"w{allowed}{hour}{late}", source="s", recorded_at=NOW + hour * HOUR
            )
            who = recorded(who, texting, NOW + (hour + late) * HOUR)
        ends.add(who.allowed)

    assert len(ends) == 1

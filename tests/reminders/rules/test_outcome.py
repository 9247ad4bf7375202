"""What the provider's answers and reports make of a text: each state, each order."""

from itertools import permutations
from uuid import UUID

import pytest

from services.reminders.rules.outcome import (
    GIVE_UP,
    SEARCHES,
    Attempted,
    Report,
    Settled,
    from_outcome,
    from_report,
    next_search,
)
from services.reminders.text.provider import Accepted, Outcome, ProviderRefused, Unknown, Unsent
from services.reminders.text.text import TextState
from shared.contract.closed_sets import TextKind
from shared.contract.register import EventData
from shared.contract.reminders import TextDelivered, TextFailed, TextSent
from tests.facts.billing import prepayment_required
from tests.facts.booking import course_accepted
from tests.facts.clinic import contact_updated
from tests.facts.course import COURSE, MINUTE, NOW
from tests.stand_ins.reminders_story import Story

SID = "SM" + "1" * 32
T = TextState


def attempt(state: TextState = T.SENDING, sid: str | None = None, status: str | None = None) -> Attempted:
    story = Story()
    story.hear(contact_updated())
    story.hear(course_accepted(1))
    story.hear(prepayment_required(1))
    text = story.text(TextKind.PAYMENT_DUE)._replace(state=state)
    return Attempted(COURSE, text, UUID(int=1), 1, NOW, 2, NOW.date(), sid, status)


def after(one: Attempted, settled: Settled) -> Attempted:
    columns = settled.columns
    return one._replace(
        text=one.text._replace(state=columns["state"]), sid=columns["provider_sid"], status=columns["provider_status"]
    )


@pytest.mark.parametrize(
    ("outcome", "state", "told"),
    [
        (Accepted(SID), T.SENT, [TextSent]),
        (ProviderRefused("21211"), T.FAILED, [TextFailed]),
        (Unsent("20429"), T.SCHEDULED, []),
        (Unknown("TimeoutError"), T.UNKNOWN, []),
    ],
)
def test_each_outcome_has_its_state_and_is_told(
    outcome: Outcome, state: TextState, told: list[type[EventData]]
) -> None:
    settled = from_outcome(attempt(), outcome, NOW + MINUTE, traceable=True)

    assert settled.columns["state"] == state
    assert [type(event) for event in settled.events] == told
    assert settled.columns["lease_until"] is None
    assert (settled.columns["search_at"] is not None) is (state is T.UNKNOWN)
    assert (settled.columns["sent_on"] is None) is (state is T.SCHEDULED), "a payment text's day is free again"


def test_the_provider_s_list_is_looked_through_for_a_day() -> None:
    at, seen = NOW, []
    while (at := next_search(NOW, at)) < NOW + GIVE_UP:
        seen.append(at - NOW)

    assert tuple(seen) == SEARCHES


STATUSES = ["accepted", "queued", "sending", "sent", "delivered"]


@pytest.mark.parametrize("state", [T.SENDING, T.UNKNOWN, T.SENT])
def test_reports_in_any_order_and_twice_end_delivered_and_tell_each_thing_once(state: TextState) -> None:
    for order in permutations(STATUSES):
        one = attempt(state, SID if state is T.SENT else None)
        told: list[type[EventData]] = [TextSent] if state is T.SENT else []
        for status in (*order, *order):
            settled = from_report(one, Report(one.attempt_id, SID, status), NOW + MINUTE)
            if settled is not None:
                one = after(one, settled)
                told += [type(event) for event in settled.events]
        assert (one.text.state, one.status) == (T.DELIVERED, "delivered"), order
        assert told == [TextSent, TextDelivered], order


@pytest.mark.parametrize("status", ["undelivered", "failed", "canceled"])
def test_what_the_carrier_lost_is_told_as_failed_after_it_was_sent_and_not_sent_again(status: str) -> None:
    settled = from_report(attempt(T.SENT, SID), Report(UUID(int=1), SID, status, "30003"), NOW + MINUTE)

    assert settled is not None
    assert (settled.columns["state"], settled.columns["code"]) == (T.FAILED, "30003")
    (event,) = settled.events
    assert isinstance(event, TextFailed)
    assert (event.code, event.sent_at) == ("30003", NOW)
    lost = after(attempt(T.SENT, SID), settled)
    for late in (*STATUSES, "undelivered"):
        assert from_report(lost, Report(UUID(int=1), SID, late), NOW + MINUTE) is None


@pytest.mark.parametrize("state", [T.SCHEDULED, T.SUPPRESSED])
def test_a_report_about_an_attempt_that_was_proven_unsent_changes_nothing(state: TextState) -> None:
    assert from_report(attempt(state), Report(UUID(int=1), SID, "sent"), NOW) is None


def test_a_report_under_another_sid_or_of_no_known_status_changes_nothing() -> None:
    assert from_report(attempt(T.SENT, SID), Report(UUID(int=1), "SM" + "2" * 32, "delivered"), NOW) is None
    assert from_report(attempt(T.SENT, SID, "sent"), Report(UUID(int=1), SID, "teleported"), NOW) is None

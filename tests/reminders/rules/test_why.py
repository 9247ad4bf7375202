"""Why was this text sent, or not: the story of each text in each state, in words that need no database."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.reminders.rules.judging import Due
from services.reminders.rules.last_look import NONE, Pauses
from services.reminders.rules.why import EXPLAINED, trace_of
from services.reminders.text.provider import Sent
from services.reminders.text.text import Text, TextState
from shared.contract.closed_sets import SuppressedReason, TextKind
from tests.facts.booking import course_accepted, session_confirmed
from tests.facts.clinic import contact_updated
from tests.facts.course import HOUR, NOW, PATIENT, PHONE, start
from tests.stand_ins.reminders_story import PLACES, Story

NOTHING = Sent(None, None, 0, None, None, None, None, None, None, None, None, None)
TRIED = replace(
    NOTHING,
    body="...",
    segments=1,
    attempts=2,
    attempted_at=NOW,
    wording="form-1",
    source="intake",
    recorded_at=NOW - HOUR,
)
T = TextState


def story(at: datetime | None = None, person: bool = True) -> Story:
    told = Story()
    if person:
        told.hear(contact_updated())
    told.hear(course_accepted(1))
    told.hear(session_confirmed(1, starts_at=at or start(1)))
    return told


def steps(told: Story, text: Text, record: Sent = NOTHING, now: datetime = NOW, pauses: Pauses = NONE) -> list[str]:
    due = Due(text, told.course, told.contacts.get(PATIENT), PLACES["stella"], 0)
    return [f"{step.what}: {step.why}" for step in trace_of(due, record, pauses, now)]


def test_a_waiting_text_tells_what_would_become_of_it() -> None:
    told = story()
    day_of = told.text(TextKind.DAY_OF)

    assert steps(told, day_of) == [
        "planned: the clinic's ladder: day_of, version 2 of its session",
        "waits: it will be sent, as things are",
    ]
    assert steps(told, day_of, pauses=Pauses(True))[-1] == "waits: somebody has paused it"
    stranger = story(person=False)
    assert "no number" in steps(stranger, stranger.text(TextKind.DAY_OF))[-1]


def test_a_text_that_goes_out_earlier_tells_why() -> None:
    told = story(start(1) - 3 * HOUR)
    text = told.text(TextKind.DAY_OF)

    assert steps(told, text)[1].startswith("shifted: quiet hours")
    assert "earlier: later it would be useless" in steps(told, text)[1]


@pytest.mark.parametrize(
    ("state", "record", "last"),
    [
        (T.SENDING, {}, "sending: in the provider's hands"),
        (T.SENT, {"sent_at": NOW}, "sent: the provider took it; its last word: none"),
        (
            T.DELIVERED,
            {"sent_at": NOW, "delivered_at": NOW, "provider_status": "delivered"},
            "delivered: the handset has it",
        ),
        (T.FAILED, {"code": "21211"}, "failed: the provider or the carrier refused it for good, code 21211"),
        (
            T.UNKNOWN,
            {"code": "500"},
            "unknown: nobody can tell whether the provider took it, code 500: it is not sent again",
        ),
        (T.SCHEDULED, {"code": "20429"}, "; the last attempt sent nothing, code 20429"),
    ],
)
def test_every_state_is_told_with_the_consent_on_which_the_text_stood(
    state: TextState, record: dict[str, Any], last: str
) -> None:
    told = story()
    found = steps(told, told.text(TextKind.BOOKED)._replace(state=state), replace(TRIED, **record))

    assert found[1] == "attempt 2: consent 'form-1' from 'intake', recorded at 2026-03-02T14:00:00+00:00"
    assert found[-1].endswith(last)


@pytest.mark.parametrize("reason", SuppressedReason)
def test_every_reason_not_to_send_is_explained(reason: SuppressedReason) -> None:
    told = story()
    text = told.text(TextKind.BOOKED)._replace(state=T.SUPPRESSED, reason=reason)

    assert steps(told, text)[-1] == f"suppressed: {reason}: {EXPLAINED[reason]}"


def test_no_story_holds_a_number_or_a_name() -> None:
    told = story()
    whole = " ".join(step for text in told.texts() for step in steps(told, text, TRIED, NOW + timedelta(days=1)))

    assert PHONE not in whole
    assert PATIENT not in whole

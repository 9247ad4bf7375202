"""Why a text was sent, or was not, or waits: its story from what is on record, for whoever asks. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple, assert_never

from services.reminders.rules.judging import Due
from services.reminders.rules.last_look import Paused, Pauses, Send, Suppress, Wait, judge, judge_answer
from services.reminders.text.provider import Sent
from services.reminders.text.text import Text, TextState
from shared.contract.closed_sets import SuppressedReason

EXPLAINED: Final[Mapping[SuppressedReason, str]] = {
    SuppressedReason.NO_CONSENT: "the person has not agreed to be texted at this number",
    SuppressedReason.OPTED_OUT: "the person does not want to be texted any more",
    SuppressedReason.QUIET_HOURS_TOO_LATE: "it would have come in quiet hours, or when it is useless",
    SuppressedReason.SUPERSEDED: "what it says was no longer true, or was said by another text",
    SuppressedReason.PAUSED: "texts were paused until it was useless",
    SuppressedReason.NO_NUMBER: "the person has no number",
    SuppressedReason.RESTORED: "a backup was restored: it may have gone out before",
    SuppressedReason.TOO_LATE: "it could not be sent before it was useless",
}


class Step(NamedTuple):
    """One step of a text's story; `at` is None where it is not on record."""

    at: datetime | None
    what: str
    why: str


def trace_of(due: Due, record: Sent, pauses: Pauses, now: datetime) -> list[Step]:
    """A text's story so far, and, while it waits, what the next look would find."""
    return [*_planned(due.text), *_attempted(record), *_became(due, record, pauses, now)]


def _planned(text: Text) -> Iterator[Step]:
    about = f", version {text.session_version} of its session" if text.session_version else ""
    yield Step(text.nominal_at, "planned", f"the clinic's ladder: {text.kind}{about}")
    if text.due_at != text.nominal_at:
        way = "earlier: later it would be useless" if text.due_at < text.nominal_at else "later"
        yield Step(text.due_at, "shifted", f"quiet hours, or the time at which it was planned: {way}")


def _attempted(record: Sent) -> Iterator[Step]:
    if record.attempted_at is not None:
        recorded_at = record.recorded_at.isoformat() if record.recorded_at else "an unknown time"
        why = f"consent {record.wording!r} from {record.source!r}, recorded at {recorded_at}"
        yield Step(record.attempted_at, f"attempt {record.attempts}", why)


def _became(due: Due, record: Sent, pauses: Pauses, now: datetime) -> Iterator[Step]:
    text = due.text
    code = f", code {record.code}" if record.code else ""
    if text.recalled_at is not None:
        yield Step(text.recalled_at, "sent", "before the database was set back, as reminders.events tells")
    if record.sent_at is not None:
        yield Step(record.sent_at, "sent", f"the provider took it; its last word: {record.provider_status or 'none'}")
    match text.state:
        case TextState.SCHEDULED:
            yield from _waits(due, pauses, now, f"; the last attempt sent nothing{code}" if record.attempts else "")
        case TextState.SENDING:
            yield Step(None, "sending", "in the provider's hands")
        case TextState.SENT:
            pass
        case TextState.DELIVERED:
            yield Step(record.delivered_at, "delivered", "the handset has it")
        case TextState.FAILED:
            yield Step(None, "failed", f"the provider or the carrier refused it for good{code}")
        case TextState.SUPPRESSED:
            assert text.reason is not None
            yield Step(None, f"suppressed: {text.reason}", EXPLAINED[text.reason])
        case TextState.UNKNOWN:
            yield Step(None, "unknown", f"nobody can tell whether the provider took it{code}: it is not sent again")
        case _:
            assert_never(text.state)


def _waits(due: Due, pauses: Pauses, now: datetime, so_far: str) -> Iterator[Step]:
    """What the last look will find, as far as it can be told now: for a time to come, at that time."""
    text, when = due.text, max(now, due.text.due_at)
    if due.course is None:
        verdict = judge_answer(text, due.contact, due.place, when, pauses)
    else:
        verdict = judge(text, due.course, due.contact, due.place, when, pauses)
    match verdict:
        case Send():
            why = "it will be sent, as things are"
        case Wait(until=until):
            why = f"it is not time: the person's hours, or the ladder, say {until.isoformat()}"
        case Paused():
            why = "somebody has paused it"
        case Suppress(reason=reason):
            why = f"it would be suppressed, as things are: {EXPLAINED[reason]}"
        case _:
            assert_never(verdict)
    yield Step(when, "waits", why + so_far)

"""Reminders' database was set back: which texts went out meanwhile, and which may have.

What stands on reminders' own topic is known: those texts have had their end, and an opt-out stays one. Of the others
that were due meanwhile nobody can know: the provider may have been handed a text whose outcome was never told. They are
suppressed as `restored`, and a person hears of each.
"""

from datetime import datetime, timedelta
from typing import Final

from services.reminders.rules.judging import aggregate_of, publication_of
from services.reminders.rules.ladder import suppressed
from services.reminders.store import attempts, queue
from services.reminders.text.aggregates import SERVICE
from services.reminders.text.text import TextState
from shared.contract.closed_sets import SuppressedReason
from shared.contract.register import EventData
from shared.contract.reminders import ConsentChanged, TextEvent
from shared.decision.decision import Attention
from shared.instruments import metrics
from shared.postgres.values import Connection
from shared.postgres.writes import Writes
from shared.tables import attention, outbox
from shared.worker.service_rules import Recall


def _takes(data: EventData) -> bool:
    match data:
        case TextEvent():
            return data.course_id is not None
        case ConsentChanged():
            return not data.allowed
        case _:
            return False


EARLIER: Final = timedelta(days=1)
"""By how much quiet hours bring a text forward, at most: no day is without hours at which it may go out. What is due
later than that has not gone out, although it was looked at again, for its person's new zone say."""


async def _begin(connection: Connection) -> None:
    """Whoever was sending when the backup was taken is gone: what became of it the topic tells, or nobody."""
    await attempts.release_claimed(connection)


async def _end(connection: Connection, until: datetime) -> int:
    """Suppress what may have gone out up to an instant, and leave each to a person; returns how many they are."""
    await attempts.end_searches_for_recalled(connection)
    texts = await attempts.may_have_gone_out(connection, until, EARLIER)
    writes = Writes()
    gone = {"state": TextState.SUPPRESSED, "reason": SuppressedReason.RESTORED}
    queue.update_texts(writes, [{"text_id": text.text_id, **gone} for _, text in texts])
    events = [
        publication_of(text, suppressed(id, text, SuppressedReason.RESTORED), until, until.isoformat())
        for id, text in texts
    ]
    outbox.add(writes, events, until)
    raised = [
        (
            aggregate_of(id, text.contact_id),
            Attention("text_restored", str(text.text_id), f"{text.kind}: it may have gone out before; it is not sent"),
        )
        for id, text in texts
    ]
    attention.add(writes, raised, until)
    await writes.run(connection)
    metrics.ATTENTION.labels(SERVICE, "text_restored").inc(len(raised))
    return len(texts)


RECALL = Recall(takes=_takes, begin=_begin, end=_end)
"""What reminders' own topic brings back."""

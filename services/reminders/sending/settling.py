"""What became of an attempt: by the call's own outcome, by the provider's reports, or by a look through its list.

Each is one short transaction of its own; a text's course is locked before the text.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.reminders.people.consent import CARRIER
from services.reminders.people.contact import consent_events, opt_out
from services.reminders.rules.judging import Attempt, about, aggregate_of, publication_of
from services.reminders.rules.outcome import GIVE_UP, Attempted, Report, Settled, from_outcome, from_report, next_search
from services.reminders.rules.stops import ACCOUNT, Stop, refused
from services.reminders.sending import counters
from services.reminders.sending.sender import Sender
from services.reminders.store import attempts, courses, queue, stops
from services.reminders.store.contacts import lock_phone_of, save_contacts
from services.reminders.text.aggregates import SERVICE
from services.reminders.text.provider import OPTED_OUT, Accepted, Barred, Outcome, ProviderRefused, Sought, Unknown
from shared.decision.clock import Clock
from shared.decision.decision import Attention
from shared.decision.message import Outgoing
from shared.instruments import crash
from shared.instruments.metrics import ATTENTION
from shared.postgres.pool import TROUBLE, Database
from shared.postgres.values import Connection
from shared.postgres.writes import Writes
from shared.tables import attention, outbox

log = logging.getLogger(__name__)

PAUSES: Final = (0.2, 1, 5, 20, 60)
"""Seconds between tries to record an outcome while the database is away."""

SENDER_REFUSED: Final = "sender_refused"
"""The matter for a person: the provider refuses who sends."""

SOUGHT: Final = 20
"""Attempts looked for in the provider's list at the same time."""


class OutcomeWriter:
    """Writes down what became of attempts.

    Args:
        published: called when the outbox has something new.
    """

    def __init__(self, database: Database, clock: Clock, published: Callable[[], None], traceable: bool) -> None:
        self._database = database
        self._clock = clock
        self._published = published
        self._traceable = traceable

    async def record(self, outcomes: Sequence[tuple[Attempt, Outcome]]) -> None:
        """The outcomes of calls; tried again for a while where the database is away."""
        for pause in PAUSES:
            try:
                await self._record_once(outcomes)
            except TROUBLE as trouble:
                log.warning("outcomes wait: %s", type(trouble).__name__, extra={"service": SERVICE})
                await asyncio.sleep(pause)
            else:
                crash.step("dispatch.recorded")
                self._published()
                return
        log.error("outcomes are lost: the provider's list tells, or a person", extra={"service": SERVICE})

    async def _record_once(self, outcomes: Sequence[tuple[Attempt, Outcome]]) -> None:
        now = self._clock.now()
        async with self._database.begin() as connection:
            await courses.lock_courses(connection, {a.of.course_id for a, _ in outcomes if a.of.course_id is not None})
            waiting = await attempts.without_outcome(connection, [attempt.of.attempt_id for attempt, _ in outcomes])
            writes = Writes()
            outgoing: list[Outgoing] = []
            settled: list[Settled] = []
            for attempt, outcome in outcomes:
                if attempt.of.attempt_id in waiting:
                    settled.append(from_outcome(attempt.of, outcome, now, self._traceable))
                    outgoing += _publications(attempt.of, settled[-1], now)
                    if outcome == ProviderRefused(OPTED_OUT):
                        outgoing += await _opt_out(connection, attempt.of, attempt.outgoing.to, now)
                    if isinstance(outcome, Unknown) and not self._traceable:
                        tell_unknown(writes, [_lost(attempt.of)], now)
            known = [one for one in outcomes if one[0].of.attempt_id in waiting]
            begun = await _settle_stops(connection, writes, known, now)
            queue.update_texts(writes, [one.columns for one in settled])
            outbox.add(writes, outgoing, now)
            await writes.run(connection)
        ATTENTION.labels(SERVICE, SENDER_REFUSED).inc(begun)
        for attempt, outcome in known:
            counters.count(outcome.label)
            level = logging.INFO if isinstance(outcome, Accepted) else logging.WARNING
            log.log(level, "text %s", outcome.label, extra=about(attempt.of.course_id, attempt.of.text))

    async def report(self, report: Report) -> bool:
        """What the provider says of a message, in any order and however often.

        Returns:
            Whether the message is one of ours.
        """
        now = self._clock.now()
        async with self._database.begin() as connection:
            named = await attempts.courses_reported(connection, report)
            if len(named) != 1:
                return False
            if named[0] is not None:
                await courses.lock_courses(connection, {named[0]})
            attempted = await attempts.reported(connection, report)
            settled = from_report(attempted, report, now)
            if settled is None:
                return True
            writes = Writes()
            queue.update_texts(writes, [settled.columns])
            outgoing = _publications(attempted, settled, now)
            if report.code == OPTED_OUT:
                outgoing += await _opt_out(connection, attempted, None, now)
            outbox.add(writes, outgoing, now)
            await writes.run(connection)
        counters.count(f"reported_{settled.columns['state']}")
        self._published()
        return True

    async def search(self, sender: Sender, clinics: Mapping[str, str], until: datetime) -> None:
        """Look through the provider's list for attempts of unknown outcome; after a day a person must.

        Args:
            clinics: the clinic of each location.
        """
        try:
            await self._search_once(sender, clinics, until)
        except TROUBLE as trouble:
            log.warning("the search waits: %s", type(trouble).__name__, extra={"service": SERVICE})

    async def _search_once(self, sender: Sender, clinics: Mapping[str, str], until: datetime) -> None:
        async with self._database.begin() as connection:
            due = await attempts.due_for_search(connection, until, SOUGHT)
            if not due:
                return
            lost = [one for one in due if until >= one.attempted_at + GIVE_UP]
            sought = await attempts.sought(connection, {one.attempt_id for one in due if one not in lost}, clinics)
            writes = Writes()
            tell_unknown(writes, [_lost(one) for one in lost], self._clock.now())
            again = [
                {
                    "text_id": one.text.text_id,
                    "search_at": None if one in lost else next_search(one.attempted_at, until),
                }
                for one in due
            ]
            queue.update_texts(writes, again)
            await writes.run(connection)
        await asyncio.gather(*(self._look(sender, id, wanted) for id, wanted in sought.items()))

    async def _look(self, sender: Sender, attempt_id: UUID, wanted: Sought) -> None:
        """Settle an attempt by the one message that can only be this; of several none is proof."""
        found = {one.sid: one for one in await sender.find(wanted)}
        async with self._database.begin() as connection:
            known = await attempts.known_sids(connection, found)
        others = [one for sid, one in found.items() if sid not in known]
        if len(others) == 1:
            (one,) = others
            await self.report(Report(attempt_id, one.sid, one.status, one.code))


async def _settle_stops(
    connection: Connection, writes: Writes, outcomes: Sequence[tuple[Attempt, Outcome]], now: datetime
) -> int:
    """Whose texts wait from now on, because the provider refuses who sends, and whose go again, because it took one.

    Returns:
        How many stops have begun: each is a row for a person.
    """
    before = await stops.in_force(connection, begins=any(isinstance(outcome, Barred) for _, outcome in outcomes))
    said = [
        (attempt, outcome, clinic) for attempt, outcome in outcomes for clinic in (ACCOUNT, attempt.outgoing.clinic)
    ]
    news = [one for one in said if one[2] not in before or one[0].of.attempted_at > before[one[2]].told_at]
    barred = {clinic: o for _, o, clinic in news if isinstance(o, Barred) and o.number == (clinic != ACCOUNT)}
    # A number can be refused, and a text, only of an account that is taken.
    taken = {
        clinic
        for _, o, clinic in news
        if isinstance(o, Accepted | ProviderRefused) or (isinstance(o, Barred) and o.number and clinic == ACCOUNT)
    }
    stops.end(writes, before.keys() & taken)
    after = {
        clinic: refused(before.get(clinic), clinic, o.code, now) for clinic, o in barred.items() if clinic not in taken
    }
    stops.keep(writes, after.values())
    begun = [stop for clinic, stop in after.items() if clinic not in before]
    attention.add(writes, [(f"sender:{stop.clinic}", _refusal(stop)) for stop in begun], now)
    return len(begun)


def _refusal(stop: Stop) -> Attention:
    whom = "the account" if stop.clinic == ACCOUNT else "its number"
    detail = f"the provider refuses {whom} (code {stop.code}): texts wait, and go when it is settled there"
    return Attention(SENDER_REFUSED, stop.began_at.isoformat(), detail)


def _lost(attempted: Attempted) -> attempts.Lost:
    return attempts.Lost(attempted.course_id, attempted.text.text_id, attempted.text.contact_id)


def tell_unknown(writes: Writes, texts: Sequence[attempts.Lost], now: datetime) -> None:
    """Texts of which nobody but a person can find out any more whether they went out."""
    detail = "the provider may or may not have sent it: it is not sent again"
    raised = [
        (aggregate_of(text.course_id, text.contact_id), Attention("text_outcome_unknown", str(text.text_id), detail))
        for text in texts
    ]
    attention.add(writes, raised, now)
    ATTENTION.labels(SERVICE, "text_outcome_unknown").inc(len(raised))


def _publications(attempted: Attempted, settled: Settled, now: datetime) -> list[Outgoing]:
    once = str(attempted.attempt_id)
    return [publication_of(attempted.text, event, now, once) for event in settled.events]


async def _opt_out(connection: Connection, attempt: Attempted, to: str | None, now: datetime) -> list[Outgoing]:
    """The carrier says that a number has opted out: so have all who have it, if it is still the person's own.

    Args:
        to: the number that the text went to, where that is known.
    """
    before = await lock_phone_of(connection, attempt.text.contact_id, to)
    after = {id: opt_out(contact, OPTED_OUT, CARRIER, now) for id, contact in before.items()}
    writes = Writes()  # at once: the next outcome may be about the same person
    save_contacts(writes, list(after.values()))
    await writes.run(connection)
    return [
        publication_of(attempt.text._replace(contact_id=id), event, now, f"{attempt.attempt_id}/{id}")
        for id in sorted(before)
        for event in consent_events(before[id], after[id], CARRIER)
    ]

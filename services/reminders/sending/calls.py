"""Texts in the provider's hands: each is a call of its own, and none waits for another's answer.

Their attempts are committed already; here they are carried out, and what came of them goes on record.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from services.reminders.rules.judging import Attempt, about
from services.reminders.sending import counters
from services.reminders.sending.sender import Sender
from services.reminders.sending.settling import OutcomeWriter
from services.reminders.text.aggregates import SERVICE
from services.reminders.text.provider import Outcome, Unknown
from shared.instruments import crash

log = logging.getLogger(__name__)

MOST: Final = 1000
"""Calls at the same time: what is due beyond that stays unclaimed, for another replica or for later."""


class Sending:
    """Calls the provider, and records outcomes: those that come while others are being recorded, together."""

    def __init__(self, sender: Sender, writer: OutcomeWriter) -> None:
        self._sender = sender
        self._writer = writer
        self._calls: set[asyncio.Task[None]] = set()
        self._outcomes: list[tuple[Attempt, Outcome]] = []
        self._recording: asyncio.Task[None] | None = None
        self.recorded = 0

    @property
    def busy(self) -> bool:
        """Whether an outcome is still to come, or not yet on record."""
        return bool(self._calls) or self._recording is not None

    @property
    def room(self) -> int:
        """How many more texts may be handed over now."""
        return MOST - len(self._calls) - len(self._outcomes)

    def hand_over(self, attempts: Sequence[Attempt]) -> None:
        """Begin to send."""
        for attempt in attempts:
            call = asyncio.create_task(self._call(attempt))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def settled(self) -> None:
        """Wait until the outcome of everything handed over is on record."""
        while self.busy:
            await asyncio.wait([*self._calls, *([self._recording] if self._recording else [])])

    async def some_room(self) -> None:
        """Wait until more texts may be handed over."""
        while self.room <= 0:
            under_way = [*self._calls, *([self._recording] if self._recording else [])]
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)

    async def _call(self, attempt: Attempt) -> None:
        outcome: Outcome
        with counters.PROVIDER_SECONDS.time():
            try:
                outcome = await self._sender.send(attempt.outgoing)
            except Exception:
                log.exception("a sender failed", extra=about(attempt.of.course_id, attempt.of.text))
                outcome = Unknown("defect")
        crash.step("dispatch.sent")
        self._outcomes.append((attempt, outcome))
        if self._recording is None:
            self._recording = asyncio.create_task(self._record(), name="reminders-outcomes")

    async def _record(self) -> None:
        try:
            while self._outcomes:
                outcomes, self._outcomes = self._outcomes, []
                try:
                    await self._writer.record(outcomes)
                except Exception:
                    log.exception("outcomes are not on record: their lease runs out", extra={"service": SERVICE})
                self.recorded += 1
        finally:
            self._recording = None

"""One decision about a course in the making: texts are put on its ladder and swept from it. Pure."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.reminders.people.contact import Contacts
from services.reminders.rules.course import Course
from services.reminders.rules.ladder import AFTER_COURSE, View, superseded, suppressed
from services.reminders.text.clinic import Places, TextingPlace
from services.reminders.text.text import ATTEMPTED, Text, TextState
from shared.contract.closed_sets import SuppressedReason, TextKind
from shared.decision.draft import UNKNOWN_COURSE, Draft
from shared.decision.message import Message


class TimerKind(StrEnum):
    """Every deadline that a course can have."""

    UNKNOWN_COURSE = UNKNOWN_COURSE
    """Until then booking must have told of a course of which billing has."""


class CourseDraft(Draft):
    """One decision in the making: the course as it becomes, and what is to be told.

    Attributes:
        places: every served location.
        contacts: those that the batch's courses need, by id.
    """

    def __init__(self, places: Places, course: Course, message: Message, now: datetime, contacts: Contacts) -> None:
        super().__init__(message, now)
        self.places = places
        self.course = course
        self.contacts = contacts

    @property
    def place(self) -> TextingPlace | None:
        """Where the course takes place; None where that is not known, or not served."""
        return self.places.get(self.course.location or "")

    def view(self) -> View | None:
        """What planning stands on; None where there is no place, and so no texts."""
        place = self.place
        return View(self.course, place, self.contacts, self.now, self.message.trace) if place is not None else None

    def plan(self, texts: Iterable[Text]) -> None:
        """Put texts on the ladder, each once; one that was swept away before it went out is wanted again.

        What has been said of an earlier version of the same appointment, at the same time, is not said again.
        """
        there = {text.text_id: text for text in self.course.texts}
        said = {_appointment(text) for text in there.values() if text.state in ATTEMPTED}
        planned: dict[UUID, Text] = {}
        for text in texts:
            known = there.get(text.text_id)
            if known is None:
                if text.session_id is None or _appointment(text) not in said:
                    planned[text.text_id] = text
            elif known.state is TextState.SCHEDULED:
                if known.tells != text.tells:  # it tells of one more
                    planned[text.text_id] = known._replace(tells=text.tells)
            elif known.reason is SuppressedReason.SUPERSEDED and self.course.wants(known):
                as_planned = text if text.kind in AFTER_COURSE else known
                planned[text.text_id] = as_planned._replace(
                    state=TextState.SCHEDULED, reason=None, look_at=text.look_at, traceparent=text.traceparent
                )
        if planned:
            self.course = self.course.with_texts(planned)

    def sweep(self, kind: TextKind | None) -> None:
        """Take back the waiting texts that the course no longer wants; one being sent is past taking back.

        Args:
            kind: of those that may be wanted no more; any, where it is None.
        """
        wants = self.course.wants
        swept = {
            t.text_id: t
            for t in self.course.texts
            if t.state is TextState.SCHEDULED and (kind is None or t.kind is kind) and not wants(t)
        }
        if swept:
            self.course = self.course.with_texts({id: superseded(text) for id, text in swept.items()})
            for text in swept.values():
                self.events.append(suppressed(self.course.course_id, text, SuppressedReason.SUPERSEDED))


def _appointment(text: Text) -> tuple[object, ...]:
    """What a text says, whichever version of the appointment it was planned for."""
    return text.kind, text.session_id, text.contact_id, text.nominal_at

"""A course as reminders knows it: its sessions, what is still to pay, and its texts. Pure.

A text is wanted or not by what the course is now; every change of a course sweeps away the waiting texts that it no
longer wants. What billing tells of a course that booking has not told of yet waits in the course, and is heard
afterwards, each as of when it came: any order across topics reaches the same end.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple, assert_never
from uuid import UUID

from services.reminders.text.text import GIVEN_UP, Text
from shared.contract.closed_sets import SessionState, TextKind
from shared.decision.message import Message
from shared.decision.value import changed_often

_OVER: Final = frozenset({SessionState.COMPLETED, SessionState.MISSED, SessionState.CANCELLED, SessionState.RELEASED})


class Session(NamedTuple):
    """One appointment as of its newest version. `ended_at` is when the treatment itself ended."""

    session_id: UUID
    version: int
    state: SessionState
    starts_at: datetime
    ended_at: datetime | None = None


@changed_often
class Course(NamedTuple):
    """A course. Until booking has told of it there is no `patient_id`, and what billing told is `waiting`.

    Attributes:
        owed: sessions for which billing demands money, as far as it has told.
        unsaved: texts that the store does not have as they are now.
    """

    course_id: UUID
    patient_id: str | None = None
    location: str | None = None
    treatment: str | None = None
    companions: tuple[str, ...] = ()
    sessions: tuple[Session, ...] = ()
    owed: frozenset[UUID] = frozenset()
    texts: tuple[Text, ...] = ()
    waiting: tuple[Message, ...] = ()
    unsaved: frozenset[UUID] = frozenset()

    def session(self, session_id: UUID | None) -> Session | None:
        """The session with this id; numbers are compared faster than ids."""
        if session_id is not None:
            wanted = session_id.int
            for session in self.sessions:
                if session.session_id.int == wanted:
                    return session
        return None

    def with_session(self, session: Session) -> "Course":
        """With one session new or as it is now."""
        known = self.session(session.session_id)
        others = tuple(s for s in self.sessions if s is not known)
        return self._replace(sessions=tuple(sorted((*others, session), key=lambda s: (s.starts_at, s.session_id))))

    def with_text(self, text: Text) -> "Course":
        """With one text new or as it is now."""
        return self.with_texts({text.text_id: text})

    def with_texts(self, changed: Mapping[UUID, Text]) -> "Course":
        """With texts, by id, new or as they are now."""
        others = [text for text in self.texts if text.text_id not in changed]
        return self._replace(texts=(*others, *changed.values()), unsaved=self.unsaved | changed.keys())

    @property
    def owes(self) -> bool:
        """Whether a session that can still take place waits for money."""
        over = {s.session_id for s in self.sessions if s.state in _OVER}
        return bool(self.owed - over)

    @property
    def finished(self) -> bool:
        """Whether nothing of the course is still to come, and something of it took place."""
        states = {s.state for s in self.sessions}
        return SessionState.COMPLETED in states and states <= _OVER

    def wants(self, text: Text) -> bool:
        """Whether a text still says something true, to somebody whom it concerns."""
        if text.contact_id != self.patient_id and text.contact_id not in self.companions:
            return False
        match text.kind:
            case TextKind.BOOKED | TextKind.COMPANION_NOTICE:
                return any(s.state is SessionState.CONFIRMED for s in self.sessions)
            case TextKind.PAYMENT_DUE:
                return self.owes
            case TextKind.PREPARATION | TextKind.DAY_BEFORE | TextKind.DAY_OF:
                return self._stands(text)
            case TextKind.MOVED:
                return self._stands(text) and self.starts_for(text) != (text.tells[0].at,)
            case TextKind.CANCELLED | TextKind.RELEASED:
                return bool(self.starts_for(text))
            case TextKind.AFTER_CARE | TextKind.NEXT_DAY:
                session = self.session(text.session_id)
                return session is not None and session.state is SessionState.COMPLETED
            case TextKind.EVALUATION | TextKind.BOOSTER_DUE:
                return self.finished
            case TextKind.OPT_OUT_CONFIRMED | TextKind.HELP | TextKind.UNMONITORED_REPLY:
                return False  # no course has them
            case _:
                assert_never(text.kind)

    def _stands(self, text: Text) -> bool:
        """Whether the appointment is confirmed, and the very one that the text was planned for."""
        session = self.session(text.session_id)
        return (
            session is not None and session.state is SessionState.CONFIRMED and session.version == text.session_version
        )

    def starts_for(self, text: Text) -> tuple[datetime, ...]:
        """The appointments that a text is about, in order; those that are gone as the person knows them."""
        if text.kind in (TextKind.BOOKED, TextKind.COMPANION_NOTICE):
            return tuple(s.starts_at for s in self.sessions if s.state is SessionState.CONFIRMED)
        if (gone := GIVEN_UP.get(text.kind)) is not None:
            return tuple(sorted(at for id, at in text.tells if (s := self.session(id)) is not None and s.state is gone))
        session = self.session(text.session_id)
        return () if session is None else (session.starts_at,)

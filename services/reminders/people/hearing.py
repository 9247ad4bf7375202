"""What follows from a text that somebody sends us. Pure.

An opt-out counts for everybody on the phone, at once and in one decision. Of two patients on one phone an answer is
told apart by the time of the appointment, never by a name. What is not understood is answered with the clinic's
wording for that, and read by a person.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from services.reminders.people.consent import BY_TEXT
from services.reminders.people.contact import Contact, Contacts, decide_contact
from services.reminders.people.conversation import Conversation, Reply, ReplyCame, Visit
from services.reminders.people.meaning import Reading, Time, Word, read
from services.reminders.people.messages import AnswerWanted, ConsentRecorded
from services.reminders.text.clinic import Places
from shared.contract.closed_sets import Intent, TextKind
from shared.contract.reminders import ReplyReceived
from shared.decision.decision import Decision
from shared.decision.draft import Draft
from shared.decision.message import Message

REMEMBERED: Final = timedelta(days=1)
"""So long after we asked for the time of an appointment a time is taken for the answer."""

MOST_ANSWERS: Final = 10
"""Answers to one phone within `REMEMBERED`: what writes more is a machine that answers our answers."""


def opts_out(body: str) -> bool:
    """Whether somebody asks for no more texts."""
    return read(body).word is Word.OPT_OUT


def decide_reply(
    places: Places, conversation: Conversation, message: Message, contacts: Contacts
) -> Decision[Conversation, Contacts]:
    """What follows from one text that came.

    Args:
        contacts: those of this phone, by id, and perhaps others.
    """
    data = message.data
    assert isinstance(data, ReplyCame)
    draft = ReplyDraft(places, conversation, message, data, contacts)
    draft.hear(read(data.body))
    return draft.decided(draft.conversation, {**contacts, **draft.changed})


class ReplyDraft(Draft):
    """One decision about a phone in the making."""

    def __init__(
        self, places: Places, conversation: Conversation, message: Message, data: ReplyCame, contacts: Contacts
    ) -> None:
        super().__init__(message, message.arrived_at)
        self.places = places
        self.conversation = conversation
        self.said = data
        self.people = [contacts[id] for id in conversation.people]
        self.changed: dict[str, Contact] = {}

    # Who --------------------------------------------------------------------------------------------------------------

    @property
    def speaker(self) -> Contact | None:
        """Whom the phone was last texted for, else the first of its people."""
        newest = self.conversation.newest
        by_id = {person.contact_id: person for person in self.people}
        return by_id.get(newest.contact_id if newest else "") or next(iter(self.people), None)

    @property
    def location(self) -> str | None:
        """In whose name we answer: where the newest text came from, if that is the clinic that was written to."""
        newest, clinic = self.conversation.newest, self.said.clinic
        place = self.places.get(newest.location or "") if newest else None
        if newest is not None and place is not None and clinic in (None, place.clinic):
            return newest.location
        return next((name for name, place in self.places.items() if place.clinic == clinic), None)

    # What -------------------------------------------------------------------------------------------------------------

    def hear(self, reading: Reading) -> None:
        """Do what was said."""
        asked = self._asked()
        if not self.people:
            self._keep(_INTENTS.get(reading.word, Intent.UNCLEAR))
            self._tell_somebody("reply_from_nobody", "no contact has the number that it came from")
            return
        match reading.word:
            case Word.OPT_OUT:
                self._opt_out(reading.more)
            case Word.OPT_IN:
                self._opt_in([p for p in self.people if p.opted_out] or [p for p in self.people if not p.allowed])
            case Word.YES if gone := [p for p in self.people if p.opted_out]:
                self._opt_in(gone)  # else it is no opt-in word but an answer
            case Word.HELP:
                self._keep(Intent.HELP)
                self._answer(TextKind.HELP)
            case Word.CONFIRM | Word.YES if self.conversation.visits:
                self._about_visit(Intent.CONFIRM, reading.time)
            case Word.CANNOT_COME:
                self._about_visit(Intent.CANNOT_COME, reading.time)
            case Word.TIME if asked is not None:
                self._about_visit(asked, reading.time)
            case _:
                self._not_understood()

    def _asked(self) -> Intent | None:
        """What our question was about, if it was asked of late; it is answered now, or forgotten."""
        asked, asked_at = self.conversation.asked, self.conversation.asked_at
        self.conversation = self.conversation._replace(asked=None, asked_at=None)
        return asked if asked_at is not None and self.now < asked_at + REMEMBERED else None

    def _opt_out(self, more: bool) -> None:
        """For everybody on this phone; confirmed once, to somebody who could be texted until now."""
        could_be_texted = [p for p in (self.speaker, *self.people) if p is not None and p.allowed]
        self._keep(Intent.OPT_OUT)
        for person in self.people:
            self._record(person, False, "STOP", self.location if person in could_be_texted[:1] else None)
        if more:
            self._tell_somebody("unclear_reply", "an opt-out that says more than that: read it, and call if need be")

    def _opt_in(self, people: list[Contact]) -> None:
        self._keep(Intent.OPT_IN)
        for person in people:
            self._record(person, True, "START")

    def _about_visit(self, intent: Intent, time: Time | None) -> None:
        """The next appointment that was texted, or the one at a time that was named; we ask where it is not clear."""
        visits = self.conversation.visits
        if time is None:
            meant = _first_of_each(visits)
        else:
            meant = _first_of_each(visit for visit in visits if self._is_at(visit, time))
        if len(meant) == 1:
            self._keep(intent, meant[0])
            if intent is Intent.CANNOT_COME:
                self._tell_somebody("cannot_come", "the patient cannot come to this appointment", meant[0])
        elif len(meant) > 1 and time is None:
            self._ask(intent)
        elif intent is Intent.CANNOT_COME and not visits:
            self._keep(intent)
            self._tell_somebody("cannot_come", "somebody cannot come, and no appointment was texted about")
        else:
            self._not_understood()

    def _is_at(self, visit: Visit, time: Time) -> bool:
        place = self.places.get(visit.location)
        return place is not None and time.means(place.location.local(visit.starts_at))

    def _ask(self, intent: Intent) -> None:
        """For the time of the appointment: the help text says how to name it."""
        self._remember(intent, None)
        self._answer(TextKind.HELP)
        self.conversation = self.conversation._replace(asked=intent, asked_at=self.now)
        if intent is Intent.CANNOT_COME:  # the question may never be answered
            self._tell_somebody("cannot_come", "one of several patients on this phone cannot come: we asked which")

    def _not_understood(self) -> None:
        """Nobody reads this number all the time, and somebody must read this."""
        self._keep(Intent.UNCLEAR)
        self._answer(TextKind.UNMONITORED_REPLY)
        self._tell_somebody("unclear_reply", "not understood: read it, and call if need be")

    # What follows -----------------------------------------------------------------------------------------------------

    def _keep(self, intent: Intent, visit: Visit | None = None) -> None:
        """Write it down and tell of it; what is about appointments belongs to a course."""
        reply = self._remember(intent, visit)
        if reply.contact_id is not None:
            self.events.append(
                ReplyReceived(
                    contact_id=reply.contact_id,
                    course_id=reply.course_id,
                    session_id=reply.session_id,
                    intent=intent,
                )
            )

    def _remember(self, intent: Intent, visit: Visit | None) -> Reply:
        speaker, newest = self.speaker, self.conversation.newest
        course_id = newest.course_id if newest and intent in _ABOUT_A_COURSE else None
        reply = Reply(
            sid=self.said.sid,
            contact_id=visit.contact_id if visit else speaker.contact_id if speaker else None,
            course_id=visit.course_id if visit else course_id,
            session_id=visit.session_id if visit else None,
            intent=intent,
            body=self.said.body,
            received_at=self.now,
        )
        self.conversation = self.conversation._replace(unsaved=(*self.conversation.unsaved, reply))
        return reply

    def _record(self, person: Contact, allowed: bool, word: str, answer_for: str | None = None) -> None:
        """Into the ledger, as the newest word: on one phone what comes later was said later."""
        at, latest = self.now, person.consent
        if latest is not None and (at, not allowed) <= latest.rank:
            at = latest.rank[0] + timedelta(microseconds=1)
        self._decide_contact(
            ConsentRecorded(
                contact_id=person.contact_id,
                allowed=allowed,
                wording=word,
                source=BY_TEXT,
                recorded_at=at,
                phone=self.conversation.phone,
                answer_for=answer_for,
            ),
            at,
        )

    def _answer(self, kind: TextKind) -> None:
        """At once, to somebody on this phone who may be texted."""
        who = next((p for p in (self.speaker, *self.people) if p is not None and p.allowed), self.speaker)
        recent = tuple(at for at in self.conversation.answered if at > self.now - REMEMBERED)
        location, phone = self.location, self.conversation.phone
        if who is None or location is None or len(recent) >= MOST_ANSWERS:
            return
        self.conversation = self.conversation._replace(answered=(*recent, self.now))
        self._decide_contact(
            AnswerWanted(contact_id=who.contact_id, kind=kind, location=location, phone=phone), self.now
        )

    def _decide_contact(self, data: ConsentRecorded | AnswerWanted, at: datetime) -> None:
        """What the rules of a contact make of it, within this decision: nothing can come between."""
        id = f"{self.message.id}/{data.contact_id}"
        message = Message(id, data.type, self.message.source, at, at, data, self.message.trace)
        known = {person.contact_id: person for person in self.people} | self.changed
        decision = decide_contact(self.places, known[data.contact_id], message, known)
        self.changed[data.contact_id] = decision.state
        self.events += decision.events
        self.attention += decision.attention

    def _tell_somebody(self, kind: str, detail: str, visit: Visit | None = None) -> None:
        self.raise_attention(kind, visit.session_id if visit else self.said.sid, detail)


_INTENTS: Final[Mapping[Word, Intent]] = {
    Word.OPT_OUT: Intent.OPT_OUT,
    Word.OPT_IN: Intent.OPT_IN,
    Word.HELP: Intent.HELP,
    Word.CONFIRM: Intent.CONFIRM,
    Word.CANNOT_COME: Intent.CANNOT_COME,
}
"""What a word means whoever says it."""

_ABOUT_A_COURSE: Final = frozenset({Intent.CONFIRM, Intent.CANNOT_COME, Intent.UNCLEAR})


def _first_of_each(visits: Iterable[Visit]) -> list[Visit]:
    """Each person's next one; an appointment to which two people come together counts once."""
    first: dict[str, Visit] = {}
    for visit in visits:
        first.setdefault(visit.contact_id, visit)
    return list({visit.session_id: visit for visit in first.values()}.values())

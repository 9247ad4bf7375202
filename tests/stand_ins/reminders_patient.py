"""A patient of the simulator: a course and whoever comes along, at the mercy of chance."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from services.reminders.profile import read_places
from services.reminders.rules.last_look import NONE, Pauses
from services.reminders.rules.outcome import Report
from services.reminders.text.provider import Accepted, Outcome, OutgoingText, ProviderRefused, Unknown, Unsent
from services.reminders.text.text import Text
from shared.contract.booking import (
    CourseAccepted,
    SessionEvent,
)
from shared.contract.clinic import Texting
from shared.contract.closed_sets import By, ContactKind, ReleaseReason, SessionState, TextKind
from shared.contract.internal import PersonErased
from shared.contract.register import EventData
from tests.facts.billing import prepayment_required, prepayment_satisfied
from tests.facts.booking import (
    booked_session,
    course_accepted,
    course_changed,
    session_cancelled,
    session_checked_in,
    session_completed,
    session_confirmed,
    session_missed,
    session_released,
    session_rescheduled,
)
from tests.facts.clinic import contact_updated
from tests.facts.course import DAY, HOUR
from tests.facts.reminders import answer_wanted, consent_recorded
from tests.stand_ins.reminders_story import PROFILES
from tests.stand_ins.reminders_world import World, accepting

PLACES = read_places(PROFILES, None)
DAYS = 40
S = SessionState
ZONES = [("America/Chicago", "US-IL"), ("America/New_York", "US-NY"), ("America/New_York", "US-FL"),
         ("America/Chicago", "US-TX"), ("America/Denver", "US-TX"), ("America/New_York", "US-RI"),
         ("America/New_York", "US-CT"), ("America/Los_Angeles", "US-OR"), ("Pacific/Honolulu", None),
         ("America/Chicago", None)]  # fmt: skip
BEGINS = [datetime.fromisoformat(day) for day in ("2026-02-20T12:00Z", "2026-10-15T12:00Z", "2026-06-01T12:00Z")]
"""Two of them lead through a night on which the clocks change."""


class Patient:
    """One patient's course, and somebody who comes along, at the mercy of chance."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.rocky = self.rng.random() < 0.3
        self.world = World(PLACES, self.rng.choice(BEGINS), self._provider if self.rocky else accepting)
        self.id, self.companion = f"patient-{seed}", f"companion-{seed}"
        self.course_id = UUID(int=seed * 1000 + 1)
        self.location = self.rng.choice(sorted(PLACES))
        self.companions = (self.companion,) if self.rng.random() < 0.4 else ()
        self.sessions: dict[int, tuple[SessionState, int, datetime]] = {}
        self.phones = 0

    def begin(self) -> None:
        """Known, and with a course that is held."""
        self._contact(self.id, allowed=self.rng.random() < 0.85)
        self._contact(self.companion, allowed=self.rng.random() < 0.7)
        self._draw_sessions()
        if self.rng.random() < 0.2:
            self._demand(1, *self.sessions[1])  # billing is heard before booking
        self._accept()

    def live(self) -> None:
        """All of it."""
        self.begin()
        self.live_on(DAYS)
        self.world.walk(self.world.now + 45 * DAY)

    def live_on(self, days: int) -> None:
        """So many days in which one thing after the other happens."""
        begin = self.world.now
        while self.world.now < begin + days * DAY:
            self.world.walk(self.world.now + timedelta(minutes=self.rng.randint(1, 60 * 30)))
            self._something()

    def pass_time(self, minutes: int) -> None:
        """So many minutes, with all that falls due in them."""
        self.world.walk(self.world.now + timedelta(minutes=minutes))
        self._floor()

    def open_to(self, what: str) -> list[int]:
        """The sessions that one of `OF_SESSIONS` would change now."""
        states, now = OF_SESSIONS[what], self.world.now
        coming = what in ("_confirm", "_lose")
        return [n for n, (s, _, start) in sorted(self.sessions.items()) if s in states and (start > now or not coming)]

    def next_night(self) -> datetime:
        """When it is 22:00 next at the clinic."""
        local = PLACES[self.location].location.local(self.world.now)
        tonight = local.replace(hour=22, minute=0, second=0, microsecond=0)
        return (tonight if tonight > local else tonight + DAY).astimezone(UTC)

    def next_start(self) -> datetime | None:
        """When the next confirmed session begins."""
        return min((start for state, _, start in self.sessions.values() if state is S.CONFIRMED), default=None)

    def allowed(self) -> bool:
        """Whether the patient may be texted."""
        return self.world.contacts[self.id].allowed

    def outdated(self) -> list[EventData]:
        """What booking has told and what every session in it has left behind."""
        newest = {self._session_id(number): version for number, (_, version, _) in self.sessions.items()}
        return [
            data
            for _, data in self.world.told
            if isinstance(data, CourseAccepted | SessionEvent)
            and all(
                session.version < newest[session.session_id]
                for session in (data.sessions if isinstance(data, CourseAccepted) else (data,))
            )
        ]

    def change_companions(self) -> None:
        """Somebody comes along from now on, or no more."""
        self.companions = () if self.companions else (self.companion,)
        self.world.hear(course_changed(**self._whole()))

    def texts(self) -> Iterator[Text]:
        """All that was ever planned."""
        yield from self.world.courses[self.course_id].texts
        yield from self.world.answers.values()

    def _provider(self, text: OutgoingText) -> Outcome:
        accepted = Accepted(f"SM{text.attempt_id.hex}")
        wheel: list[Outcome] = [accepted] * 6 + [Unsent("20429"), Unknown("TimeoutError"), ProviderRefused("30007")]
        return self.rng.choice(wheel)

    def _something(self) -> None:
        """One thing that may happen to anybody; to some much more happens."""
        wheel = [self._nothing] * 6 + [self._confirm] * 4 + [self._demand] * 3 + [self._move, self._cancel]
        wheel += [self._release, self._paid, self._form]
        if self.rocky:
            wheel += [self._lose] * 3 + [self._stop, self._start, self._write, self._renumber, self._erase]
            wheel += [self._pause, self._report]
        self.happens(self.rng.choice(wheel).__name__, self.rng.choice(sorted(self.sessions)))

    def happens(self, what: str, number: int) -> None:
        """One of `OF_SESSIONS` or `OF_PEOPLE`, to one of the sessions."""
        self._floor()
        getattr(self, what)(number, *self.sessions[number])

    def _nothing(self, *of: object) -> None:
        pass

    def _confirm(self, number: int, state: SessionState, version: int, start: datetime) -> None:
        if state in (S.HELD, S.RELEASED) and start > self.world.now:
            self._tell(session_confirmed, number, S.CONFIRMED, grant=1)

    def _lose(self, number: int, state: SessionState, version: int, start: datetime) -> None:
        """A confirmed place is given up, and taken again at once or never."""
        if state is S.CONFIRMED and start > self.world.now:
            self._tell(session_released, number, S.RELEASED, grant=1, reason=ReleaseReason.OVERDUE)
            if self.rng.random() < 0.7:
                self._tell(session_confirmed, number, S.CONFIRMED, grant=2)

    def _move(self, number: int, state: SessionState, version: int, start: datetime) -> None:
        if state in (S.CONFIRMED, S.HELD, S.MISSED):
            later = self.world.now + timedelta(minutes=15 * self.rng.randint(4, 4 * 24 * 12))
            moved = S.CONFIRMED if state is S.MISSED else state
            self._tell(session_rescheduled, number, moved, later, previous_starts_at=start, by=By.PATIENT)

    def _cancel(self, number: int, state: SessionState, version: int, start: datetime) -> None:
        if state in (S.CONFIRMED, S.HELD):
            self._tell(session_cancelled, number, S.CANCELLED, by=By.PATIENT)

    def _release(self, number: int, state: SessionState, version: int, start: datetime) -> None:
        if state is S.HELD:
            self._tell(session_released, number, S.RELEASED, grant=0, reason=ReleaseReason.HOLD_EXPIRED)

    def _demand(self, number: int, state: SessionState, version: int, start: datetime) -> None:
        told = {"session_id": self._session_id(number), "patient_id": self.id, "due_at": start}
        self.world.hear(prepayment_required(number, self.course_id, **told))

    def _paid(self, number: int, *of: object) -> None:
        self.world.hear(prepayment_satisfied(number, course=self.course_id, session_id=self._session_id(number)))

    def _form(self, *of: object) -> None:
        self._contact(self.id, allowed=self.rng.random() < 0.85)

    def _renumber(self, *of: object) -> None:
        self.phones += 1
        self._contact(self.id, allowed=self.rng.random() < 0.5)

    def _stop(self, *of: object) -> None:
        self._say(False)

    def _start(self, *of: object) -> None:
        self._say(True)

    def _say(self, allowed: bool) -> None:
        phone = self._phone(self.id)
        said = consent_recorded(allowed, self.world.now, "", phone, self.location, self.id)
        self.world.hear(said)

    def _write(self, *of: object) -> None:
        kind = self.rng.choice([TextKind.HELP, TextKind.UNMONITORED_REPLY])
        self.world.hear(answer_wanted(kind, contact_id=self.id, location=self.location, phone=None))

    def _erase(self, *of: object) -> None:
        if self.rng.random() < 0.2:
            self.world.hear(PersonErased(person_id=self.id))

    def _pause(self, *of: object) -> None:
        ways = [Pauses(True), Pauses(clinics=frozenset({PLACES[self.location].clinic}))]
        self.world.pause(self.rng.choice([*ways, Pauses(contacts=frozenset({self.id})), NONE, NONE, NONE]))

    def _report(self, *of: object) -> None:
        if self.world.attempted:
            text_id, one = self.rng.choice(sorted(self.world.attempted.items()))
            status = self.rng.choice(["queued", "sent", "delivered", "undelivered"])
            self.world.report(text_id, Report(one.attempt_id, one.sid or "SM-found", status, None))

    def _floor(self) -> None:
        """What happens at the clinic to appointments whose time has come."""
        for number, (state, _, start) in sorted(self.sessions.items()):
            if start > self.world.now or state not in (S.CONFIRMED, S.CHECKED_IN, S.HELD):
                continue
            if state is S.HELD:
                self._tell(session_released, number, S.RELEASED, grant=0, reason=ReleaseReason.HOLD_EXPIRED)
            elif self.rng.random() < 0.1:
                self._tell(session_missed, number, S.MISSED)
            else:
                self._tell(session_checked_in, number, S.CHECKED_IN)
                self._tell(session_completed, number, S.COMPLETED, started_at=start, ended_at=start + HOUR)

    def _draw_sessions(self) -> None:
        for number in range(1, self.rng.randint(2, 6)):
            start = self.world.now + timedelta(minutes=15 * self.rng.randint(8, 4 * 24 * 25))
            self.sessions[number] = (S.HELD, 1, start)

    def _accept(self) -> None:
        treatment = self.rng.choice(["ketamine_induction", "consultation"])
        self.world.hear(course_accepted(treatment=treatment, **self._whole()))

    def _whole(self) -> dict[str, Any]:
        sessions = (
            booked_session(number, len(self.sessions), self.course_id, **self._told(number)) for number in self.sessions
        )
        return self._of_course() | {"hold_expires_at": self.world.now + 3 * DAY, "sessions": tuple(sessions)}

    def _of_course(self) -> dict[str, Any]:
        return {
            "course_id": self.course_id,
            "patient_id": self.id,
            "companions": self.companions,
            "location": self.location,
        }

    def _tell(
        self,
        made: Callable[..., SessionEvent],
        number: int,
        state: SessionState,
        start: datetime | None = None,
        **more: Any,
    ) -> None:
        _, version, was = self.sessions[number]
        self.sessions[number] = (state, version + 1, start or was)
        self.world.hear(made(number, of=len(self.sessions), **self._of_course(), **self._told(number), **more))

    def _told(self, number: int) -> dict[str, Any]:
        state, version, starts_at = self.sessions[number]
        return {
            "session_id": self._session_id(number),
            "state": state,
            "starts_at": starts_at,
            "version": version,
        }

    def _session_id(self, number: int) -> UUID:
        return UUID(int=self.course_id.int + number)

    def _phone(self, contact_id: str) -> str:
        return f"+1312555{self.phones if contact_id == self.id else 999:04}"

    def _contact(self, contact_id: str, allowed: bool) -> None:
        zone, region = self.rng.choice(ZONES)
        kind = ContactKind.PATIENT if contact_id == self.id else ContactKind.COMPANION
        recorded_at = self.world.now - timedelta(minutes=self.rng.randint(-30, 5000))
        self.world.hear(
            contact_updated(
                contact_id=contact_id,
                kind=kind,
                phone=self._phone(contact_id),
                locale=self.rng.choice(["en-US", "es-US", "de-DE"]),
                time_zone=zone,
                region=region,
                texting=Texting(
                    allowed=allowed, wording=f"w{self.rng.randint(1, 3)}", source="form", recorded_at=recorded_at
                ),
            )
        )


OF_SESSIONS = {
    "_confirm": (S.HELD, S.RELEASED),
    "_lose": (S.CONFIRMED,),
    "_move": (S.CONFIRMED, S.HELD, S.MISSED),
    "_cancel": (S.CONFIRMED, S.HELD),
    "_release": (S.HELD,),
    "_demand": (S.CONFIRMED, S.HELD, S.RELEASED),
    "_paid": (S.CONFIRMED, S.HELD, S.RELEASED),
}
"""What may happen to a session, and the states in which it does."""

OF_PEOPLE = ("_form", "_renumber", "_write", "_erase", "_pause")
"""What may be said of a patient at any time, besides what they say themselves."""

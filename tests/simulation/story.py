"""A random clinic's weeks, all from one seed: what its systems, its floor, its till and bad luck do, and when.

A story knows nothing of what the services answer: people pay for what was rejected, come to what was released, and
cancel what never was. What must hold is not that a story goes well, but that no promise breaks.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from services.booking.rules.closures import ClosureRequested
from shared.contract.clinic import (
    PaymentCaptured,
    RequestedSession,
)
from shared.contract.closed_sets import By, Method
from shared.contract.register import EventData
from shared.decision.message import NAMESPACE
from tests.facts.clinic import (
    contact_updated,
    course_cancel_requested,
    course_requested,
    patient_checked_in,
    patient_missed,
    patient_updated,
    payment_captured,
    payment_reversed,
    session_cancel_requested,
    session_reschedule_requested,
    treatment_completed,
)

SHOPS: Final = {
    "albany": (ZoneInfo("America/New_York"), "ketamine_induction", 45000),
    "carbondale": (ZoneInfo("America/Chicago"), "ketamine_induction", 45000),
    "stella": (ZoneInfo("America/Chicago"), "ketamine_maintenance", 47500),
}
"""Locations with their zone, a treatment, and what it costs in cents."""

PACKAGE: Final = ("stella", "ketamine_induction", "induction", 6, 347500)

ZONES: Final = ("America/Chicago", "America/New_York", "America/Los_Angeles", "Pacific/Honolulu", "Asia/Kolkata")
REGIONS: Final = ("US-IL", "US-NY", "US-CA", "US-TX", "US-FL", "US-RI", None)
HOURS: Final = (time(10), time(10, 30), time(11), time(14), time(14))


@dataclass(frozen=True, slots=True)
class Act:
    """A message of the clinic: so many times, by Kafka or by HTTP."""

    at: datetime
    data: EventData
    id: str
    times: int = 1
    by_http: bool = False


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that nobody can read."""

    at: datetime
    topic: str
    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Restart:
    """A service is stopped, whatever it is doing, and started anew."""

    at: datetime
    service: str


@dataclass(frozen=True, slots=True)
class Cut:
    """A service loses all its connections to the database at once."""

    at: datetime
    service: str


Step = Act | Garbage | Restart | Cut


@dataclass(frozen=True, slots=True)
class Story:
    """Steps in order of time, until `end`, when nothing can be left to do. `canaries` are personal data in it."""

    seed: int
    steps: Sequence[Step]
    end: datetime
    canaries: tuple[str, ...]

    def by_instant(self) -> Iterator[tuple[datetime, list[Step]]]:
        """What happens at the same time, together."""
        for at, steps in groupby(self.steps, key=lambda step: step.at):
            yield at, list(steps)


def write(seed: int, begins: datetime) -> Story:
    """The story of a seed; the same seed and beginning give the same story."""
    return _Writer(seed, begins).story()


class _Writer:
    def __init__(self, seed: int, begins: datetime) -> None:
        self.seed = seed
        self.begins = begins
        self.rng = random.Random(seed)
        self.steps: list[Step] = []
        self.ids = 0
        self.until = begins
        self.people = [f"patient-{seed}-{n}" for n in range(self.rng.randint(1, 4))]
        self.canaries = tuple(f"Canary {seed} {name} Quill" for name in self.people)

    def story(self) -> Story:
        for person, name in zip(self.people, self.canaries, strict=True):
            self.tell_of(person, name)
        crowd = self.rng.random() < 0.15
        slot = self.rng.choice(HOURS), self.rng.choice(sorted(SHOPS))
        for _ in range(self.rng.randint(5, 7) if crowd else self.rng.randint(1, 3)):
            self.course(*(slot if crowd else (None, None)), alone=crowd)
        for _ in range(self.rng.randint(0, 3)):
            self.bad_luck()
        first_of_all = {id(step): self.rng.random() for step in self.steps}
        self.steps.sort(key=lambda step: (step.at, first_of_all[id(step)]))
        last = max(step.at for step in self.steps)
        return Story(self.seed, self.steps, max(last, self.until) + timedelta(days=6), self.canaries)

    # People -----------------------------------------------------------------------------------------------------------

    def tell_of(self, person: str, name: str) -> None:
        rng, at = self.rng, self.begins + timedelta(hours=self.rng.choice((0, 0, 1, 30)))
        self.act(at, patient_updated(patient_id=person, name=name, born_on=date(1980, 1, 1)))
        phone, zone = self.phone(), rng.choice(ZONES[:3])
        self.contact(person, at, phone, zone, allowed=rng.random() < 0.85)
        for _ in range(rng.choice((0, 0, 1, 2))):
            later = self.begins + timedelta(hours=rng.randint(2, 24 * 20))
            phone = self.phone() if rng.random() < 0.2 else phone
            zone = rng.choice(ZONES) if rng.random() < 0.4 else zone
            self.contact(person, later, phone, zone, allowed=rng.random() < 0.5)
        if rng.random() < 0.08:
            gone = self.begins + timedelta(hours=rng.randint(2, 24 * 20))
            self.steps.append(Garbage(gone, "clinic.contacts", person, None))

    def contact(self, person: str, at: datetime, phone: str, zone: str, *, allowed: bool) -> None:
        texting = {
            "allowed": allowed,
            "wording": "w1",
            "source": "form",
            "recorded_at": at - timedelta(minutes=self.rng.choice((0, 0, 5, 60 * 24 * 3))),
        }
        self.act(
            at,
            contact_updated(
                contact_id=person,
                kind="patient",
                phone=phone,
                locale=self.rng.choice(("en-US", "es")),
                time_zone=zone,
                region=self.rng.choice(REGIONS),
                texting=texting,
            ),
        )

    def phone(self) -> str:
        return f"+1217555{self.rng.randint(0, 9999):04d}"

    # Courses ----------------------------------------------------------------------------------------------------------

    def course(self, hour: time | None, location: str | None, *, alone: bool) -> None:
        """One course from its request to its last session, with all that may go wrong in between."""
        rng = self.rng
        id, patient = self.uuid(), rng.choice(self.people) if not alone else f"visitor-{self.seed}-{self.ids}"
        location = location or rng.choice(sorted(SHOPS))
        zone, treatment, cents = SHOPS[location]
        count, package = 1 if alone else rng.randint(1, 3), None
        if not alone and rng.random() < 0.12:
            location, treatment, package, count, cents = PACKAGE
            cents //= count
        asked_at = self.begins + timedelta(hours=0 if alone else rng.choice((1, 1, 2, 26, 50)))
        starts = self.starts(count, zone, hour or rng.choice(HOURS), alone)
        self.until = max(self.until, *starts)
        sessions = [(self.uuid(), start) for start in starts]
        request = course_requested(
            course=id,
            patient_id=patient,
            location=location,
            treatment=treatment if rng.random() < 0.95 else "spravato",
            payer=rng.choice(("self_pay", "self_pay", "insurance")),
            package=package,
            sessions=tuple(RequestedSession(session_id=s, starts_at=at) for s, at in sessions),
        )
        self.act(asked_at, request, by_http=rng.random() < 0.3)
        if rng.random() < 0.1:
            self.act(asked_at + timedelta(hours=rng.choice((0, 30))), request)  # once more, under another id
        self.pay(id, asked_at, starts, cents)
        self.change_of_mind(id, asked_at, sessions, zone)
        self.closure(asked_at, location, sessions)
        for session_id, start in sessions:
            self.visit(id, session_id, start)
        if rng.random() < 0.1:
            self.steps.append(Garbage(asked_at, "clinic.payments", str(id), rng.choice((b"{", None, b"\xff"))))

    def starts(self, count: int, zone: ZoneInfo, hour: time, alone: bool) -> list[datetime]:
        rng, monday = self.rng, self.begins.date() + timedelta(days=7 - self.begins.weekday())
        days = [2] if alone else sorted(rng.sample([0, 1, 2, 3, 4, 7, 8, 9, 10, 11], count))
        if rng.random() < 0.05:
            days[0] = -12  # in the past
        if rng.random() < 0.05:
            days[-1] = 5  # a Saturday
        return [datetime.combine(monday + timedelta(days=day), hour, zone) for day in days]

    def pay(self, course: UUID, asked_at: datetime, starts: Sequence[datetime], cents: int) -> None:
        rng, whole = self.rng, cents * len(starts)
        amounts = rng.choice(
            (
                [whole],
                [whole],
                [whole],
                [cents] * len(starts),
                [cents],
                [whole + 777],
                [cents - 1],
                [cents // 2, whole],
                [],
            )
        )
        for number, amount in enumerate(amounts):
            hours = rng.choice((-1, 0, 0, 1, 5, 40, 71, 73, 100, 200)) + number * rng.choice((0, 20, 60))
            self.payment(course, asked_at + timedelta(hours=hours), amount)

    def payment(self, course: UUID, at: datetime, cents: int) -> None:
        rng = self.rng
        fact = payment_captured(
            cents,
            f"pay-{self.seed}-{self.uuid().hex[:12]}",
            at,
            course_id=course,
            currency="USD" if rng.random() < 0.95 else "EUR",
            method=rng.choice(sorted(Method)),
        )
        self.act(at, fact, by_http=rng.random() < 0.3)
        if rng.random() < 0.15:  # the provider reports it again, or something else under the same id
            again = fact if rng.random() < 0.6 else fact.model_copy(update={"amount_cents": cents + 1})
            self.act(at + timedelta(hours=rng.choice((0, 0, 3))), again)
        if rng.random() < 0.1:
            gone = at + timedelta(hours=rng.choice((0, 1, 90, 400)))
            refund = str(uuid5(NAMESPACE, f"refund/{course}/1")) if rng.random() < 0.5 else None
            self.act(
                gone,
                payment_reversed(
                    rng.choice((cents, max(1, cents // 3))),
                    refund,
                    fact.payment_id,
                    f"rev-{fact.payment_id}",
                    course_id=course,
                    reason="refund" if refund else "chargeback",
                    reversed_at=gone,
                ),
            )

    def change_of_mind(
        self, course: UUID, asked_at: datetime, sessions: Sequence[tuple[UUID, datetime]], zone: ZoneInfo
    ) -> None:
        rng = self.rng
        last = sessions[-1][1]
        if rng.random() < 0.15:
            at = self.meanwhile(asked_at + (last - asked_at) * rng.random())
            self.act(at, course_cancel_requested(course, by=rng.choice(sorted(By))))
        for session_id, start in sessions:
            at = self.meanwhile(asked_at + max(start - asked_at, timedelta(hours=1)) * rng.uniform(0, 1.02))
            if rng.random() < 0.12:
                wish = session_cancel_requested(course=course, session_id=session_id, by=rng.choice(sorted(By)))
                self.act(at, wish, by_http=rng.random() < 0.3)
            elif rng.random() < 0.2:
                day = start.date() + timedelta(days=rng.choice((0, 0, 1, 1, 2, 7, -30)))
                to = datetime.combine(day, rng.choice(HOURS), zone)
                self.until = max(self.until, to)
                self.act(at, session_reschedule_requested(1, to, course, session_id=session_id))
                if rng.random() < 0.7:
                    self.visit(course, session_id, to)

    def closure(self, asked_at: datetime, location: str, sessions: Sequence[tuple[UUID, datetime]]) -> None:
        """Now and then the place is closed for some hours, or one chair or provider of it."""
        rng = self.rng
        if rng.random() < 0.12:
            begins = rng.choice(sessions)[1].replace(hour=rng.choice((8, 13)))
            where = rng.choice(({}, {"chair": "chair-1"}, {"provider": "provider-1"}))
            stretch = {"starts_at": begins, "ends_at": begins + timedelta(hours=rng.choice((3, 10, 40)))}
            closure = {"closure_id": self.uuid(), "location": location} | stretch | where
            at = max(asked_at, begins - timedelta(hours=rng.choice((2, 20, 70))))
            self.act(at, ClosureRequested.model_validate(closure), by_http=True)
            self.until += timedelta(days=14)  # where its sessions may have been moved to

    def visit(self, course: UUID, session: UUID, start: datetime) -> None:
        """What the floor tells: mostly that the patient came and was treated."""
        rng = self.rng
        meant = start if rng.random() < 0.7 else None
        if rng.random() < 0.8:
            here = start + timedelta(minutes=rng.choice((-30, -10, 0, 5, 200, -60 * 13)))
            self.act(here, patient_checked_in(course=course, session_id=session, at=here, starts_at=meant))
        told = start + timedelta(minutes=rng.choice((70, 100, 60 * 20)))
        fate = rng.random()
        if fate < 0.65:
            begun = start + timedelta(minutes=10)
            done = treatment_completed(
                course=course, session_id=session, started_at=begun, ended_at=begun + timedelta(minutes=40)
            )
            self.act(told, done, by_http=rng.random() < 0.2)
        elif fate < 0.8:
            self.act(told, patient_missed(course=course, session_id=session, at=told, starts_at=meant))

    # Faults -----------------------------------------------------------------------------------------------------------

    def bad_luck(self) -> None:
        """A restart or cut connections, at the moment of something else, so that there is work to disturb."""
        at = self.rng.choice([step.at for step in self.steps])
        service = self.rng.choice(("booking", "billing", "reminders"))
        self.steps.append(self.rng.choice((Restart, Cut, Cut))(at, service))

    # Bricks -----------------------------------------------------------------------------------------------------------

    def act(self, at: datetime, data: EventData, *, by_http: bool = False) -> None:
        times, id = self.rng.choice((1, 1, 1, 1, 1, 1, 2, 4)), str(self.uuid())
        self.steps.append(Act(max(at, self.begins), data, id, times, by_http))
        if self.rng.random() < 0.1:
            later = at + timedelta(hours=self.rng.choice((1, 24, 24 * 7)))
            self.steps.append(Act(max(later, self.begins), data, id, 1, by_http))

    def meanwhile(self, at: datetime) -> datetime:
        """An instant, or quite often that of money on its way, so that the two race."""
        paid = [step.at for step in self.steps if isinstance(step, Act) and isinstance(step.data, PaymentCaptured)]
        return self.rng.choice(paid) if paid and self.rng.random() < 0.4 else at

    def uuid(self) -> UUID:
        self.ids += 1
        return UUID(int=self.rng.getrandbits(128), version=4)

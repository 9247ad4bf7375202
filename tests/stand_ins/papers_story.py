"""A course whose papers are looked at: its account as billing would keep it, its patient, and what was given."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from services.billing.account.account import Account, Stage
from services.billing.account.records import Given, Payment
from services.billing.account.share import Share
from services.billing.account.tariff import (
    Approval,
    DueRule,
    MissedPolicy,
    Package,
    Policy,
    Practice,
    PracticeLocation,
    Provider,
    ServiceDescription,
    Tariff,
    Treatment,
)
from services.billing.account.terms import Terms
from services.billing.papers.decide import decide_papers
from services.billing.papers.folder import Folder, Paper
from services.billing.papers.html import Document
from shared.configuration.clinic import Location, Opening
from shared.contract.clinic import PatientUpdated, Service
from shared.contract.closed_sets import Basis, Method, Payer, SessionState, Weekday
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision.decision import Attention
from shared.decision.message import Message
from tests.facts.clinic import patient_updated
from tests.facts.course import COURSE, DAY, PATIENT, session_id

THANKSGIVING = date(2026, 11, 26)

LOCATION = Location(
    zone="America/Chicago",
    region="US-IL",
    address="1 Main Street, Carbondale, Illinois 62901",
    phone="+16185550148",
    public_name="The Albany Clinic, Carbondale",
    hours=(Opening(days=tuple(Weekday)[:5], opens=time(8), closes=time(19)),),
    holidays=(THANKSGIVING,),
)

KETAMINE = Treatment(
    approval=Approval.OFF_LABEL,
    session_cents=45000,
    insurer_percent=50,
    packages={"six": Package(price_cents=446600, sessions=6, integration_cents=99100)},
    papers=ServiceDescription(
        title="Ketamine infusion", infusion=True, codes=("J3490",), later=("Evaluation after the series", "Maintenance")
    ),
)
SPRAVATO = Treatment(
    approval=Approval.APPROVED,
    session_cents=90000,
    copay_cents=5000,
    papers=ServiceDescription(title="Esketamine", codes=("G2083",)),
)
TMS = Treatment(
    approval=Approval.APPROVED,
    session_cents=30000,
    papers=ServiceDescription(title="Magnetic stimulation", codes=("90868",), first_codes=("90867",)),
)
CONSULTATION = Treatment(
    approval=Approval.NONE,
    session_cents=0,
    papers=ServiceDescription(title="Consultation", codes=("99203",), place_of_service="02"),
)

TARIFF = Tariff(
    practice=Practice(npi="1234567893", ein="12-3456789"),
    providers={
        "dana": Provider(name="Dana Reyes", credentials="MD", npi="1245319599"),
        "kim": Provider(name="Kim O'Neil", credentials="CRNA", npi="1679576722"),
    },
    due=DueRule(lead_hours=48, grace_hours=24),
    policy=Policy(missed=MissedPolicy.RETURN),
    treatments={"ketamine": KETAMINE, "spravato": SPRAVATO, "tms": TMS, "consultation": CONSULTATION},
)
PLACE = PracticeLocation("albany", "carbondale", "The Albany Clinic", LOCATION, TARIFF)

ROBIN = patient_updated(
    name="Robin <Canary> Example",
    born_on=date(1984, 5, 17),
    address="2 Oak Street & Lane",
    member_id="M-77",
    diagnoses=("F33.2", "F43.10"),
)


def local(text: str) -> datetime:
    """An instant by the clinic's wall clock."""
    return datetime.fromisoformat(text).replace(tzinfo=LOCATION.tz).astimezone(UTC)


TWO_WEEKS_ON = ("2026-11-16 10:00", "2026-11-19 10:00")
SIX = tuple(f"2026-11-{day} 10:00" for day in (16, 18, 20, 23, 25, 30))


class PapersStory:
    """The papers of one course.

    Args:
        starts: of its sessions, on the clinic's wall clock.
        asked: when the course was accepted.
    """

    def __init__(
        self,
        *starts: str,
        asked: str = "2026-11-02 10:00",
        treatment: str = "ketamine",
        package: str | None = None,
        payer: Payer = Payer.SELF_PAY,
        patient: PatientUpdated | None = ROBIN,
        price_cents: int = 45000,
    ) -> None:
        terms = Terms(zone=LOCATION.zone, due=TARIFF.due, policy=TARIFF.policy, treatment=TARIFF.treatments[treatment])
        paid = Payment("pay-1", COURSE, 1_000_000, Method.HSA, local(asked), local(asked))
        shares = tuple(
            Share(session_id(n), n, local(at), 1, price_cents, local(asked), local(at) - 2 * DAY, provider="dana")
            for n, at in enumerate(starts, start=1)
        )
        self.now = local(asked)
        self.place = PLACE
        self.folder = Folder(
            COURSE,
            Account(
                COURSE,
                stage=Stage.PRICED,
                patient_id=PATIENT,
                location="carbondale",
                treatment=treatment,
                package=package,
                payer=payer,
                terms=terms,
                shares=shares,
                payments=(paid,),
            ),
            patient=patient,
        )
        self.events: list[EventData] = []
        self.attention: list[Attention] = []
        self.timers: dict[tuple[str, str], datetime] = {}
        self.printed: list[Paper] = []

    @property
    def account(self) -> Account:
        """The course's money, as the papers see it."""
        assert self.folder.account is not None
        return self.folder.account

    def share(self, number: int) -> Share:
        """A session's share."""
        found = self.account.share(session_id(number))
        assert found is not None
        return found

    def change(self, number: int, **fields: Any) -> None:
        """Something becomes of a session."""
        changed = self.share(number)._replace(**fields)
        others = (s for s in self.account.shares if s.number != number)
        account = self.account._replace(shares=tuple(sorted((*others, changed), key=lambda s: s.number)))
        self.folder = self.folder._replace(account=account)

    def know(self, patient: PatientUpdated | None) -> None:
        """The patient's data comes, or goes."""
        self.folder = self.folder._replace(patient=patient)

    def give(
        self,
        number: int,
        minutes: int = 40,
        services: Sequence[Service] | None = None,
        basis: Basis | None = Basis.PAID,
        provider: str = "dana",
    ) -> Given:
        """A session is given."""
        started = self.share(number).starts_at + timedelta(minutes=15)
        ended = started + timedelta(minutes=minutes)
        done = Given(session_id(number), provider, started, ended, tuple(services) if services else None)
        self.change(number, state=SessionState.COMPLETED, basis=basis)
        given = tuple(sorted((*self.folder.given, done), key=lambda g: g.started_at))
        self.folder = self.folder._replace(given=given)
        return done

    def look(self, at: str | datetime | None = None) -> list[EventData]:
        """Have the papers looked at; returns the events that follow."""
        if at is not None:
            self.now = local(at) if isinstance(at, str) else at
        looked = TimerDue(of=f"papers:{COURSE}", kind="papers", subject="", due_at=self.now)
        message = Message("m-1", looked.type, "test", self.now, self.now, looked)
        decision = decide_papers({"carbondale": self.place}, self.folder, message, self.now)
        assert isinstance(decision.state, Folder)
        self.folder = decision.state._replace(fresh=())
        self.printed += decision.state.fresh
        for timer in decision.timers:
            self.timers.pop((timer.kind, timer.subject), None)
            if timer.due_at is not None:
                self.timers[timer.kind, timer.subject] = timer.due_at
        self.attention += decision.attention
        self.events += decision.events
        return list(decision.events)

    def fire(self) -> datetime:
        """Let time pass until the next timer, and look; returns when that was."""
        at, kind, subject = min((at, kind, subject) for (kind, subject), at in self.timers.items())
        del self.timers[kind, subject]
        self.look(at)
        return at


def made(document: Any) -> Document:
    """A paper that could be made."""
    assert isinstance(document, Document), document
    return document

"""What is decided about a course's papers: when each is issued, and when a person is asked for what is missing. Pure.

Papers are an aggregate beside the course's money, `papers:<course>`, so that a paper that cannot be made holds back
nothing else. The money's rules set a timer when something has changed that papers tell, and of a course and its
patient the one that comes later has the papers looked at (`store.patients`): no message looks in vain.
"""

from datetime import datetime, time, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import orjson

from services.billing.account.account import Account, Stage
from services.billing.account.messages import WaiverGranted
from services.billing.account.records import Given
from services.billing.account.share import Share
from services.billing.account.tariff import PracticeLocation, PracticeLocations
from services.billing.papers.codes import Missing
from services.billing.papers.deadlines import estimate_by, reissue_by
from services.billing.papers.estimate import counted, estimate, next_session
from services.billing.papers.folder import Folder, Issued, Kind, Paper, State
from services.billing.papers.html import Document, page
from services.billing.papers.receipt import receipt
from services.billing.papers.superbill import superbill
from shared.contract.billing import EstimateIssued, SuperbillIssued
from shared.contract.booking import (
    CourseAccepted,
    CourseChanged,
    SessionCancelled,
    SessionCompleted,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
)
from shared.contract.clinic import AuthorizationDecided, PaymentCaptured
from shared.contract.closed_sets import Basis, Payer, SessionState
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision.decision import Decision, Timer
from shared.decision.draft import Draft
from shared.decision.message import Message

PAPERS: Final = "papers:"
"""What the aggregate of a course's papers begins with."""


class PapersTimer(StrEnum):
    """What has a course's papers looked at."""

    LOOK = "papers"
    """Something has changed that papers tell. Its aggregate is the course; rules and patients' details set it."""
    ESTIMATE = "estimate"
    """The last day for an estimate of which something is missing: a person is asked."""
    VISIT = "visit"
    """A superbill or receipt has waited `ASKED_AFTER` for what is missing. The subject is the session."""


FIRST_LOOK: Final = timedelta(hours=12)
"""An estimate for which the patient is not known yet is looked at so long after acceptance: on its last day if not
before, since that is the next business day at the earliest."""

ASKED_AFTER: Final = timedelta(hours=24)
"""A superbill or receipt waits so long for what is missing before a person is asked (as for other facts: rule 7)."""

CHANGE_AN_ESTIMATE: Final = frozenset(
    {CourseChanged, SessionRescheduled, SessionCancelled, SessionReleased, SessionMissed}
)
SETTLE_WHAT_IS_OWED: Final = frozenset({PaymentCaptured, AuthorizationDecided, WaiverGranted})


def look_again(before: Account, after: Account, fact: EventData, now: datetime) -> tuple[Timer, ...]:
    """The timer that a fact sets which papers have to follow; most facts set none."""
    kind, estimated = type(fact), after.payer is Payer.SELF_PAY
    if after.stage is not Stage.PRICED:
        return ()
    if kind is CourseAccepted:
        return (Timer(PapersTimer.LOOK, now + FIRST_LOOK),) if estimated else ()
    if (
        kind is SessionCompleted
        or (kind in CHANGE_AN_ESTIMATE and estimated)
        or (kind in SETTLE_WHAT_IS_OWED and any(share.owing for share in before.shares))
    ):
        return (Timer(PapersTimer.LOOK, now),)
    return ()


def folder_of(timer: TimerDue) -> str | None:
    """The aggregate of the papers that a timer is about, if it is about papers."""
    if timer.of.startswith(PAPERS):
        return timer.of
    return PAPERS + timer.of if timer.kind == PapersTimer.LOOK else None


def course_of_papers(folder: str) -> UUID:
    """The course of an aggregate of papers."""
    return UUID(folder.removeprefix(PAPERS))


def decide_papers(places: PracticeLocations, folder: Folder, message: Message, now: datetime) -> Decision[State, Any]:
    """Issue what can be issued now, and ask for what is missing when its deadline nears."""
    place = places.get(folder.account.location or "") if folder.account is not None else None
    if folder.account is None or folder.account.stage is not Stage.PRICED or place is None:
        return Decision(folder)
    review = _Review(folder, folder.account, place, message, now)
    review.estimate()
    for done in folder.given:
        share = folder.account.share(done.session_id)
        if share is not None and share.state is SessionState.COMPLETED and not share.owing and share.price_cents:
            review.session(share, done)
    return review.decided(review.folder)


class _Review(Draft):
    """One look at a course's papers."""

    def __init__(
        self, folder: Folder, account: Account, place: PracticeLocation, message: Message, now: datetime
    ) -> None:
        super().__init__(message, now)
        self.folder = folder
        self.account = account
        self.place = place

    def estimate(self) -> None:
        """Issue the estimate to who pays themselves, or a new version where it tells anything else than the last."""
        account, next_one = self.account, next_session(self.account, self.now)
        if account.payer is not Payer.SELF_PAY or next_one is None:
            self.set_timer(PapersTimer.ESTIMATE, None)
            return
        made = estimate(account, self.place, self.folder.patient)
        if isinstance(made, Missing):
            self._ask(PapersTimer.ESTIMATE, None, self._estimate_asked_at(next_one), made)
        elif (version := self._issue(Kind.ESTIMATE, account.course_id, made)) is not None:
            self.set_timer(PapersTimer.ESTIMATE, None)
            id, total = str(account.course_id), made.total_cents
            self.events.append(
                EstimateIssued(course_id=account.course_id, estimate_id=id, version=version, total_cents=total)
            )

    def _estimate_asked_at(self, next_one: Share) -> datetime | None:
        """The beginning of the last day for an estimate that cannot be made; None where the law asks for none.

        What was issued before a patient was erased still stands.
        """
        issued = self.folder.newest(Kind.ESTIMATE, self.account.course_id)
        if issued is not None and self.folder.patient is None:
            return None
        sessions, location = counted(self.account), self.place.location
        if issued is None:
            scheduled_on = location.local(min(s.asked_at for s in sessions)).date()
            first_on = location.local(sessions[0].starts_at).date()
            last_day = estimate_by(scheduled_on, first_on, location.holidays)
        else:
            last_day = reissue_by(location.local(next_one.starts_at).date(), location.holidays)
        return datetime.combine(last_day, time(), location.tz) if last_day is not None else None

    def session(self, share: Share, done: Given) -> None:
        """Issue what a session needs that was given and is settled: each paper once."""
        id, before, missing = share.session_id, len(self.folder.fresh), None
        if not share.insured and self.folder.newest(Kind.SUPERBILL, id) is None:
            missing = self._superbill(share, done)
        if share.basis is not Basis.WAIVED and self.folder.newest(Kind.RECEIPT, id) is None:
            missing = self._receipt(share, done) or missing
        if missing is not None:
            self._ask(PapersTimer.VISIT, id, done.ended_at + ASKED_AFTER, missing)
        elif len(self.folder.fresh) > before:
            self.set_timer(PapersTimer.VISIT, None, id)

    def _superbill(self, share: Share, done: Given) -> Missing | None:
        billed = any(issued.kind is Kind.SUPERBILL for issued in self.folder.issued)
        first = not billed and done is self.folder.given[0]
        made = superbill(self.account, share, done, first, self.place, self.folder.patient)
        if isinstance(made, Missing):
            return made
        self._issue(Kind.SUPERBILL, share.session_id, made)
        course, id = self.account.course_id, share.session_id
        self.events.append(SuperbillIssued(course_id=course, session_id=id, superbill_id=str(id)))
        return None

    def _receipt(self, share: Share, done: Given) -> Missing | None:
        made = receipt(self.account, share, done, self.place, self.folder.patient)
        if isinstance(made, Missing):
            return made
        self._issue(Kind.RECEIPT, share.session_id, made)
        return None

    def _issue(self, kind: Kind, paper_id: UUID, document: Document) -> int | None:
        """Issue a document as a new version, and return its number; None where the last version tells the same."""
        digest = sha256(orjson.dumps(document)).hexdigest()
        last = self.folder.newest(kind, paper_id)
        if last is not None and last.digest == digest:
            return None
        version = last.version + 1 if last is not None else 1
        html = page(document, str(paper_id), version, self.place.location.local(self.now).date())
        paper = Paper(
            kind, paper_id, version, self.account.course_id, self.account.patient_id or "", self.now, digest, html
        )
        self.folder = self.folder._replace(
            issued=(*(i for i in self.folder.issued if i is not last), Issued(kind, paper_id, version, digest)),
            fresh=(*self.folder.fresh, paper),
        )
        return version

    def _ask(self, what: PapersTimer, session_id: UUID | None, at: datetime | None, missing: Missing) -> None:
        """Ask a person for what is missing if the instant has come, else set its timer (None: take it back)."""
        if at is None or at > self.now:
            self.set_timer(what, at, session_id or "")
        else:
            subject = session_id or self.account.course_id
            self.raise_attention(f"{what}_without_data", subject, f"needed: {missing.what}")

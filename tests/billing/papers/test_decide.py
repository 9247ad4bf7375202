"""When each of a course's papers is issued, and when a person is asked for what is missing."""

from datetime import timedelta
from typing import Any

import pytest

from services.billing.account.account import Stage
from services.billing.account.messages import WaiverGranted
from services.billing.papers.decide import look_again
from services.billing.papers.folder import Kind
from shared.contract.billing import EstimateIssued, SuperbillIssued
from shared.contract.closed_sets import Basis, Payer, ReleaseReason, SessionState
from shared.contract.register import EventData
from tests.facts.booking import (
    course_accepted,
    course_changed,
    session_cancelled,
    session_completed,
    session_confirmed,
    session_missed,
    session_released,
    session_rescheduled,
    session_unconfirmed,
)
from tests.facts.clinic import approved, payment_captured
from tests.facts.course import COURSE, DAY, HOUR, NOW, session_id
from tests.stand_ins.papers_story import ROBIN, TWO_WEEKS_ON, PapersStory, local

WAIVED = WaiverGranted(course_id=COURSE, session_id=session_id(1), waived_by="A. Person", reason="hardship")


def issued(story: PapersStory, kind: Kind) -> list[tuple[int, int | None]]:
    """Number of the session (0: the course) and version of each paper of a kind, in order."""
    numbers = {session_id(n): n for n in range(1, 10)} | {COURSE: 0}
    return [(numbers[paper.paper_id], paper.version) for paper in story.printed if paper.kind is kind]


def test_an_estimate_is_issued_at_once_where_the_patient_is_known() -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    (event,) = story.look()
    assert event == EstimateIssued(course_id=COURSE, estimate_id=str(COURSE), version=1, total_cents=90000)
    assert story.look() == [], "nothing has changed"
    assert (story.timers, story.attention) == ({}, [])


@pytest.mark.parametrize(
    ("asked", "first", "asked_for"),
    [
        ("2026-11-02 10:00", "2026-11-16 10:00", "2026-11-05 00:00"),
        ("2026-11-02 10:00", "2026-11-05 10:00", "2026-11-03 00:00"),
        ("2026-11-02 23:59", "2026-11-05 00:30", "2026-11-03 00:00"),
        ("2026-11-25 10:00", "2026-12-10 10:00", "2026-12-01 00:00"),  # over Thanksgiving
        ("2026-10-30 10:00", "2026-11-06 10:00", "2026-11-02 00:00"),  # over the end of summer time
        ("2027-03-12 10:00", "2027-03-18 10:00", "2027-03-15 00:00"),  # and over its beginning
    ],
)
def test_without_the_patients_data_a_person_is_asked_on_the_last_day(asked: str, first: str, asked_for: str) -> None:
    story = PapersStory(first, asked=asked, patient=None)
    assert story.look() == []
    assert story.timers == {("estimate", ""): local(asked_for)}
    assert story.attention == []
    assert story.fire() == local(asked_for)
    (attention,) = story.attention
    assert (attention.kind, attention.subject) == ("estimate_without_data", str(COURSE))
    story.know(ROBIN)
    (event,) = story.look()
    assert isinstance(event, EstimateIssued)
    assert story.timers == {}


def test_nobody_is_asked_where_the_law_asks_for_no_estimate() -> None:
    story = PapersStory("2026-11-04 10:00", asked="2026-11-02 10:00", patient=None)
    story.look()
    assert (story.timers, story.attention) == ({}, [])
    story.know(ROBIN)
    assert len(story.look()) == 1, "but who can have one gets one"


def test_a_session_that_moves_nearer_brings_the_deadline_nearer() -> None:
    story = PapersStory("2026-11-30 10:00", patient=None)
    story.look()
    story.change(1, starts_at=local("2026-11-05 10:00"))
    story.look("2026-11-02 12:00")
    assert story.timers == {("estimate", ""): local("2026-11-03 00:00")}


@pytest.mark.parametrize(
    ("change", "total"),
    [
        ({"state": SessionState.CANCELLED}, 45000),
        ({"starts_at": local("2026-11-20 10:00")}, 90000),
        ({"provider": "kim"}, 90000),
        ({"price_cents": 50000}, 95000),
    ],
)
def test_an_estimate_is_issued_anew_when_anything_changes(change: dict[str, Any], total: int) -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    story.look()
    story.change(2, **change)
    (event,) = story.look("2026-11-10 10:00")
    assert event == EstimateIssued(course_id=COURSE, estimate_id=str(COURSE), version=2, total_cents=total)
    assert [paper.issued_at for paper in story.printed] == [local("2026-11-02 10:00"), local("2026-11-10 10:00")]


@pytest.mark.parametrize(
    ("change", "versions"),
    [
        ({"name": "Robin Other"}, 2),
        ({"diagnoses": ("F33.1",)}, 2),
        ({"no_claims": True}, 2),
        ({"member_id": "M-78"}, 1),
    ],
)
def test_what_an_estimate_does_not_tell_makes_no_new_one(change: dict[str, Any], versions: int) -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    story.look()
    story.know(ROBIN.model_copy(update=change))
    story.look()
    assert len(story.printed) == versions


def test_a_course_that_is_over_gets_no_new_estimate() -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    story.look()
    story.give(1)
    story.change(2, state=SessionState.CANCELLED)
    story.know(ROBIN.model_copy(update={"name": "Robin Other"}))
    story.look("2026-11-20 10:00")
    assert issued(story, Kind.ESTIMATE) == [(0, 1)]


def test_a_session_whose_time_has_passed_is_nothing_to_come() -> None:
    story = PapersStory("2026-11-16 10:00", patient=None)
    story.look("2026-11-16 10:01")
    assert (story.printed, story.timers, story.attention) == ([], {}, [])


def test_what_was_given_stays_on_the_estimate_while_more_is_to_come() -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    story.look()
    story.give(1)
    story.look("2026-11-17 10:00")
    assert issued(story, Kind.ESTIMATE) == [(0, 1)], "nothing of it has changed"


@pytest.mark.parametrize("payer", [Payer.INSURANCE])
def test_who_does_not_pay_themselves_gets_no_estimate(payer: Payer) -> None:
    story = PapersStory(*TWO_WEEKS_ON, payer=payer, patient=None)
    story.look()
    assert (story.printed, story.timers, story.attention) == ([], {}, [])


@pytest.mark.parametrize("stage", [Stage.UNKNOWN, Stage.REJECTED, Stage.UNPRICED])
def test_a_course_without_a_price_has_no_papers(stage: Stage) -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    story.folder = story.folder._replace(account=story.account._replace(stage=stage))
    assert (story.look(), story.timers) == ([], {})


def test_an_estimate_of_who_was_erased_stands_and_nobody_is_asked() -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    story.look()
    story.know(None)
    story.change(2, state=SessionState.CANCELLED)
    story.look()
    assert (issued(story, Kind.ESTIMATE), story.timers, story.attention) == ([(0, 1)], {}, [])


def test_a_provider_without_an_npi_is_asked_for() -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    story.change(1, provider="nobody")
    story.look()
    story.fire()
    (attention,) = story.attention
    assert (attention.kind, attention.detail) == (
        "estimate_without_data",
        "needed: the provider's name and NPI in the clinic's profile",
    )


def looked_at(fact: EventData, owing: bool = False, **account: Any) -> list[timedelta]:
    """How long after a fact the course's papers are looked at."""
    story = PapersStory(*TWO_WEEKS_ON)
    if owing:
        story.change(1, state=SessionState.COMPLETED, basis=None)
    after = story.account._replace(**account)
    return [timer.due_at - NOW for timer in look_again(story.account, after, fact, NOW) if timer.due_at]


ALWAYS = [
    session_rescheduled(1),
    session_cancelled(1),
    session_missed(1),
    session_released(1, ReleaseReason.OVERDUE),
    course_changed(1),
]


@pytest.mark.parametrize("fact", ALWAYS, ids=lambda fact: fact.type)
def test_what_changes_an_estimate_has_it_looked_at_where_one_is_owed(fact: EventData) -> None:
    assert looked_at(fact) == [timedelta()]
    assert looked_at(fact, payer=Payer.INSURANCE) == []
    assert looked_at(fact, stage=Stage.UNPRICED) == []


def test_a_course_is_looked_at_half_a_day_after_acceptance_if_nothing_wakes_it_before() -> None:
    assert looked_at(course_accepted(1)) == [12 * HOUR]
    assert looked_at(course_accepted(1), payer=Payer.INSURANCE) == []


def test_care_that_was_given_has_its_papers_whoever_pays() -> None:
    assert looked_at(session_completed(1)) == looked_at(session_completed(1), payer=Payer.INSURANCE)
    assert looked_at(session_completed(1)) == [timedelta()]


@pytest.mark.parametrize("fact", [payment_captured(45000), approved(), WAIVED], ids=lambda fact: fact.type)
def test_money_has_papers_looked_at_only_where_care_was_given_unpaid(fact: EventData) -> None:
    assert looked_at(fact) == []
    assert looked_at(fact, owing=True) == [timedelta()]


@pytest.mark.parametrize("fact", [session_confirmed(1), session_unconfirmed(1, grant=1, reason="refund")])
def test_most_facts_change_no_paper(fact: EventData) -> None:
    assert looked_at(fact, owing=True) == []


def test_superbill_and_receipt_are_issued_once_when_a_session_was_given() -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    story.look()
    story.give(1)
    (event,) = story.look("2026-11-16 12:00")
    assert event == SuperbillIssued(course_id=COURSE, session_id=session_id(1), superbill_id=str(session_id(1)))
    story.know(ROBIN.model_copy(update={"address": "Elsewhere"}))
    assert [type(e) for e in story.look()] == [EstimateIssued], "what a patient handed in does not change"
    assert (issued(story, Kind.SUPERBILL), issued(story, Kind.RECEIPT)) == ([(1, 1)], [(1, 1)])


@pytest.mark.parametrize("lacking", [None, ROBIN.model_copy(update={"diagnoses": None})])
def test_a_superbill_waits_for_data_and_a_person_is_asked_after_a_day(lacking: Any) -> None:
    story = PapersStory("2026-11-16 10:00", patient=lacking)
    done = story.give(1)
    story.look("2026-11-16 12:00")
    assert issued(story, Kind.SUPERBILL) == []
    assert story.timers == {("visit", str(session_id(1))): done.ended_at + DAY}
    story.fire()
    assert [(a.kind, a.subject) for a in story.attention] == [("visit_without_data", str(session_id(1)))]
    story.know(ROBIN)
    story.look()
    assert (issued(story, Kind.SUPERBILL), issued(story, Kind.RECEIPT)) == ([(1, 1)], [(1, 1)])
    assert story.timers == {}


def test_an_unpaid_treatment_has_its_papers_when_it_is_paid() -> None:
    story = PapersStory("2026-11-16 10:00")
    story.give(1, basis=None)
    story.look("2026-11-16 12:00")
    assert story.printed == []
    story.change(1, basis=Basis.PAID)
    story.look("2026-11-18 12:00")
    assert (issued(story, Kind.SUPERBILL), issued(story, Kind.RECEIPT)) == ([(1, 1)], [(1, 1)])


@pytest.mark.parametrize(
    ("story", "basis", "kinds"),
    [
        ({}, Basis.PAID, {Kind.SUPERBILL, Kind.RECEIPT}),
        ({}, Basis.WAIVED, {Kind.SUPERBILL}),
        ({"payer": Payer.INSURANCE}, Basis.PAID, {Kind.SUPERBILL, Kind.RECEIPT}),
        ({"price_cents": 0, "treatment": "consultation"}, Basis.FREE, set()),
    ],
)
def test_which_papers_a_visit_has(story: dict[str, Any], basis: Basis, kinds: set[Kind]) -> None:
    told = PapersStory("2026-11-16 10:00", **story)
    told.give(1, basis=basis)
    told.look("2026-11-16 12:00")
    assert {paper.kind for paper in told.printed} - {Kind.ESTIMATE} == kinds


@pytest.mark.parametrize(("copay", "kinds"), [(5000, {Kind.RECEIPT}), (0, set())])
def test_who_is_insured_gets_a_receipt_for_the_copay_and_the_insurer_is_billed_by_the_clinic(
    copay: int, kinds: set[Kind]
) -> None:
    story = PapersStory("2026-11-16 10:00", payer=Payer.INSURANCE, treatment="spravato", price_cents=copay)
    story.change(1, insured=True)
    story.give(1, basis=Basis.INSURED)
    story.look("2026-11-16 12:00")
    assert {paper.kind for paper in story.printed} == kinds
    assert (story.timers, story.attention) == ({}, []), "and nobody is asked for what no superbill needs"


def test_planning_is_billed_with_the_first_session_given_also_where_it_is_not_the_first_booked() -> None:
    story = PapersStory("2026-11-16 10:00", "2026-11-17 10:00", "2026-11-18 10:00", treatment="tms")
    for number in (2, 3):
        story.give(number)
        story.look(story.share(number).starts_at + HOUR)
    story.change(1, starts_at=local("2026-11-19 10:00"))
    story.give(1)
    story.look("2026-11-19 12:00")
    bills = [p.html for p in story.printed if p.kind is Kind.SUPERBILL]
    assert [("90867" in html, "90868" in html) for html in bills] == [(True, False), (False, True), (False, True)]


def test_a_treatment_told_late_is_not_planned_a_second_time() -> None:
    story = PapersStory("2026-11-16 10:00", "2026-11-17 10:00", treatment="tms")
    for number in (2, 1):
        story.give(number)
        story.look("2026-11-17 12:00")
    bills = [p.html for p in story.printed if p.kind is Kind.SUPERBILL]
    assert ["90867" in html for html in bills] == [True, False]


def test_data_that_comes_before_and_after_the_course_ends_the_same() -> None:
    early, late = PapersStory(*TWO_WEEKS_ON), PapersStory(*TWO_WEEKS_ON, patient=None)
    for story in (early, late):
        story.look()
        story.give(1)
        story.look("2026-11-16 12:00")
    late.know(ROBIN)
    for story in (early, late):
        story.look("2026-11-16 13:00")
    assert sorted(early.folder.issued) == sorted(late.folder.issued)
    assert early.timers == late.timers == {}

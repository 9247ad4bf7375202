"""What stands on a course's papers, and when each is issued."""

from datetime import timedelta
from typing import Any

import pytest

from services.billing.account.account import Stage
from services.billing.account.messages import WaiverGranted
from services.billing.papers.codes import Missing
from services.billing.papers.decide import look_again
from services.billing.papers.estimate import Estimate, estimate
from services.billing.papers.folder import Kind
from services.billing.papers.receipt import Receipt, receipt
from services.billing.papers.superbill import Superbill, superbill
from shared.contract.billing import EstimateIssued, SuperbillIssued
from shared.contract.booking import (
    SessionCancelled,
    SessionCompleted,
    SessionMissed,
    SessionRescheduled,
    SessionUnconfirmed,
)
from shared.contract.clinic import Service
from shared.contract.closed_sets import Basis, Payer, ReleaseReason, SessionState
from shared.contract.register import EventData
from tests.billing_story import T0, accepted, approved, changed, confirmed, paid, released, told
from tests.papers_story import COURSE, DAY, HOUR, PLACE, ROBIN, PapersStory, local, made, session_id

S = SessionState
WAIVED = WaiverGranted(course_id=COURSE, session_id=session_id(1), waived_by="A. Person", reason="hardship")
TWO_WEEKS_ON = ("2026-11-16 10:00", "2026-11-19 10:00")
SIX = tuple(f"2026-11-{day} 10:00" for day in (16, 18, 20, 23, 25, 30))


def estimate_of(story: PapersStory) -> Estimate:
    document = made(estimate(story.account, PLACE, story.folder.patient))
    assert isinstance(document, Estimate)
    return document


def superbill_of(story: PapersStory, number: int = 1, first: bool = True, **given: Any) -> Superbill:
    done = story.give(number, **given)
    document = made(superbill(story.account, story.share(number), done, first, PLACE, story.folder.patient))
    assert isinstance(document, Superbill)
    return document


def issued(story: PapersStory, kind: Kind) -> list[tuple[int, int | None]]:
    """Number of the session (0: the course) and version of each paper of a kind, in order."""
    numbers = {session_id(n): n for n in range(1, 10)} | {COURSE: 0}
    return [(numbers[paper.paper_id], paper.version) for paper in story.printed if paper.kind is kind]


def test_an_estimate_lists_every_date_with_its_codes_and_adds_up() -> None:
    paper = estimate_of(PapersStory(*TWO_WEEKS_ON))
    ((clinician, charges),) = paper.charges
    assert (clinician.name, clinician.npi) == ("Dana Reyes", "1245319599")
    assert [(c.on.isoformat(), c.code, c.units, c.cents) for c in charges] == [
        ("2026-11-16", "96365", 1, 45000),
        ("2026-11-16", "J3490", 1, 0),
        ("2026-11-19", "96365", 1, 45000),
        ("2026-11-19", "J3490", 1, 0),
    ]
    assert (paper.sessions, paper.total_cents) == (2, 90000)
    assert (paper.practice.npi, paper.practice.ein, paper.practice.state) == ("1234567893", "12-3456789", "IL")
    assert paper.diagnoses == ROBIN.diagnoses
    assert paper.later == ("Evaluation after the series", "Maintenance")


def test_integration_therapy_is_a_line_of_its_own_and_a_package_adds_up_to_the_cent() -> None:
    story = PapersStory(*SIX, package="six")
    for number, cents in enumerate((74434, 74434, 74433, 74433, 74433, 74433), start=1):
        story.change(number, price_cents=cents)
    paper = estimate_of(story)
    ((_, charges),) = paper.charges
    assert paper.total_cents == sum(c.cents for c in charges) == 446600
    assert sum(c.cents for c in charges if c.code == "96365") == 347500
    assert sum(c.cents for c in charges if not c.code) == 99100
    assert {c.words for c in charges if not c.code} == {"Integration therapy (talk therapy, not an infusion)"}


def test_services_are_grouped_by_who_gives_them() -> None:
    story = PapersStory("2026-11-16 10:00", "2026-11-17 10:00", "2026-11-18 10:00")
    story.change(2, provider="kim")
    by_name = {
        clinician.name: [c.on.day for c in charges if c.cents] for clinician, charges in estimate_of(story).charges
    }
    assert by_name == {"Dana Reyes": [16, 18], "Kim O'Neil": [17]}


@pytest.mark.parametrize("state", [S.CANCELLED, S.RELEASED, S.MISSED])
def test_a_session_that_will_not_be_given_is_not_estimated(state: SessionState) -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    story.change(1, state=state)
    paper = estimate_of(story)
    assert (paper.total_cents, paper.first_on, paper.first_on.day) == (45000, paper.last_on, 19)


def test_an_insurers_share_is_told_and_never_deducted_and_not_told_to_who_wants_no_claim() -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    paper = estimate_of(story)
    assert (paper.insurer_percent, paper.insurer_cents, paper.total_cents) == (50, 45000, 90000)
    story.know(ROBIN.model_copy(update={"no_claims": True}))
    paper = estimate_of(story)
    assert (paper.person.no_claims, paper.insurer_cents) == (True, 0)


def test_an_insurers_share_is_rounded_down_and_leaves_integration_out() -> None:
    story = PapersStory(SIX[0], package="six", price_cents=74434)
    assert estimate_of(story).insurer_cents == (74434 - 16517) // 2


def test_magnetic_stimulation_is_estimated_with_its_planning_once() -> None:
    ((_, charges),) = estimate_of(PapersStory(*SIX, treatment="tms", price_cents=30000)).charges
    assert [c.code for c in charges] == ["90867", *["90868"] * 5]


def test_the_day_is_the_clinics_own_through_the_night_on_which_clocks_change() -> None:
    paper = estimate_of(
        PapersStory("2026-10-31 23:30", "2026-11-01 01:30", "2027-03-14 23:30", asked="2026-10-12 10:00")
    )
    ((_, charges),) = paper.charges
    assert [c.on.isoformat() for c in charges if c.cents] == ["2026-10-31", "2026-11-01", "2027-03-14"]


def test_a_superbill_has_all_that_a_claim_asks_for() -> None:
    paper = superbill_of(PapersStory(*TWO_WEEKS_ON))
    assert (paper.person.name, paper.person.born_on, paper.member_id) == (ROBIN.name, ROBIN.born_on, "M-77")
    assert (paper.clinician.name, paper.clinician.credentials, paper.clinician.npi) == (
        "Dana Reyes",
        "MD",
        "1245319599",
    )
    assert (paper.practice.npi, paper.practice.ein) == ("1234567893", "12-3456789")
    assert (paper.on.isoformat(), str(paper.started), str(paper.ended)) == ("2026-11-16", "10:15:00", "10:55:00")
    assert (paper.place_of_service, paper.diagnoses) == ("11", ("F33.2", "F43.10"))
    assert [(c.code, c.units, c.cents) for c in paper.charges] == [("96365", 1, 45000), ("J3490", 1, 0)]
    assert (paper.charged_cents, paper.paid_cents, paper.waived_cents, paper.insurer_cents) == (45000, 45000, 0, 22500)


def test_integration_therapy_is_never_billed_as_an_infusion() -> None:
    paper = superbill_of(PapersStory(SIX[0], package="six", price_cents=74434))
    assert [(c.code, c.cents) for c in paper.charges] == [("96365", 57917), ("J3490", 0), ("", 16517)]


def test_a_long_infusion_and_what_the_floor_adds() -> None:
    paper = superbill_of(PapersStory(SIX[0]), minutes=91, services=[Service(code="99213", units=1, modifiers=("25",))])
    assert [(c.code, c.units, c.modifiers) for c in paper.charges] == [
        ("96365", 1, ()),
        ("96366", 1, ()),
        ("J3490", 1, ()),
        ("99213", 1, ("25",)),
    ]


def test_start_and_stop_are_exact_where_the_clocks_change_meanwhile() -> None:
    paper = superbill_of(PapersStory("2026-11-01 00:50", asked="2026-10-12 10:00"), minutes=40)
    assert [c.code for c in paper.charges] == ["96365", "J3490"], "01:05 to 01:45, and not an hour more"


def test_what_was_waived_was_not_paid() -> None:
    paper = superbill_of(PapersStory(SIX[0]), basis=Basis.WAIVED)
    assert (paper.charged_cents, paper.waived_cents, paper.paid_cents, paper.insurer_cents) == (45000, 45000, 0, 0)


def test_care_at_a_distance_has_its_place_of_service() -> None:
    assert superbill_of(PapersStory(SIX[0], treatment="consultation")).place_of_service == "02"


@pytest.mark.parametrize(
    ("change", "given", "missing"),
    [
        ({"diagnoses": None}, {}, "diagnosis codes"),
        ({"diagnoses": ()}, {}, "diagnosis codes"),
        ({}, {"minutes": 0}, "start and stop of the infusion"),
        ({}, {"provider": "nobody"}, "provider's name and NPI"),
        (None, {}, "name and date of birth"),
    ],
)
def test_a_superbill_that_lacks_something_says_what(
    change: dict[str, Any] | None, given: dict[str, Any], missing: str
) -> None:
    patient = None if change is None else ROBIN.model_copy(update=change)
    story = PapersStory(SIX[0], patient=patient)
    done = story.give(1, **given)
    paper = superbill(story.account, story.share(1), done, True, PLACE, patient)
    assert isinstance(paper, Missing)
    assert missing in paper.what
    assert ROBIN.name not in paper.what


def test_a_receipt_is_for_the_day_of_care_and_not_of_the_payment() -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    paper = made(receipt(story.account, story.share(2), story.give(2), PLACE, ROBIN))
    assert isinstance(paper, Receipt)
    assert (paper.on.isoformat(), paper.paid_cents, paper.methods, paper.title) == (
        "2026-11-19",
        45000,
        ("hsa",),
        "Ketamine infusion",
    )


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
        ({"state": S.CANCELLED}, 45000),
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
    story.change(2, state=S.CANCELLED)
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
    story.change(2, state=S.CANCELLED)
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
        story.change(1, state=S.COMPLETED, basis=None)
    after = story.account._replace(**account)
    return [timer.due_at - T0 for timer in look_again(story.account, after, fact, T0) if timer.due_at]


ALWAYS = [
    told(SessionRescheduled, 1),
    told(SessionCancelled, 1),
    told(SessionMissed, 1),
    released(1, ReleaseReason.OVERDUE),
    changed(1),
]


@pytest.mark.parametrize("fact", ALWAYS, ids=lambda fact: fact.type)
def test_what_changes_an_estimate_has_it_looked_at_where_one_is_owed(fact: EventData) -> None:
    assert looked_at(fact) == [timedelta()]
    assert looked_at(fact, payer=Payer.INSURANCE) == []
    assert looked_at(fact, stage=Stage.UNPRICED) == []


def test_a_course_is_looked_at_half_a_day_after_acceptance_if_nothing_wakes_it_before() -> None:
    assert looked_at(accepted(1)) == [12 * HOUR]
    assert looked_at(accepted(1), payer=Payer.INSURANCE) == []


def test_care_that_was_given_has_its_papers_whoever_pays() -> None:
    assert looked_at(told(SessionCompleted, 1)) == looked_at(told(SessionCompleted, 1), payer=Payer.INSURANCE)
    assert looked_at(told(SessionCompleted, 1)) == [timedelta()]


@pytest.mark.parametrize("fact", [paid(45000), approved(), WAIVED], ids=lambda fact: fact.type)
def test_money_has_papers_looked_at_only_where_care_was_given_unpaid(fact: EventData) -> None:
    assert looked_at(fact) == []
    assert looked_at(fact, owing=True) == [timedelta()]


@pytest.mark.parametrize("fact", [confirmed(1), told(SessionUnconfirmed, 1, grant=1, reason="refund")])
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

"""What stands on an estimate."""

import pytest

from services.billing.papers.estimate import Estimate, estimate
from shared.contract.closed_sets import SessionState
from tests.stand_ins.papers_story import PLACE, ROBIN, SIX, TWO_WEEKS_ON, PapersStory, made


def estimate_of(story: PapersStory) -> Estimate:
    document = made(estimate(story.account, PLACE, story.folder.patient))
    assert isinstance(document, Estimate)
    return document


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


@pytest.mark.parametrize("state", [SessionState.CANCELLED, SessionState.RELEASED, SessionState.MISSED])
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

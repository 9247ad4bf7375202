"""What stands on a superbill, and what it cannot do without."""

from typing import Any

import pytest

from services.billing.papers.codes import Missing
from services.billing.papers.superbill import Superbill, superbill
from shared.contract.clinic import Service
from shared.contract.closed_sets import Basis
from tests.stand_ins.papers_story import PLACE, ROBIN, SIX, TWO_WEEKS_ON, PapersStory, made


def superbill_of(story: PapersStory, number: int = 1, first: bool = True, **given: Any) -> Superbill:
    done = story.give(number, **given)
    document = made(superbill(story.account, story.share(number), done, first, PLACE, story.folder.patient))
    assert isinstance(document, Superbill)
    return document


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

"""What is billed under which code."""

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.billing.account.tariff import ServiceDescription
from services.billing.papers.codes import Missing, expected, given
from shared.contract.clinic import Service

KETAMINE = ServiceDescription(title="Ketamine infusion", infusion=True, codes=("J3490",))
SPRAVATO = ServiceDescription(title="Esketamine", codes=("G2083",))
TMS = ServiceDescription(title="TMS", codes=("90868",), first_codes=("90867",))
SGB = ServiceDescription(title="Stellate ganglion block", codes=("64510",))


def codes(papers: ServiceDescription, minutes: int = 40, first: bool = True, told: tuple[Service, ...] = ()) -> object:
    """Each service as code, units and modifiers; or what is missing."""
    billed = given(papers, first, minutes, told)
    return billed if isinstance(billed, Missing) else [(s.code, s.units, s.modifiers) for s in billed]


def floor(code: str, units: int = 1, *modifiers: str) -> Service:
    return Service(code=code, units=units, modifiers=modifiers or None)


@pytest.mark.parametrize(
    ("minutes", "billed"),
    [
        (1, [("96374", 1)]),
        (15, [("96374", 1)]),
        (16, [("96365", 1)]),
        (40, [("96365", 1)]),
        (60, [("96365", 1)]),
        (90, [("96365", 1)]),
        (91, [("96365", 1), ("96366", 1)]),
        (150, [("96365", 1), ("96366", 1)]),
        (151, [("96365", 1), ("96366", 2)]),
        (210, [("96365", 1), ("96366", 2)]),
        (211, [("96365", 1), ("96366", 3)]),
    ],
)
def test_an_infusion_is_coded_by_its_minutes(minutes: int, billed: list[tuple[str, int]]) -> None:
    assert codes(KETAMINE, minutes) == [*((code, units, ()) for code, units in billed), ("J3490", 1, ())]


@pytest.mark.parametrize("minutes", [-5, 0, 601])
def test_an_infusion_without_true_start_and_stop_is_not_coded(minutes: int) -> None:
    assert codes(KETAMINE, minutes) == Missing("start and stop of the infusion")


def test_the_floor_tells_units_of_drugs_and_adds_services() -> None:
    told = (floor("J3490", 50), floor("99213", 1, "25"))
    assert codes(KETAMINE, 40, told=told) == [("96365", 1, ()), ("J3490", 50, ()), ("99213", 1, ("25",))]


@pytest.mark.parametrize("told", [floor("96366"), floor("96365", 2), floor("96374")])
def test_no_code_of_the_floor_goes_against_start_and_stop(told: Service) -> None:
    assert codes(KETAMINE, 40, told=(told,)) == Missing("services that agree with start and stop of the infusion")


def test_what_the_floor_repeats_of_start_and_stop_is_billed_once() -> None:
    assert codes(KETAMINE, 100, told=(floor("96366", 1, "59"),)) == [
        ("96365", 1, ()),
        ("96366", 1, ("59",)),
        ("J3490", 1, ()),
    ]


@for_all(minutes=st.integers(16, 600))
def test_further_hours_count_from_more_than_half(minutes: int) -> None:
    billed = given(KETAMINE, True, minutes, ())
    assert not isinstance(billed, Missing)
    hours = sum(s.units for s in billed if s.code in ("96365", "96366"))
    assert hours == max(1, round((minutes - 0.5) / 60)), "an hour more for each 31st minute, but the first has 90"


def test_magnetic_stimulation_is_planned_once_a_course() -> None:
    assert codes(TMS, first=True) == [("90867", 1, ())]
    assert codes(TMS, first=False) == [("90868", 1, ())]


@pytest.mark.parametrize("dose", ["G2082", "G2083"])
def test_the_dose_is_what_the_floor_says(dose: str) -> None:
    assert codes(SPRAVATO, told=(floor(dose),)) == [(dose, 1, ())]
    assert [s.code for s in expected(SPRAVATO, True)] == ["G2083"], "an estimate tells what is planned"


@pytest.mark.parametrize("told", [(), (floor("99213"),), (floor("G2082"), floor("G2083"))])
def test_without_one_dose_esketamine_is_not_coded(told: tuple[Service, ...]) -> None:
    missing = codes(SPRAVATO, told=told)
    assert isinstance(missing, Missing)
    assert "G2082 and G2083" in missing.what


def test_a_block_on_both_sides_has_its_modifier() -> None:
    assert codes(SGB, 10) == [("64510", 1, ())]
    assert codes(SGB, 10, told=(floor("64510", 1, "50"),)) == [("64510", 1, ("50",))]


def test_the_estimate_expects_one_hour_of_infusion() -> None:
    assert [(s.code, s.units) for s in expected(KETAMINE, True)] == [("96365", 1), ("J3490", 1)]

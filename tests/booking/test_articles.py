"""What the clinics' own articles say of their treatments, as the shipped profiles have it: one test a fact.

Articles: 000 and 001 are The Albany Clinic's, 002 is Stella's, 003 is of the clinic that does not name itself
(`stabilization`), 004 is of Sturges Family Practice. What stands in none of them is from the field, and says so.
"""

from datetime import timedelta

import pytest

from services.booking.chairs.protocol import Protocol
from shared.contract.closed_sets import Weekday
from tests.stand_ins.booking_places import PLACES

MINUTE, HOUR, DAY, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


def protocol(location: str, treatment: str = "ketamine_induction") -> Protocol:
    return PLACES[location].protocols[treatment]


def usual_weeks(of: Protocol, first: int, last: int) -> float:
    """How long it usually is from one session of a series to another, in weeks."""
    return sum((of.gaps_before(n).usual for n in range(first + 1, last + 1)), timedelta()) / WEEK


@pytest.mark.parametrize("location", ["carbondale", "albany"])
def test_articles_000_and_001_an_infusion_takes_40_minutes_of_about_an_hour(location: str) -> None:
    for treatment in ("ketamine_induction", "ketamine_maintenance"):
        infusion = protocol(location, treatment)
        assert infusion.treatment_minutes == 40
        assert 50 * MINUTE <= infusion.visit <= 70 * MINUTE


def test_article_001_ketamine_is_given_twice_weekly_for_four_weeks_then_spaced() -> None:
    ketamine = protocol("albany")
    assert ketamine.count == 8
    assert 3 < usual_weeks(ketamine, 1, 8) <= 4
    assert ketamine.gaps_before(9).usual > ketamine.gaps_before(8).usual


@pytest.mark.parametrize("location", sorted(PLACES))
def test_article_001_a_dedicated_provider_is_present_throughout(location: str) -> None:
    for treatment in PLACES[location].protocols.values():
        visit = treatment.visit_of(None)
        assert (visit.provider_after, visit.provider_until) == (timedelta(), visit.whole)


@pytest.mark.parametrize("location", ["carbondale", "albany"])
def test_articles_000_and_001_the_clinic_gives_five_treatments_and_boosters(location: str) -> None:
    assert PLACES[location].protocols.keys() == {
        "ketamine_induction",
        "ketamine_maintenance",
        "spravato",
        "tms",
        "sgb",
        "consultation",
    }


def test_article_000_a_block_is_10_minutes_and_30_to_45_of_watching() -> None:
    block = protocol("albany", "sgb")
    assert block.treatment_minutes <= 10
    assert 30 <= block.recovery_minutes <= 45


def test_article_000_a_block_is_single() -> None:
    assert protocol("albany", "sgb").count == 1


def test_field_the_other_side_is_blocked_two_days_later_at_the_earliest() -> None:
    block = protocol("albany", "sgb")
    assert (block.largest_count, block.smallest) == (2, 2 * DAY)


def test_article_000_magnetic_stimulation_takes_20_to_40_minutes() -> None:
    assert 20 <= protocol("albany", "tms").treatment_minutes <= 40


def test_field_magnetic_stimulation_is_30_sessions_in_six_weeks_of_weekdays_and_6_to_taper() -> None:
    stimulation = protocol("albany", "tms")
    assert stimulation.weekdays == (Weekday.MON, Weekday.TUE, Weekday.WED, Weekday.THU, Weekday.FRI)
    assert (stimulation.phases[0].sessions, stimulation.count) == (30, 36)
    assert stimulation.gaps_before(30).usual == DAY < stimulation.gaps_before(31).usual


def test_field_spravato_is_two_hours_on_site_whatever_a_request_says() -> None:
    spravato = protocol("albany", "spravato")
    assert spravato.recovery_minutes >= 120
    assert spravato.visit_of(30).whole == 2 * HOUR


def test_field_spravato_is_given_twice_a_week_then_weekly_then_every_week_or_two() -> None:
    spravato = protocol("albany", "spravato")
    assert [usual_weeks(spravato, *weeks) for weeks in ((1, 9), (9, 13))] == [4.5, 4]
    assert spravato.gaps_before(12).largest < 2 * WEEK
    later = spravato.gaps_before(13)
    assert later.smallest <= WEEK
    assert later.largest >= 2 * WEEK


def test_field_spravato_needs_the_enrolment_in_the_rems() -> None:
    assert protocol("albany", "spravato").records == ("rems_enrolment",)


def test_article_002_an_infusion_takes_45_minutes_of_an_hour_and_a_half_to_two() -> None:
    for treatment in ("ketamine_induction", "ketamine_maintenance"):
        infusion = protocol("stella", treatment)
        assert infusion.treatment_minutes == 45
        assert 90 * MINUTE <= infusion.visit <= 120 * MINUTE


@pytest.mark.parametrize("location", ["stella", "stabilization"], ids=["article 002", "article 003"])
def test_articles_002_and_003_a_series_is_six_over_three_weeks(location: str) -> None:
    ketamine = protocol(location)
    assert (ketamine.count, ketamine.window_days) == (6, 21)
    assert 2 < usual_weeks(ketamine, 1, 6) <= 3


def test_article_002_maintenance_is_given_as_it_is_needed() -> None:
    assert protocol("stella", "ketamine_maintenance").count == 1


def test_article_003_an_infusion_takes_40_minutes() -> None:
    assert protocol("stabilization").treatment_minutes == 40


def test_article_003_duration_and_number_may_be_tailored_to_the_patient() -> None:
    ketamine = protocol("stabilization")
    assert [ketamine.visit_of(minutes).whole for minutes in (30, 120)] == [30 * MINUTE, 120 * MINUTE]
    assert ketamine.largest_count is None


def test_article_004_the_patient_brings_somebody() -> None:
    assert all(treatment.companion_required for treatment in PLACES["sturges"].protocols.values())
    elsewhere = (PLACES[name].protocols.values() for name in PLACES if name != "sturges")
    assert not any(treatment.companion_required for protocols in elsewhere for treatment in protocols)


def test_no_other_record_is_asked_for() -> None:
    asked = {
        (name, treatment) for name, place in PLACES.items() for treatment, of in place.protocols.items() if of.records
    }
    assert asked == {("albany", "spravato"), ("carbondale", "spravato")}


@pytest.mark.parametrize(
    ("location", "minutes"), [("carbondale", range(50, 71)), ("albany", range(50, 71)), ("stella", range(90, 121))]
)
def test_an_infusion_takes_as_long_on_site_as_the_clinics_article_says(location: str, minutes: range) -> None:
    for treatment in ("ketamine_induction", "ketamine_maintenance"):
        assert PLACES[location].protocols[treatment].visit / timedelta(minutes=1) in minutes


def test_stellas_series_is_six_within_three_weeks() -> None:
    protocol = PLACES["stella"].protocols["ketamine_induction"]
    assert (protocol.treatment_minutes, protocol.window_days) == (45, 21)
    assert protocol.smallest_gap_hours * 5 <= protocol.window_days * 24

"""Clinics as billing knows them: one made up, which is named as Stella is, and all that are shipped."""

from datetime import date, time
from pathlib import Path

import deploy
from services.billing.account.tariff import (
    Approval,
    DueRule,
    MissedPolicy,
    Package,
    Plan,
    Policy,
    Practice,
    PracticeLocation,
    Provider,
    Tariff,
    Treatment,
)
from services.billing.profile import read_places
from shared.configuration.clinic import Location, Opening

PROFILES = Path(deploy.__file__).parent / "clinics"
PRICE = 45000


RETURNED = Policy(missed=MissedPolicy.RETURN)
COPAY = 5000
SELF = 30000


def tariff(policy: Policy = RETURNED) -> Tariff:
    """Infusions at 45000 cents and a package of six, approved sprays, consultations of which the first is free.

    All of it is due 48 h before, or 24 h after acceptance.
    """
    return Tariff(
        practice=Practice(npi="1234567893", ein="00-0000000"),
        providers={"dana": Provider(name="Dana Reyes", credentials="MD", npi="1234567893")},
        due=DueRule(lead_hours=48, grace_hours=24),
        policy=policy,
        treatments={
            "ketamine_induction": Treatment(
                approval=Approval.OFF_LABEL,
                session_cents=PRICE,
                packages={"six": Package(price_cents=347500, sessions=6)},
            ),
            "spray": Treatment(approval=Approval.APPROVED, session_cents=SELF, copay_cents=COPAY),
            "coils": Treatment(approval=Approval.APPROVED, copay_cents=0),
            "consultation": Treatment(approval=Approval.NONE, session_cents=15000, first_free=True),
        },
        plans=(Plan(names=("State Aid",), not_covered=("coils",), no_show_fees=False),),
    )


def place(policy: Policy = RETURNED) -> PracticeLocation:
    """Open on weekdays from nine to five, in Chicago."""
    location = Location(
        zone="America/Chicago",
        region="US-IL",
        address="Carbondale",
        phone="+16185550148",
        public_name="The clinic",
        hours=(Opening(days=("mon", "tue", "wed", "thu", "fri"), opens=time(9), closes=time(17)),),
        holidays=(date(2026, 11, 26),),
    )
    return PracticeLocation("stella", "stella", "The clinic", location, tariff(policy))


PLACES = read_places(PROFILES, None)

"""The terms of a course: what the clinic's profile said when it was accepted. Pure; a later profile changes nothing."""

from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from services.billing.account.tariff import (
    Approval,
    Counted,
    DueRule,
    MissedPolicy,
    Plan,
    Policy,
    PracticeLocation,
    Treatment,
)
from shared.configuration.clinic import WEEKDAYS, Location, ProfilePart, ZoneName
from shared.contract.closed_sets import Payer
from shared.decision.message import derived_id

DAY: Final = timedelta(days=1)


class Terms(ProfilePart):
    """Prices, deadlines and policy of one course. `plan`: what was known of the patient's insurance plan."""

    zone: ZoneName
    due: DueRule
    policy: Policy
    treatment: Treatment
    plan: Plan | None = None

    @cached_property
    def content(self) -> str:
        """All of it, as it is written down."""
        return self.model_dump_json(exclude_defaults=True)

    @cached_property
    def terms_id(self) -> UUID:
        """The same for the same content, so that courses share a row."""
        return derived_id(f"terms/{self.content}")

    def with_plan(self, plan: Plan | None) -> "Terms":
        """The same terms for a patient of another insurance plan."""
        return Terms(zone=self.zone, due=self.due, policy=self.policy, treatment=self.treatment, plan=plan)

    def insured(self, payer: Payer | None) -> bool:
        """Whether an insurer's authorization must cover a session."""
        return payer is Payer.INSURANCE and self.treatment.approval is Approval.APPROVED

    def due_at(self, starts_at: datetime, asked_at: datetime) -> datetime:
        """When a session that was asked for at `asked_at` must be paid; never after its start."""
        lead, grace = timedelta(hours=self.due.lead_hours), timedelta(hours=self.due.grace_hours)
        return min(starts_at, max(starts_at - lead, asked_at + grace))

    def day(self, instant: datetime) -> date:
        """The day on the clinic's calendar."""
        return instant.astimezone(ZoneInfo(self.zone)).date()

    @property
    def keeps_missed(self) -> bool:
        """Whether the share of a missed session stays with the clinic."""
        return self.policy.missed is MissedPolicy.KEEP and self._may_charge

    @property
    def missed_fee_cents(self) -> int:
        """What a missed session costs whose share is returned."""
        return self.policy.missed_fee_cents if self._may_charge else 0

    def late_fee_cents(self, location: Location | None, cancelled_at: datetime, starts_at: datetime) -> int:
        """What a patient's cancellation costs: the fee of the shortest notice that it falls under.

        Args:
            location: whose opening hours count; without one the clock's do.
        """
        if not self._may_charge:
            return 0
        for tier in sorted(self.policy.late, key=lambda tier: tier.within_hours):
            wanted = timedelta(hours=tier.within_hours)
            if location is not None and self.policy.hours is Counted.BUSINESS:
                notice = open_time(location, cancelled_at, starts_at, wanted)
            else:
                notice = starts_at - cancelled_at
            if notice < wanted:
                return tier.fee_cents
        return 0

    @property
    def _may_charge(self) -> bool:
        return self.plan is None or self.plan.no_show_fees


@lru_cache(maxsize=1024)
def _terms(place: PracticeLocation, treatment: str, plan: Plan | None) -> Terms:
    tariff = place.tariff
    return Terms(
        zone=place.location.zone,
        due=tariff.due,
        policy=tariff.policy,
        treatment=tariff.treatments[treatment],
        plan=plan,
    )


def terms_for(place: PracticeLocation, treatment: str, plan: str | None) -> Terms:
    """What a location offers today for a treatment that it has.

    Args:
        plan: the insurance plan, as the request names it.
    """
    return _terms(place, treatment, place.tariff.plan(plan))


@lru_cache(maxsize=1024)
def read_terms(content: str) -> Terms:
    """Terms as they were written down."""
    return Terms.model_validate_json(content)


def open_time(location: Location, start: datetime, end: datetime, enough: timedelta) -> timedelta:
    """How long a location is open between two instants; counting stops at `enough`."""
    total, day, last = timedelta(0), location.local(start).date(), location.local(end).date()
    while day <= last and total < enough:
        if day not in location.holidays:
            for opening in location.hours:
                if WEEKDAYS[day.weekday()] in opening.days:
                    opens = datetime.combine(day, opening.opens, location.tz)
                    closes = datetime.combine(day, opening.closes, location.tz)
                    # Subtracted in UTC: of two instants of one zone Python subtracts what the wall shows.
                    total += max(timedelta(0), min(closes, end).astimezone(UTC) - max(opens, start).astimezone(UTC))
        day += DAY
    return total

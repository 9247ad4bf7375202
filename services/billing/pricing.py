"""What a course costs, session by session, and until when each must be paid. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.billing.profile import Due, Tariff
from shared.contract import PricingRefusal


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Why a course has no price; `detail` names what the clinic does not sell."""

    code: PricingRefusal
    detail: str


def price(tariff: Tariff, treatment: str, package: str | None, count: int) -> tuple[int, ...] | Unpriced:
    """The cents of each session, by its number.

    Args:
        tariff: of the course's location.
        count: sessions in the course.
    """
    offer = tariff.treatments.get(treatment)
    if offer is None:
        return Unpriced(PricingRefusal.NO_PRICE, "the clinic has no price for this treatment")
    if package is None:
        if offer.session_cents is None:
            return Unpriced(PricingRefusal.NO_PRICE, "this treatment is sold in packages only")
        return (offer.session_cents,) * count
    bundle = offer.packages.get(package)
    if bundle is None:
        return Unpriced(PricingRefusal.UNKNOWN_PACKAGE, "the clinic has no such package for this treatment")
    if bundle.sessions != count:
        return Unpriced(PricingRefusal.WRONG_COUNT, f"the package has {bundle.sessions} sessions, the course {count}")
    return split(bundle.price_cents, count)


def split(total_cents: int, count: int) -> tuple[int, ...]:
    """Shares that add up to the total and differ by one cent at most, the larger ones first."""
    share, larger = divmod(total_cents, count)
    return tuple(share + 1 if number < larger else share for number in range(count))


def due_at(due: Due, starts_at: datetime, asked_at: datetime) -> datetime:
    """When a session that was asked for at `asked_at` must be paid; never after its start."""
    lead, grace = timedelta(hours=due.lead_hours), timedelta(hours=due.grace_hours)
    return min(starts_at, max(starts_at - lead, asked_at + grace))

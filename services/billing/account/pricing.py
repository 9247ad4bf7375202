"""What a course costs, session by session. Pure; until when each must be paid stands in `terms`."""

from dataclasses import dataclass

from services.billing.account.terms import Terms
from shared.contract.closed_sets import Payer, PricingRefusal


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Why a course has no price; `detail` names what the clinic does not sell."""

    code: PricingRefusal
    detail: str


def price(terms: Terms, treatment: str, package: str | None, payer: Payer, count: int) -> tuple[int, ...] | Unpriced:
    """The cents that each session needs of the patient, by its number: the price, or an insured patient's copay.

    Args:
        treatment: the name of the treatment of these terms.
        count: sessions in the course.
    """
    offer = terms.treatment
    bundle = None if package is None else offer.packages.get(package)
    if package is not None and bundle is None:
        return Unpriced(PricingRefusal.UNKNOWN_PACKAGE, "the clinic has no such package for this treatment")
    if bundle is not None and bundle.sessions != count:
        return Unpriced(PricingRefusal.WRONG_COUNT, f"the package has {bundle.sessions} sessions, the course {count}")
    if terms.insured(payer):
        if terms.plan is not None and treatment in terms.plan.not_covered:
            return Unpriced(PricingRefusal.NOT_COVERED, "the insurance plan does not cover this treatment")
        return (offer.copay_cents or 0,) * count
    if bundle is not None:
        return split(bundle.price_cents, count)
    if offer.session_cents is not None:
        return (offer.session_cents,) * count
    if offer.packages:
        return Unpriced(PricingRefusal.NO_PRICE, "this treatment is sold in packages only")
    return Unpriced(PricingRefusal.NO_PRICE, "this treatment is for insured patients only")


def share_cents(terms: Terms, package: str | None, payer: Payer, number: int) -> int | None:
    """What one session of a priced course needs of whoever pays now; None where it is not sold that way.

    Args:
        number: the session's in its course, from 1; those beyond a package are sold one by one.
    """
    offer = terms.treatment
    if terms.insured(payer):
        return offer.copay_cents or 0
    bundle = None if package is None else offer.packages.get(package)
    if bundle is not None and number <= bundle.sessions:
        return split(bundle.price_cents, bundle.sessions)[number - 1]
    return offer.session_cents


def split(total_cents: int, count: int) -> tuple[int, ...]:
    """Shares that add up to the total and differ by one cent at most, the larger ones first."""
    share, larger = divmod(total_cents, count)
    return tuple(share + 1 if number < larger else share for number in range(count))


def integration_cents(terms: Terms, package: str | None, number: int) -> int:
    """How much of a session's price is integration therapy: a line of its own on papers.

    Args:
        number: the session's in its course, from 1.
    """
    bundle = None if package is None else terms.treatment.packages.get(package)
    if bundle is None or number > bundle.sessions:
        return 0
    return split(bundle.integration_cents, bundle.sessions)[number - 1]


def insurer_cents(terms: Terms, price_cents: int) -> int:
    """What an insurer may give back of a price, for papers only: rounded down, so never above its share.

    Source: Stella's article: insurers may cover up to 50 %.
    """
    return price_cents * terms.treatment.insurer_percent // 100

"""Facts on their road through the real worker: deadlines, repeats, requests that are refused."""

import pytest

from services.billing.account.messages import NotAllowed, RefundRequested
from shared.contract.closed_sets import ReleaseReason
from tests.facts.booking import at_albany, session_released
from tests.facts.clinic import payment_captured
from tests.facts.course import COURSE, DAY, start
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_rig import Billing


async def test_a_deadline_passes_and_late_money_comes(billing: Billing) -> None:
    await billing.hear(at_albany(1))
    await billing.until(start(1) - 2 * DAY)
    assert await billing.published() == ["prepayment.required", "prepayment.overdue"]
    late = start(1) - DAY
    await billing.hear(session_released(1, ReleaseReason.OVERDUE), payment_captured(PRICE), at=late)
    await billing.hear(session_released(1, ReleaseReason.SLOT_TAKEN, grant=1), at=late)
    assert (await billing.published())[2:] == ["payment.recorded", "prepayment.satisfied", "refund.due"]
    assert await billing.query("SELECT 1 FROM timers WHERE kind <> 'papers'") == []


async def test_repeats_have_no_effect(billing: Billing) -> None:
    records = [billing.record(event) for event in (at_albany(1), payment_captured(PRICE))]
    for _ in range(3):
        await billing.service.worker.on_records(records)
    await billing.hear(payment_captured(PRICE))  # the same payment in another message
    assert await billing.published() == ["prepayment.required", "payment.recorded", "prepayment.satisfied"]


async def test_a_request_that_breaks_a_rule_leaves_nothing(billing: Billing) -> None:
    await billing.hear(at_albany(1))
    with pytest.raises(NotAllowed):
        await billing.take(RefundRequested(course_id=COURSE, requested_by="desk", reason="asked"))
    assert await billing.query("SELECT 1 FROM inbox WHERE id LIKE 'http-%'") == []
    assert await billing.query("SELECT 1 FROM dead_letters") == []

"""What follows from money that came, from money that left, and from what insurers decide. Pure."""

from services.billing.account import ledger
from services.billing.account.account import Stage
from services.billing.account.ledger import EntryKind, Posting
from services.billing.account.records import Authorization, Payment, Refund, Reversal
from services.billing.rules.draft import Draft, TimerKind
from services.billing.rules.settlement import settle
from shared.contract.billing import PaymentRecorded, PaymentRejected, RefundSettled
from shared.contract.clinic import AuthorizationDecided, PaymentCaptured, PaymentReversed
from shared.contract.closed_sets import AuthorizationDecision, PaymentRefusal, ReversalReason
from shared.contract.topics import CURRENCY
from shared.decision.draft import UNKNOWN_AFTER


def on_captured(draft: Draft, fact: PaymentCaptured) -> None:
    """Book a payment once and allocate it; `payment.recorded` names the balance that is left afterwards."""
    if fact.currency != CURRENCY:
        _reject(draft, fact, PaymentRefusal.UNKNOWN_CURRENCY)
        return
    known = draft.known.payments.get(fact.payment_id)
    if known is not None:
        if not known.tells_the_same(fact):
            _reject(draft, fact, PaymentRefusal.CONFLICTING_REPEAT)
            draft.raise_attention("conflicting_payment", fact.payment_id, "the id came again with other content")
        return
    _await_course(draft)
    id, amount = fact.payment_id, fact.amount_cents
    draft.put_payment(Payment(id, fact.course_id, amount, fact.method, fact.captured_at, draft.now))
    draft.post(
        EntryKind.CAPTURED,
        Posting(ledger.cash(fact.method), amount, payment_id=id),
        Posting(ledger.BALANCE, -amount, payment_id=id),
    )
    settle(draft)
    recorded = PaymentRecorded(
        course_id=fact.course_id,
        payment_id=id,
        amount_cents=amount,
        unallocated_cents=draft.account.balance_cents,
    )
    draft.events.insert(0, recorded)


def _reject(draft: Draft, fact: PaymentCaptured, code: PaymentRefusal) -> None:
    draft.events.append(PaymentRejected(course_id=fact.course_id, payment_id=fact.payment_id, code=code))


def on_reversed(draft: Draft, fact: PaymentReversed) -> None:
    """Close the refund that it names. What leaves beyond that goes to a person, and is missing where it had paid."""
    reversal = Reversal(fact.reversal_id, fact.payment_id, fact.amount_cents, fact.reason, fact.refund_id)
    known = next((r for r in draft.account.reversals if r.reversal_id == fact.reversal_id), None)
    if known is not None:
        if known != reversal:
            draft.raise_attention("conflicting_reversal", fact.reversal_id, "the id came again with other content")
        return
    draft.put_reversal(reversal)
    payment = draft.account.payment(fact.payment_id)
    if payment is None:
        draft.raise_attention("reversal", fact.reversal_id, "of a payment that this course does not have")
        return
    named = next((r for r in draft.account.refunds if r.refund_id == fact.refund_id), None)
    beyond = fact.amount_cents - (_close_refund(draft, named, payment, fact.amount_cents) if named else 0)
    if beyond or fact.reason is ReversalReason.CHARGEBACK:
        detail = f"{fact.reason} of {fact.amount_cents} cents, {beyond} of them for no refund that it names"
        draft.raise_attention("reversal", fact.reversal_id, detail)
    for refund in draft.account.refunds:  # what the clinic owed of this payment has left with it, whoever took it
        beyond -= _close_refund(draft, refund, payment, beyond)
    _leave_by_itself(draft, payment.payment_id, beyond)


def _leave_by_itself(draft: Draft, payment_id: str, amount_cents: int) -> None:
    """Book that money is gone: from the balance, and what that does not suffice for is disputed."""
    payment = draft.account.payment(payment_id)
    assert payment is not None
    gone = min(amount_cents, payment.left_cents)  # more than was paid in cannot leave; a person sees it
    if gone == 0:
        return
    draft.put_payment(payment._replace(out_cents=payment.out_cents + gone))
    from_balance = min(gone, draft.account.balance_cents)
    from_accounts = ((ledger.BALANCE, from_balance), (ledger.DISPUTED, gone - from_balance))
    draft.post(
        EntryKind.REVERSED,
        *(Posting(account, cents, payment_id=payment_id) for account, cents in from_accounts if cents),
        Posting(ledger.cash(payment.method), -gone, payment_id=payment_id),
    )


def _close_refund(draft: Draft, refund: Refund, payment: Payment, amount_cents: int) -> int:
    """Count money that left towards a refund, and publish when all of it has; returns how much it had waited for."""
    part = next((p for p in refund.parts if p.payment_id == payment.payment_id), None)
    settled = min(amount_cents, part.amount_cents - part.settled_cents) if part else 0
    if part is None or settled == 0:
        return 0
    paid_out = part._replace(settled_cents=part.settled_cents + settled)
    refund = refund._replace(parts=tuple(paid_out if p is part else p for p in refund.parts))
    draft.put_refund(refund)
    draft.post(
        EntryKind.REFUND_SETTLED,
        Posting(ledger.REFUNDS_DUE, settled, payment_id=payment.payment_id),
        Posting(ledger.cash(payment.method), -settled, payment_id=payment.payment_id),
    )
    if refund.settled:
        draft.events.append(RefundSettled(course_id=draft.account.course_id, refund_id=refund.refund_id))
    return settled


def on_authorization(draft: Draft, fact: AuthorizationDecided) -> None:
    """Keep what the insurer decided; `settle` finds what it covers. A denial goes to a person, too."""
    account = draft.account
    decided = Authorization(
        len(account.authorizations) + 1,
        fact.reference,
        fact.decision,
        fact.valid_from,
        fact.valid_through,
        fact.sessions,
        fact.copay_cents,
        draft.now,
    )
    last = next((one for one in reversed(account.authorizations) if one.reference == fact.reference), None)
    if last is not None and last == decided._replace(number=last.number, heard_at=last.heard_at):
        return
    _await_course(draft)
    draft.account = account._replace(authorizations=(*account.authorizations, decided))
    if fact.decision is AuthorizationDecision.DENIED:
        draft.raise_attention("authorization_denied", f"authorization {decided.number}", "an insurer does not pay")


def _await_course(draft: Draft) -> None:
    """Set a person's deadline with the first payment or authorization of a course that is not known yet."""
    if draft.account.stage is Stage.UNKNOWN and not draft.account.payments and not draft.account.authorizations:
        draft.set_timer(TimerKind.COURSE, draft.now + UNKNOWN_AFTER)

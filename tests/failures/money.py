"""What must be true of money: I2 each fact booked once, I6 the ledger adds up, I7 it waits for booking's answers."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid5

from shared.contract.billing import PrepaymentSatisfied, PrepaymentWithdrawn
from shared.contract.booking import (
    SessionConfirmed,
    SessionEvent,
    SessionReleased,
    SessionUnconfirmed,
    SessionWithdrawalRefused,
)
from shared.contract.clinic import PaymentCaptured, PaymentReversed
from shared.contract.closed_sets import Basis
from shared.contract.topics import CURRENCY
from shared.decision.message import NAMESPACE
from tests.failures.evidence import Evidence

MOST_EVENTS = 500
"""So many events of one cause are tried when an event is traced back to it."""


def one_effect(evidence: Evidence) -> Iterator[str]:
    """I2, billing's part."""
    lines = _lines(evidence)
    booked: Counter[tuple[Any, ...]] = Counter()
    captured: Counter[str] = Counter()
    for entry in evidence.rows("billing", "entries"):
        about = tuple(sorted({str(line["session_id"] or line["payment_id"]) for line in lines[entry["id"]]}))
        if entry["kind"] not in ("refund_due", "refund_settled"):  # of one payment there may be several; I6 counts them
            booked[entry["course_id"], entry["cause"], entry["kind"], about] += 1
        if entry["kind"] == "captured":
            captured.update({line["payment_id"] for line in lines[entry["id"]]})
    for (course, cause, kind, _), times in booked.items():
        if times > 1:
            yield f"I2 course {course}: {kind} is booked {times} times for cause {cause}"
    payments = {row["payment_id"] for row in evidence.rows("billing", "payments")}
    for id in payments | set(captured):
        if captured[id] != 1 or id not in payments:
            yield f"I2 payment {id}: {captured[id]} entries"
    reversals = {(row["course_id"], row["reversal_id"]) for row in evidence.rows("billing", "reversals")}
    for heard in evidence.heard("billing"):
        match heard.message.data:
            case PaymentCaptured(currency=currency, payment_id=id) if currency == CURRENCY and id not in payments:
                yield f"I2 payment {id}: heard by {heard.message.id}, and never booked"
            case PaymentReversed(course_id=course, reversal_id=id) if (course, id) not in reversals:
                yield f"I2 reversal {id}: heard by {heard.message.id}, and not on record"


def sums(evidence: Evidence) -> Iterator[str]:
    """I6: entries, balances, shares, refunds and payments all tell of the same money."""
    lines = _lines(evidence)
    held: Counter[tuple[str, UUID]] = Counter()  # what rests in an account, of a course or of a session
    reversals: Counter[str] = Counter()
    for entry in evidence.rows("billing", "entries"):
        total = sum(line["amount_cents"] for line in lines[entry["id"]])
        if total != 0 or not lines[entry["id"]]:
            yield f"I6 entry {entry['id']} of course {entry['course_id']}: sums to {total}"
        for line in lines[entry["id"]]:
            for about in {entry["course_id"], line["session_id"]}:
                held[line["account"], about] -= line["amount_cents"]
            if entry["kind"] == "reversed" and line["account"].startswith("cash:"):
                reversals[line["payment_id"]] -= line["amount_cents"]
    for account in evidence.rows("billing", "accounts"):
        folded = held["balance", account["course_id"]]
        if account["balance_cents"] != folded:
            yield f"I6 course {account['course_id']}: balance {account['balance_cents']}, its lines say {folded}"
        missing = -held["disputed", account["course_id"]]
        if account["disputed_cents"] != missing:
            yield f"I6 course {account['course_id']}: disputed {account['disputed_cents']}, its lines say {missing}"
    for share in evidence.rows("billing", "shares"):
        folded = held["prepaid", share["session_id"]]
        if share["prepaid_cents"] != folded:
            yield f"I6 session {share['session_id']}: prepaid {share['prepaid_cents']}, its lines say {folded}"
    yield from _refunds(evidence, held, reversals)


def _refunds(evidence: Evidence, held: Counter[tuple[str, UUID]], reversals: Counter[str]) -> Iterator[str]:
    parts = defaultdict(list)
    out = Counter(reversals)
    for part in evidence.rows("billing", "refund_parts"):
        parts[part["refund_id"]].append(part)
        out[part["payment_id"]] += part["amount_cents"]
    due: Counter[UUID] = Counter()
    for refund in evidence.rows("billing", "refunds"):
        of_parts = sum(part["amount_cents"] for part in parts[refund["refund_id"]])
        if refund["amount_cents"] != of_parts:
            yield f"I6 refund {refund['refund_id']}: {refund['amount_cents']} cents, its parts say {of_parts}"
        due[refund["course_id"]] += of_parts - sum(part["settled_cents"] for part in parts[refund["refund_id"]])
    for account in evidence.rows("billing", "accounts"):
        folded = held["refunds_due", account["course_id"]]
        if due[account["course_id"]] != folded:
            yield f"I6 course {account['course_id']}: refunds due {due[account['course_id']]}, its lines say {folded}"
    for payment in evidence.rows("billing", "payments"):
        id, amount = payment["payment_id"], payment["amount_cents"]
        if out[id] > amount:
            yield f"I6 payment {id}: {out[id]} cents go back of {amount}"
        if out[id] != payment["out_cents"]:
            yield f"I6 payment {id}: out {payment['out_cents']}, its refunds say {out[id]}"


def waits_for_answers(evidence: Evidence) -> Iterator[str]:
    """I7, billing's part: a grant for money stands on all of it, and its money moves only after booking's answers."""
    shares = {row["session_id"]: row for row in evidence.rows("billing", "shares")}
    allocated, moved = _by_session(evidence, "allocated"), _by_session(evidence, "returned", "recognized", "kept")
    paid: dict[UUID, list[int]] = defaultdict(list)
    for one in evidence.told("billing"):
        if isinstance(one.data, PrepaymentSatisfied) and one.data.basis in (Basis.PAID, Basis.INSURED):
            session, amount = one.data.session_id, one.data.amount_cents
            share = shares.get(session)
            price = share["price_cents"] if share is not None else None
            somebody_else_pays_now = share is not None and share["insured"]
            if one.data.basis is Basis.PAID and amount != price and not somebody_else_pays_now:
                yield f"I7 session {session}: granted for {amount}, its price is {price}"
            if amount == 0:
                continue
            paid[session].append(one.data.grant)
            if not any(_follows(one.id, entry["cause"]) for entry in allocated[session]):
                yield f"I7 session {session}: grant {one.data.grant} without money at it"
    versions, answers, returns = _answers(evidence)
    yield from _asked_back(evidence, returns)
    for session, moves in moved.items():
        # A treatment given unpaid needs no grant: what pays for it later is earned in the same breath.
        at_once = {entry["cause"] for entry in allocated[session]}
        told = {e["cause"]: (versions.get((session, e["cause"])), e) for e in moves}  # a fee and the rest move together
        told = {cause: move for cause, move in told.items() if move[1]["kind"] != "recognized" or cause not in at_once}
        for version, entry in told.values():
            if version is None:
                yield f"I7 session {session}: {entry['kind']} by {entry['cause']}, which is no word of booking"
        # Money goes in turns: allocated with a grant, answered, moved on. So the nth move belongs to the nth grant.
        in_turn = sorted(version for version, _ in told.values() if version is not None)
        for grant, version in zip(paid[session], in_turn, strict=False):
            if (answered := answers.get((session, grant))) is None or version < answered:
                yield f"I7 session {session}: the money of grant {grant} moved before booking's answer"
            if (back := returns.get((session, grant))) is not None and version < back:
                yield f"I7 session {session}: the money of grant {grant} moved before booking gave it back"


def _asked_back(evidence: Evidence, returns: Mapping[tuple[UUID, int], int]) -> Iterator[str]:
    """Each withdrawal is asked for once, and answered."""
    asked: Counter[tuple[UUID, int]] = Counter()
    courses: dict[UUID, str] = {}
    for one in evidence.told("billing"):
        if isinstance(one.data, PrepaymentWithdrawn):
            asked[one.data.session_id, one.data.grant] += 1
            courses[one.data.session_id] = str(one.data.course_id)
    for (session, grant), times in asked.items():
        if times > 1:
            yield f"I7 session {session}: grant {grant} was asked back {times} times"
        if (session, grant) not in returns and courses[session] not in evidence.held_back:
            yield f"I7 session {session}: grant {grant} was asked back, and booking has not answered"
    for session, grant in returns:
        if (session, grant) not in asked:
            yield f"I7 session {session}: booking gave grant {grant} back, for which nobody had asked"


def _by_session(evidence: Evidence, *kinds: str) -> dict[UUID, list[Any]]:
    """The ledger's entries of these kinds by the session that they are about."""
    lines = _lines(evidence)
    found = defaultdict(list)
    for entry in evidence.rows("billing", "entries"):
        if entry["kind"] in kinds:
            for session in {line["session_id"] for line in lines[entry["id"]]}:
                found[session].append(entry)
    return found


def _lines(evidence: Evidence) -> dict[UUID, list[Any]]:
    lines = defaultdict(list)
    for line in evidence.rows("billing", "lines"):
        lines[line["entry_id"]].append(line)
    return lines


def _follows(event: str, cause: str) -> bool:
    return any(str(uuid5(NAMESPACE, f"billing/{cause}/{number}")) == event for number in range(MOST_EVENTS))


def _answers(
    evidence: Evidence,
) -> tuple[dict[tuple[UUID, str], int], dict[tuple[UUID, int], int], dict[tuple[UUID, int], int]]:
    """Of booking's events: the version by event id, and those that first answered a grant, and a withdrawal."""
    versions: dict[tuple[UUID, str], int] = {}
    answers: dict[tuple[UUID, int], int] = {}
    returns: dict[tuple[UUID, int], int] = {}
    for heard in evidence.heard("billing"):
        data = heard.message.data
        if isinstance(data, SessionEvent):
            versions[data.session_id, heard.message.id] = data.version
        if isinstance(data, SessionConfirmed | SessionReleased):
            answers.setdefault((data.session_id, data.grant), data.version)
        if isinstance(data, SessionUnconfirmed | SessionWithdrawalRefused):
            returns.setdefault((data.session_id, data.grant), data.version)
    return versions, answers, returns

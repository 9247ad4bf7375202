"""Accounts and their ledger: load many, save many. The SQL of people and of papers stands beside it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.billing.account.account import Account, Known
from services.billing.account.ledger import EntryKind, Posting
from services.billing.account.records import (
    Authorization,
    FreeVisit,
    Given,
    Payment,
    Refund,
    RefundedPart,
    Reversal,
    Waiver,
)
from services.billing.account.share import Share
from services.billing.account.tariff import PracticeLocations
from services.billing.account.terms import read_terms
from services.billing.papers.decide import PAPERS, course_of_papers
from services.billing.papers.folder import Folder, Patient, State
from services.billing.rules.decide import PATIENT, aggregate_of
from services.billing.store.papers import folders, save_folders
from services.billing.store.patients import save_patients, wake_papers
from shared.contract.booking import CourseAccepted
from shared.contract.clinic import PaymentCaptured, Service
from shared.decision.message import Message
from shared.postgres.query import nested, rows, run, take
from shared.postgres.row_values import columns_of, reader, row_of, values_of
from shared.postgres.values import Connection
from shared.postgres.writes import Writes
from shared.worker.service_rules import Loaded

STANDING: Final = columns_of(Account)
ACCOUNT: Final = (*STANDING, "terms_id")
SHARE: Final = ("course_id", *Share._fields)
GOING: Final = ("version", "state", "basis", "prepaid_cents", "granted", "answered")
"""What payment and confirmation change of a share; the rest of it stands most of the time."""
PAYMENT: Final = Payment._fields
REFUND: Final = ("course_id", *columns_of(Refund))
PART: Final = ("refund_id", *RefundedPart._fields)
REVERSAL: Final = ("course_id", *Reversal._fields)
AUTHORIZATION: Final = ("course_id", *Authorization._fields)
GIVEN: Final = ("course_id", *Given._fields)
WAIVER: Final = ("course_id", *Waiver._fields)
FREE_VISIT: Final = FreeVisit._fields
ENTRY: Final = ("id", "course_id", "kind", "cause", "booked_at")
POSTING: Final = ("entry_id", "number", *Posting._fields)

_read_account: Final = reader(Account, STANDING)
_read_share: Final = reader(Share)
_read_payment: Final = reader(Payment)
_read_refund: Final = reader(Refund, REFUND[1:])
_read_reversal: Final = reader(Reversal)
_read_authorization: Final = reader(Authorization)


async def load(places: PracticeLocations, connection: Connection, messages: Sequence[Message]) -> Loaded[State, Known]:
    """The accounts that a batch names, locked, and every payment whose id it names, whosever it is.

    An account that is not there yet is begun first: so two transactions about one new course wait for each other.
    Papers lock the account of their course, too, or their events could be overtaken by those of its money.
    """
    aggregates = {a for m in messages if not (a := aggregate_of(m)).startswith(PATIENT)}
    of_papers = {a for a in aggregates if a.startswith(PAPERS)}
    courses = {str(course_of_papers(a)) if a in of_papers else a for a in aggregates}
    named = {m.data.payment_id for m in messages if isinstance(m.data, PaymentCaptured)}
    visitors = {m.data.patient_id for m in messages if isinstance(m.data, CourseAccepted) and _free(places, m.data)}
    if not courses:
        return Loaded({}, Known({}))
    await take(connection, "accounts", "course_id", courses, "uuid")
    accounts = {str(account.course_id): account for account in await _accounts(connection, sorted(courses))}
    states: dict[str, State] = {id: accounts[id] for id in aggregates - of_papers}
    if of_papers:
        found = await folders(connection, [accounts[str(course_of_papers(a))] for a in of_papers])
        states |= {PAPERS + str(folder.course_id): folder for folder in found}
    known = await _payments(connection, named) if named else {}
    visited = await _visited(connection, visitors) if visitors else frozenset()
    return Loaded(states, Known(known, visited))


def _free(places: PracticeLocations, fact: CourseAccepted) -> bool:
    place = places.get(fact.location)
    offer = place.tariff.treatments.get(fact.treatment) if place is not None else None
    return offer is not None and offer.first_free


async def _visited(connection: Connection, patients: Iterable[str]) -> frozenset[tuple[str, str, str]]:
    """Free first visits of these patients that stand; who asks at the same time waits for the other's end."""
    ids = sorted(patients)
    await run(
        connection,
        """SELECT pg_advisory_xact_lock(hashtextextended('free visit ' || id, 0))
           FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS p (id, place) ORDER BY place""",
        ids=ids,
    )
    found = await rows(
        connection,
        """SELECT clinic, patient_id, treatment FROM free_visits v JOIN shares s USING (session_id)
           WHERE patient_id = ANY(CAST(:ids AS text[])) AND s.basis = 'free'""",
        ids=ids,
    )
    return frozenset((row.clinic, row.patient_id, row.treatment) for row in found)


async def _payments(connection: Connection, ids: Iterable[str]) -> Mapping[str, Payment]:
    found = await rows(
        connection,
        f"SELECT {', '.join(PAYMENT)} FROM payments WHERE payment_id = ANY(CAST(:ids AS text[]))",
        ids=list(ids),
    )
    return {row.payment_id: _read_payment(row) for row in found}


async def read_account(connection: Connection, course_id: UUID) -> Account | None:
    """One account as it stands; None where nothing was ever heard of the course."""
    found = await _accounts(connection, [str(course_id)])
    return found[0] if found else None


async def course_of(connection: Connection, session_id: UUID) -> UUID | None:
    """The course of a session that has a share."""
    found = await rows(connection, "SELECT course_id FROM shares WHERE session_id = :id", id=session_id)
    return UUID(str(found[0].course_id)) if found else None


def save(writes: Writes, loaded: Mapping[str, State], changed: Mapping[str, State], known: Known) -> None:
    """Write what differs, a statement a table; ledger entries are only ever added."""
    accounts = [state for state in changed.values() if isinstance(state, Account)]
    touched = [(account, account.touched) for account in accounts]
    refunds = [(a, r) for a, ids in touched for r in a.refunds if r.refund_id in ids]
    entries = [entry for account in accounts for entry in account.unposted]
    standing = [a for a in accounts if _standing(a) != _standing(_before(loaded, a))]
    writes.update("accounts", ACCOUNT, [_account_row(a) for a in standing], ("course_id",))
    _save_shares(writes, loaded, accounts)
    captured = {p.payment_id for e in entries if e.kind is EntryKind.CAPTURED for p in e.postings}
    fresh = ((a, p) for a in accounts for p in a.payments if p.payment_id in captured)
    older = ((a, p) for a, ids in touched for p in a.payments if p.payment_id in ids - captured)
    writes.insert("payments", PAYMENT, _of_course(PAYMENT, fresh))  # an id taken meanwhile is refused
    writes.insert("payments", PAYMENT, _of_course(PAYMENT, older), ("payment_id",))
    writes.insert("refunds", REFUND, _of_course(REFUND, refunds), ("course_id", "number"))
    parts = ({"refund_id": r.refund_id, **row_of(PART[1:], part)} for _, r in refunds for part in r.parts)
    writes.insert("refund_parts", PART, parts, ("refund_id", "payment_id"))
    reversals = ((a, r) for a, ids in touched for r in a.reversals if r.reversal_id in ids)
    writes.insert("reversals", REVERSAL, _of_course(REVERSAL, reversals), ("course_id", "reversal_id"))
    writes.append("entries", ENTRY, (row_of(ENTRY, entry) for entry in entries))
    postings = (
        {"entry_id": entry.id, "number": number, **row_of(POSTING[2:], posting)}
        for entry in entries
        for number, posting in enumerate(entry.postings, start=1)
    )
    writes.append("lines", POSTING, postings)
    agreed = _agreed(loaded, accounts)
    _save_terms(writes, agreed)
    _save_what_is_only_added(writes, loaded, accounts)
    save_folders(writes, (state for state in changed.values() if isinstance(state, Folder)))
    patients = [state for state in changed.values() if isinstance(state, Patient)]
    save_patients(writes, patients)
    wake_papers(writes, agreed, patients)


def _save_shares(writes: Writes, loaded: Mapping[str, State], accounts: Iterable[Account]) -> None:
    fresh, going, changed = list[tuple[Account, Share]](), list[tuple[Account, Share]](), list[tuple[Account, Share]]()
    for account in accounts:
        known = {share.session_id.int: share for share in _before(loaded, account).shares}
        for share in account.shares:
            if share.session_id in account.touched:
                was = known.get(share.session_id.int)
                kind = fresh if was is None else going if _rest(was) == _rest(share) else changed
                kind.append((account, share))
    key = ("course_id", "session_id")
    writes.append("shares", SHARE, _of_course(SHARE, fresh))
    writes.update("shares", (*key, *GOING), list(_of_course((*key, *GOING), going)), key)
    writes.update("shares", SHARE, list(_of_course(SHARE, changed)), key)


_rest: Final = values_of(tuple(name for name in Share._fields if name not in GOING))


def _before(loaded: Mapping[str, State], account: Account) -> Account:
    before = loaded[str(account.course_id)]
    assert isinstance(before, Account)
    return before


def _agreed(loaded: Mapping[str, State], accounts: Iterable[Account]) -> list[Account]:
    """Courses that have got terms, or other terms, by what is saved now."""
    agreed = []
    for account in accounts:
        if account.terms is not None and _before(loaded, account).terms is not account.terms:
            agreed.append(account)
    return agreed


def _save_terms(writes: Writes, accounts: Iterable[Account]) -> None:
    """Keep the terms of these courses; most are there already, since courses share them."""
    new = {account.terms.terms_id: account.terms.content for account in accounts if account.terms is not None}
    if new:
        writes.add(
            """INSERT INTO terms (terms_id, content)
               SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:contents AS json[])) ORDER BY 1
               ON CONFLICT DO NOTHING""",
            ids=list(new),
            contents=list(new.values()),
        )


def _save_what_is_only_added(writes: Writes, loaded: Mapping[str, State], accounts: Iterable[Account]) -> None:
    rest = [a for a in accounts if a.authorizations or a.given or a.waivers or a.free_visits]
    kept = {id: len(state.authorizations) for id, state in loaded.items() if isinstance(state, Account)}
    decided = [(a, one) for a in rest for one in a.authorizations[kept.get(str(a.course_id), 0) :]]
    writes.insert("authorizations", AUTHORIZATION, _of_course(AUTHORIZATION, decided))
    given = _of_course(GIVEN, ((a, one) for a in rest for one in a.given))
    writes.insert("given", GIVEN, ({**row, "services": _plain(row["services"])} for row in given))
    writes.insert("waivers", WAIVER, _of_course(WAIVER, [(a, one) for a in rest for one in a.waivers]))
    writes.insert("free_visits", FREE_VISIT, (row_of(FREE_VISIT, one) for a in rest for one in a.free_visits))


def _plain(services: Iterable[Service] | None) -> Any:
    return None if services is None else [service.model_dump(exclude_none=True) for service in services]


_standing: Final = values_of((*STANDING, "terms"))


def _of_course(columns: Sequence[str], items: Iterable[tuple[Account, object]]) -> Iterable[dict[str, Any]]:
    """Rows of what belongs to a course, with its id."""
    own = tuple(column for column in columns if column != "course_id")
    names, values = ("course_id", *own), values_of(own)
    return (dict(zip(names, (account.course_id, *values(item)), strict=True)) for account, item in items)


def _account_row(account: Account) -> dict[str, Any]:
    return row_of(STANDING, account) | {"terms_id": account.terms.terms_id if account.terms else None}


async def _accounts(connection: Connection, ids: Sequence[str]) -> list[Account]:
    here = "course_id = accounts.course_id"
    found = await rows(
        connection,
        f"""SELECT {", ".join(STANDING)},
                   (SELECT CAST(content AS text) FROM terms WHERE terms.terms_id = accounts.terms_id) AS terms,
                   {nested("shares", SHARE[1:], here, "number")} AS shares,
                   {nested("payments", PAYMENT, here, "heard_at, payment_id")} AS payments,
                   {nested("refunds", REFUND[1:], here, "number")} AS refunds,
                   {nested("refund_parts", PART, f"refund_id IN (SELECT refund_id FROM refunds WHERE {here})", PART[1])}
                       AS parts,
                   {nested("reversals", REVERSAL[1:], here, "reversal_id")} AS reversals,
                   {nested("authorizations", AUTHORIZATION[1:], here, "number")} AS authorizations
            FROM accounts WHERE course_id = ANY(CAST(:ids AS uuid[]))""",
        ids=ids,
    )
    return [_account(row) for row in found]


def _account(row: Any) -> Account:
    *own, terms, shares, payments, refunds, parts, reversals, authorizations = row
    return _read_account(
        own,
        terms=None if terms is None else read_terms(terms),
        shares=tuple(map(_read_share, shares)),
        payments=tuple(map(_read_payment, payments)),
        refunds=tuple(
            _read_refund(refund, parts=tuple(RefundedPart(*part) for of, *part in parts if of == refund[0]))
            for refund in refunds
        ),
        reversals=tuple(map(_read_reversal, reversals)),
        authorizations=tuple(map(_read_authorization, authorizations)),
    )

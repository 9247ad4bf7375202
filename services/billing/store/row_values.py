"""How rows become billing's values, and values rows: columns by the fields of each kind. No SQL of its own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, Final

from services.billing.account.account import Account, Stage
from services.billing.account.records import Authorization, Payment, Refund, Reversal
from services.billing.account.share import Share
from shared.contract.closed_sets import (
    AuthorizationDecision,
    Basis,
    By,
    Method,
    Payer,
    RefundReason,
    ReleaseReason,
    ReversalReason,
    SessionState,
    WithdrawalReason,
)

HELD_ELSEWHERE: Final = {
    *("terms", "shares", "payments", "refunds", "reversals", "authorizations", "parts", "lines"),
    *("unposted", "given", "waivers", "free_visits", "touched"),
}
"""What stands in tables or columns of its own. Every other field of a value is the column of that name."""


@cache
def _columns(kind: Any) -> tuple[str, ...]:
    return tuple(name for name in kind._fields if name not in HELD_ELSEWHERE)


def _fields(columns: tuple[str, ...], item: object) -> dict[str, Any]:
    return dict(zip(columns, _values(columns)(item), strict=True))


@cache
def _values(columns: tuple[str, ...]) -> Callable[[object], tuple[Any, ...]]:
    return attrgetter(*columns)  # of two columns or more it gives a tuple


def _of_course(columns: Sequence[str], items: Iterable[tuple[Account, object]]) -> Iterable[dict[str, Any]]:
    own = tuple(column for column in columns if column != "course_id")
    names, values = ("course_id", *own), _values(own)
    return (dict(zip(names, (account.course_id, *values(item)), strict=True)) for account, item in items)


CLOSED_SETS: Final[Mapping[Any, Mapping[str, Any]]] = {
    Account: {"stage": Stage, "payer": Payer},
    Share: {
        "state": SessionState,
        "release": ReleaseReason,
        "basis": Basis,
        "withdrawal": WithdrawalReason,
        "cancelled_by": By,
    },
    Authorization: {"decision": AuthorizationDecision},
    Payment: {"method": Method},
    Refund: {"reason": RefundReason},
    Reversal: {"reason": ReversalReason},
}
"""Which columns hold a name of a closed set."""


def _value(kind: Any, columns: tuple[str, ...], values: Iterable[Any], **parts: Any) -> Any:
    fields = list(values)
    for place, members in _named(kind, columns):
        if (name := fields[place]) is not None:
            fields[place] = members[name]
    return kind(**dict(zip(columns, fields, strict=True)), **parts)


@cache
def _named(kind: Any, columns: tuple[str, ...]) -> list[tuple[int, Mapping[str, Any]]]:
    return [(columns.index(name), {member.value: member for member in of}) for name, of in CLOSED_SETS[kind].items()]

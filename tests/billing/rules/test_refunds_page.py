"""The page about refunds speaks of what there is: its files, functions, entries and reasons."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from services.billing.account.ledger import EntryKind
from shared.contract.closed_sets import RefundReason, WithdrawalReason
from shared.contract.register import EVENTS

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs/refunds.md").read_text()
ROOMS = ("on_payments", "on_requests", "refunds", "settlement", "shares", "withdrawals")


def test_every_file_is_there() -> None:
    named = set(re.findall(r"(?:services/billing|shared|rules|store)/[a-z_/]+\.py", PAGE))
    assert len(named) > 10
    for file in named:
        beginnings = ("", "services/billing/")
        assert any((REPOSITORY / beginning / file).is_file() for beginning in beginnings), file


def test_every_rule_stands_where_the_page_says() -> None:
    in_text = re.findall(rf"`({'|'.join(ROOMS)})\.(\w+)`", PAGE)
    in_picture = [(room, rule) for rule, room in re.findall(r"\[\"(\w+)[^\"]*<br>rules/(\w+)\.py\"\]", PAGE)]
    assert len(in_text) > 6
    assert len(in_picture) > 6
    for room, rule in (*in_text, *in_picture):
        assert hasattr(import_module(f"services.billing.rules.{room}"), rule), f"{room}.{rule}"


def test_every_event_is_one() -> None:
    named = set(re.findall(r"(?:billing|booking|clinic)\.[a-z]+\.[a-z_]+\b", PAGE))
    assert {f"{name}.v1" for name in named} <= set(EVENTS)


@pytest.mark.parametrize("name", [*EntryKind, *RefundReason, *WithdrawalReason])
def test_every_entry_and_reason_is_explained(name: str) -> None:
    assert re.search(rf"(: {name}\n|`{name}`)", PAGE)

"""A database that has lived with the first revision is brought to the newest one, and its courses go on."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import make_url

from services.billing.account.tariff import MissedPolicy
from services.billing.main import MIGRATIONS
from services.billing.store import accounts as store
from shared.contract.billing import PrepaymentSatisfied
from shared.contract.booking import SessionCancelled
from shared.postgres.pool import Database
from tests.billing_story import COURSE, PRICE, T0, Story, confirmed, paid, session_id, starts_at, told

EARLIER = f"""
INSERT INTO accounts (course_id, stage, patient_id, location, treatment, payer, lead_hours, grace_hours, missed,
                      hold_expires_at, balance_cents)
    VALUES ('{COURSE}', 'priced', 'p-1', 'albany', 'ketamine_induction', 'self_pay', 48, 24, 'keep', '{T0}', 0);
INSERT INTO shares VALUES ('{COURSE}', '{session_id(1)}', 1, '{starts_at(1)}', 1, {PRICE}, '{T0}', '{starts_at(1)}',
                           'held', NULL, NULL, 0, 0, 0, false, 0);
INSERT INTO accounts (course_id) VALUES ('{session_id(9)}');
"""


def upgrade(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = make_url(url).set(drivername="postgresql+asyncpg")
    command.upgrade(config, revision)


@pytest.fixture
async def earlier(postgres: str, template_databases: dict[str, str]) -> AsyncIterator[str]:
    """A database of the first revision, with a course that is under way."""
    name = f"earlier_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    url = make_url(postgres).set(database=name).render_as_string(hide_password=False)
    await asyncio.to_thread(upgrade, url, "0001")
    connection = await asyncpg.connect(url)
    await connection.execute(EARLIER)
    await connection.close()
    yield url
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


async def test_a_course_of_the_first_revision_keeps_its_terms_and_goes_on(earlier: str) -> None:
    await asyncio.to_thread(upgrade, earlier, "head")
    database = Database(earlier)
    async with database.begin() as connection:
        account = await store.read_account(connection, COURSE)
        unknown = await store.read_account(connection, session_id(9))
    await database.close()
    assert account is not None
    assert account.terms is not None
    assert (account.terms.due.lead_hours, account.terms.due.grace_hours) == (48, 24)
    assert account.terms.policy.missed is MissedPolicy.KEEP
    assert unknown is not None
    assert unknown.terms is None
    story = Story()
    story.account = account
    story.hear_all(paid(PRICE), confirmed(1), told(SessionCancelled, 1))
    assert len(story.told(PrepaymentSatisfied)) == 1


async def test_what_may_rest_where_is_guarded_after_the_upgrade(earlier: str) -> None:
    await asyncio.to_thread(upgrade, earlier, "head")
    connection = await asyncpg.connect(earlier)
    wrong = (
        f"prepaid_cents = {PRICE}",
        "state = 'released'",
        "cover = 'a'",
        "withdrawal = 'refund'",
        "withdrawn = 1",
        "refunding_cents = 1",
        f"fee_cents = {PRICE + 1}",
    )
    for change in wrong:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"UPDATE shares SET {change}")
    for change in ("terms_id = NULL", "disputed_cents = -1"):
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"UPDATE accounts SET {change}")
    await connection.close()

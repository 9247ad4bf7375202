"""Papers over HTTP: each version as it was issued, for those alone who may look, and who looked is known."""

import pytest

from services.billing.papers.folder import Kind
from tests.facts.booking import session_cancelled
from tests.facts.course import COURSE, DAY, NOW
from tests.stand_ins.billing_papers import ESTIMATE, ROBIN, course, events_of
from tests.stand_ins.billing_rig import Billing


async def test_every_version_can_be_shown_again(billing: Billing) -> None:
    await billing.hear(ROBIN, course(2))
    await billing.until(NOW)
    first = (await billing.get(ESTIMATE)).text
    await billing.hear(session_cancelled(2), at=NOW + DAY)
    await billing.until(NOW + DAY)
    newest = (await billing.get(ESTIMATE)).text
    assert ("version 1, issued Mon Mar 2" in first, "version 2, issued Tue Mar 3" in newest) == (True, True)
    assert (await billing.get(f"{ESTIMATE}?version=1")).text == first
    assert (await billing.get(f"{ESTIMATE}?version=2")).text == newest
    assert (await billing.get(f"{ESTIMATE}?version=3")).status_code == 404
    assert [event["version"] for event in await events_of(billing, "estimate.issued")] == [1, 2]


async def test_who_looked_at_a_paper_is_known(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1))
    await billing.until(NOW)
    await billing.get(ESTIMATE, "front_desk")
    await billing.get(ESTIMATE, "biller")
    found = await billing.query("SELECT caller, action, subject, detail FROM audit ORDER BY caller")
    assert [tuple(row) for row in found] == [
        ("biller", "show_estimate", str(COURSE), "version 1"),
        ("front_desk", "show_estimate", str(COURSE), "version 1"),
    ]


async def test_a_page_is_kept_nowhere_and_fetches_nothing(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1))
    await billing.until(NOW)
    headers = (await billing.get(ESTIMATE)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("kind", list(Kind))
async def test_papers_need_a_key_with_a_role(billing: Billing, kind: Kind) -> None:
    path = f"/v1/{kind}s/{COURSE}"
    assert (await billing.client.get(path)).status_code == 401
    assert (await billing.get(path, "operator")).status_code == 403
    assert (await billing.get(path)).status_code == 404
    assert (await billing.get(f"/v1/{kind}s/5")).status_code == 422

"""Every route needs a key with the right role, and each write an idempotency key."""

import pytest

from tests.stand_ins.reminders_front import CONSENT, TEXTS, Front, sid

READS = [TEXTS, CONSENT, "/v1/replies", f"/v1/replies/{sid(1)}", "/v1/pauses"]
WRITES = [CONSENT, "/v1/pause", "/v1/resume"]


@pytest.mark.parametrize(("method", "path"), [("GET", path) for path in READS] + [("POST", path) for path in WRITES])
async def test_every_route_needs_a_key_with_the_right_role(desk: Front, method: str, path: str) -> None:
    for given, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 401)):
        answer = await desk.client.request(method, path, headers=given | {"Idempotency-Key": "k"}, json={})
        assert answer.status_code == status
    call = desk.get if method == "GET" else desk.post
    assert (await call(path, role="till")).status_code == 403
    assert (await call(path, role="operator")).status_code not in (401, 403)


@pytest.mark.parametrize("path", WRITES)
async def test_a_write_needs_an_idempotency_key(desk: Front, path: str) -> None:
    answer = await desk.client.post(path, json={}, headers={"Authorization": "Bearer a key of the front_desk"})

    assert answer.status_code == 400

"""Whatever goes wrong is told as a problem, and tells nobody's data."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.stand_ins.booking_desk import COURSES, SECRET, Desk, desk, wish
from tests.stand_ins.callers import keys_file


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PATCH", COURSES, 405)])
async def test_what_is_no_route_is_a_problem_too(booking: Desk, method: str, path: str, status: int) -> None:
    answer = await booking.client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (answer.json()["status"], answer.json()["type"]) == (status, "urn:chairtime:http")


async def test_a_defect_is_a_problem_too_and_changes_nothing(
    databases: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError(SECRET)

    async with desk(databases["booking"], keys_file(tmp_path), on_a_socket=True) as booking:
        with monkeypatch.context() as broken:
            broken.setattr(booking.service.worker, "_rules", replace(booking.service.worker._rules, decide=fail))
            answer = await booking.post(COURSES, wish(), key="k")
        assert (answer.status_code, answer.json()["title"]) == (500, "defect")
        assert SECRET not in answer.text
        assert (await booking.post(COURSES, wish(), key="k")).status_code == 201

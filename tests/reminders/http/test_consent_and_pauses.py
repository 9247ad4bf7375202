"""What the desk changes by HTTP: consent and pauses."""

import asyncio
from typing import Any

import pytest

from tests.facts.clinic import contact_updated
from tests.facts.course import HOUR, NOW, PATIENT, PHONE
from tests.stand_ins.reminders_front import CONSENT, Front


async def test_consent_is_shown_with_its_ledger_and_without_the_number(desk: Front) -> None:
    answer = await desk.get(CONSENT)

    assert answer.json()["allowed"] is True
    (entry,) = answer.json()["entries"]
    assert (entry["wording"], entry["source"], entry["for_current_number"]) == ("form-1", "intake", True)
    assert PHONE not in answer.text


async def test_what_a_person_tells_the_desk_counts_and_is_kept_with_whose_key_it_was(desk: Front) -> None:
    declined = await desk.post(CONSENT, {"allowed": False, "wording": "said so at the desk"})
    await desk.rig.walk(NOW + HOUR)

    assert declined.json()["allowed"] is False
    assert declined.json()["entries"][-1]["source"] == "staff"
    assert desk.rig.sender.texts == []
    assert (await desk.told("consent.changed"))[-1] == {"contact_id": PATIENT, "allowed": False, "source": "staff"}
    (kept,) = await desk.rows("SELECT caller, action, subject, detail FROM audit")
    assert tuple(kept.values()) == ("front_desk", "consent", PATIENT, "declined")


async def test_an_older_word_never_undoes_a_later_one(desk: Front) -> None:
    await desk.send()
    await desk.write("stop")
    earlier = {"allowed": True, "wording": "form-2", "recorded_at": (NOW - HOUR).isoformat()}

    assert (await desk.post(CONSENT, earlier)).json()["allowed"] is False
    desk.rig.clock.move(NOW + HOUR)
    assert (await desk.post(CONSENT, {"allowed": True, "wording": "form-3"})).json()["allowed"] is True


async def test_the_same_key_has_one_effect_and_another_body_is_refused(desk: Front) -> None:
    body: dict[str, Any] = {"allowed": False, "wording": "at the desk"}
    first = await desk.post(CONSENT, body, key="k1")
    desk.rig.clock.move(NOW + HOUR)
    again = await desk.post(CONSENT, body, key="k1")
    other = await desk.post(CONSENT, body | {"allowed": True}, key="k1")

    assert first.json() == again.json()
    assert (other.status_code, other.json()["title"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    "body",
    [
        {"allowed": "yes", "wording": "form"},
        {"allowed": True},
        {"allowed": True, "wording": "form", "phone": PHONE},
        {"allowed": True, "wording": "", "recorded_at": None},
        {"allowed": True, "wording": "form", "recorded_at": "2026-03-02T10:00:00"},
        {"allowed": True, "wording": "form", "recorded_at": (NOW + HOUR).isoformat()},
        {"allowed": True, "wording": "fo\u202erm"},
    ],
)
async def test_consent_that_cannot_be_meant_is_refused(desk: Front, body: dict[str, Any]) -> None:
    answer = await desk.post(CONSENT, body)

    assert answer.status_code == 422
    assert PHONE not in answer.text
    assert len((await desk.get(CONSENT)).json()["entries"]) == 1


@pytest.mark.parametrize("what", [{}, {"clinic": "stella"}, {"contact_id": PATIENT}])
async def test_a_pause_stops_texts_at_once_and_a_resumption_lets_them_go(desk: Front, what: dict[str, str]) -> None:
    paused = await desk.post("/v1/pause", what | {"reason": "a fire drill"})
    await desk.rig.walk(NOW + HOUR)
    assert desk.rig.sender.texts == []
    assert (paused.json()[0]["paused_by"], paused.json()[0]["reason"]) == ("front_desk", "a fire drill")
    assert (await desk.get("/v1/pauses")).json() == paused.json()

    resumed = await desk.post("/v1/resume", what)
    await desk.rig.walk(NOW + 3 * HOUR)
    assert (resumed.status_code, resumed.json()) == (200, [])
    assert [text.kind for text in desk.rig.sender.texts] == ["booked"]
    assert [row["action"] for row in await desk.rows("SELECT action FROM audit ORDER BY at")] == ["pause", "resume"]


async def test_what_somebody_else_paused_stays_paused(desk: Front) -> None:
    await desk.post("/v1/pause", {})
    await desk.post("/v1/pause", {"clinic": "albany"})
    left = await desk.post("/v1/resume", {"clinic": "albany"})

    assert [(pause["scope"], pause["subject"]) for pause in left.json()] == [("all", "")]


async def test_a_pause_that_is_asked_for_twice_with_one_key_is_one(desk: Front) -> None:
    await asyncio.gather(*(desk.post("/v1/pause", {}, key="k1") for _ in range(5)))
    await desk.post("/v1/resume", {})
    again = await desk.post("/v1/pause", {}, key="k1")
    other = await desk.post("/v1/pause", {"clinic": "albany"}, key="k1")

    assert again.json() == []  # it had its effect then
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"clinic": "atlantis"}, 404),
        ({"contact_id": "nobody"}, 404),
        ({"clinic": "stella", "contact_id": PATIENT}, 422),
        ({"everything": True}, 422),
        ({"clinic": ""}, 422),
    ],
)
async def test_a_pause_of_nothing_is_refused(desk: Front, body: dict[str, Any], status: int) -> None:
    for path in ("/v1/pause", "/v1/resume"):
        assert (await desk.post(path, body)).status_code == status
    assert (await desk.get("/v1/pauses")).json() == []


async def test_a_change_of_an_audit_row_is_refused_by_the_database(desk: Front) -> None:
    await desk.rig.hear(contact_updated())
    await desk.post("/v1/pause", {})
    for statement in ("UPDATE audit SET caller = 'somebody else'", "DELETE FROM audit"):
        with pytest.raises(Exception, match="permission denied"):
            await desk.rows(statement)

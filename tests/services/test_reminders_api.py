"""What the desk sees and changes by HTTP: texts, replies, consent, pauses."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from deploy.preparing.databases import provision
from services.reminders.main import build
from services.reminders.settings import RemindersSettings
from shared.configuration.settings import Misconfigured, read_settings
from shared.decision.clock import SteppedClock
from tests.reminders_front import Front, open_front, sid
from tests.reminders_rig import MINUTE
from tests.reminders_story import COURSE_ID, HOUR, MONDAY, PATIENT, PHONE, PROFILES, contact

TEXTS, CONSENT = f"/v1/texts?course_id={COURSE_ID}", f"/v1/contacts/{PATIENT}/consent"


@pytest.fixture(scope="module")
def reminders_url(postgres: str) -> str:
    return provision(postgres, suffix="_texts_api")["reminders"]


@pytest.fixture
async def front(reminders_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    """Reminders, which has heard of one confirmed session."""
    async with open_front(reminders_url, tmp_path) as front:
        await front.rig.planned()
        yield front


async def test_texts_are_shown_with_the_wording_that_they_would_have(front: Front) -> None:
    answer = await front.get(TEXTS)

    assert answer.status_code == 200
    texts = answer.json()
    assert [text["kind"] for text in texts] == ["booked", "preparation", "day_before", "day_of"]
    assert {text["state"] for text in texts} == {"scheduled"}
    assert texts[3]["body"].startswith("Stella: see you on Mon Mar 16 at 10:00 AM.")
    assert PHONE not in answer.text


async def test_a_text_that_went_out_is_shown_as_it_was_sent(front: Front) -> None:
    await front.send()
    text = (await front.get(TEXTS)).json()[0]

    (sent,) = front.rig.sender.texts
    assert (text["state"], text["body"], text["provider_sid"]) == ("sent", sent.body, f"SM{sent.attempt_id.hex}")
    assert [step["what"] for step in text["trace"]] == ["planned", "attempt 1", "sent"]


async def test_pages_lead_through_all_texts_once(front: Front) -> None:
    seen, path = [], f"{TEXTS}&limit=3"
    while path:
        answer = await front.get(path)
        seen += [text["kind"] for text in answer.json()]
        path = answer.links["next"]["url"] if "next" in answer.links else ""

    assert seen == ["booked", "preparation", "day_before", "day_of"]
    assert (await front.get(f"{TEXTS}&after={uuid4()}")).status_code == 422
    assert (await front.get(f"{TEXTS}&limit=4")).links == {}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/v1/texts?course_id={UUID(int=404)}", 404),
        ("/v1/texts?course_id=no-id", 422),
        ("/v1/texts?contact_id=nobody", 404),
        (f"/v1/texts?course_id={COURSE_ID}&contact_id={PATIENT}", 422),
        ("/v1/texts", 422),
        (f"{TEXTS}&limit=0", 422),
        (f"{TEXTS}&contact={PATIENT}", 422),
        ("/v1/contacts/nobody/consent", 404),
        ("/v1/replies/nothing", 404),
    ],
)
async def test_what_is_not_there_is_not_found(front: Front, path: str, status: int) -> None:
    assert (await front.get(path)).status_code == status


async def test_replies_are_shown_with_what_answered_them(front: Front) -> None:
    await front.send()
    await front.write("what?")
    front.rig.clock.move(MONDAY + MINUTE)
    await front.write("C")
    await front.write("who is this", phone="+13125550199")
    await front.send()

    replies = (await front.get("/v1/replies")).json()
    assert [(r["body"], r["intent"], r["contact_id"], r["phone"]) for r in replies] == [
        ("who is this", "unclear", None, "+13125550199"),
        ("C", "confirm", PATIENT, None),
        ("what?", "unclear", PATIENT, None),
    ]
    first = await front.get("/v1/replies", contact_id=PATIENT, limit=1)
    rest = await front.get(first.links["next"]["url"])
    assert [r["body"] for r in (*first.json(), *rest.json())] == ["C", "what?"]
    assert (await front.get(f"/v1/replies/{sid(2)}")).json()["body"] == "C"
    (answer,) = (await front.get("/v1/texts", contact_id=PATIENT)).json()
    assert (answer["kind"], answer["state"], answer["course_id"]) == ("unmonitored_reply", "sent", None)


async def test_consent_is_shown_with_its_ledger_and_without_the_number(front: Front) -> None:
    answer = await front.get(CONSENT)

    assert answer.json()["allowed"] is True
    (entry,) = answer.json()["entries"]
    assert (entry["wording"], entry["source"], entry["for_current_number"]) == ("form-1", "intake", True)
    assert PHONE not in answer.text


async def test_what_a_person_tells_the_desk_counts_and_is_kept_with_whose_key_it_was(front: Front) -> None:
    declined = await front.post(CONSENT, {"allowed": False, "wording": "said so at the desk"})
    await front.rig.walk(MONDAY + HOUR)

    assert declined.json()["allowed"] is False
    assert declined.json()["entries"][-1]["source"] == "staff"
    assert front.rig.sender.texts == []
    assert (await front.told("consent.changed"))[-1] == {"contact_id": PATIENT, "allowed": False, "source": "staff"}
    (kept,) = await front.rows("SELECT caller, action, subject, detail FROM audit")
    assert tuple(kept.values()) == ("front_desk", "consent", PATIENT, "declined")


async def test_an_older_word_never_undoes_a_later_one(front: Front) -> None:
    await front.send()
    await front.write("stop")
    earlier = {"allowed": True, "wording": "form-2", "recorded_at": (MONDAY - HOUR).isoformat()}

    assert (await front.post(CONSENT, earlier)).json()["allowed"] is False
    front.rig.clock.move(MONDAY + HOUR)
    assert (await front.post(CONSENT, {"allowed": True, "wording": "form-3"})).json()["allowed"] is True


async def test_the_same_key_has_one_effect_and_another_body_is_refused(front: Front) -> None:
    body: dict[str, Any] = {"allowed": False, "wording": "at the desk"}
    first = await front.post(CONSENT, body, key="k1")
    front.rig.clock.move(MONDAY + HOUR)
    again = await front.post(CONSENT, body, key="k1")
    other = await front.post(CONSENT, body | {"allowed": True}, key="k1")

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
        {"allowed": True, "wording": "form", "recorded_at": (MONDAY + HOUR).isoformat()},
        {"allowed": True, "wording": "fo\u202erm"},
    ],
)
async def test_consent_that_cannot_be_meant_is_refused(front: Front, body: dict[str, Any]) -> None:
    answer = await front.post(CONSENT, body)

    assert answer.status_code == 422
    assert PHONE not in answer.text
    assert len((await front.get(CONSENT)).json()["entries"]) == 1


@pytest.mark.parametrize("what", [{}, {"clinic": "stella"}, {"contact_id": PATIENT}])
async def test_a_pause_stops_texts_at_once_and_a_resumption_lets_them_go(front: Front, what: dict[str, str]) -> None:
    paused = await front.post("/v1/pause", what | {"reason": "a fire drill"})
    await front.rig.walk(MONDAY + HOUR)
    assert front.rig.sender.texts == []
    assert (paused.json()[0]["paused_by"], paused.json()[0]["reason"]) == ("front_desk", "a fire drill")
    assert (await front.get("/v1/pauses")).json() == paused.json()

    resumed = await front.post("/v1/resume", what)
    await front.rig.walk(MONDAY + 2 * HOUR)
    assert (resumed.status_code, resumed.json()) == (200, [])
    assert [text.kind for text in front.rig.sender.texts] == ["booked"]
    assert [row["action"] for row in await front.rows("SELECT action FROM audit ORDER BY at")] == ["pause", "resume"]


async def test_what_somebody_else_paused_stays_paused(front: Front) -> None:
    await front.post("/v1/pause", {})
    await front.post("/v1/pause", {"clinic": "albany"})
    left = await front.post("/v1/resume", {"clinic": "albany"})

    assert [(pause["scope"], pause["subject"]) for pause in left.json()] == [("all", "")]


async def test_a_pause_that_is_asked_for_twice_with_one_key_is_one(front: Front) -> None:
    await asyncio.gather(*(front.post("/v1/pause", {}, key="k1") for _ in range(5)))
    await front.post("/v1/resume", {})
    again = await front.post("/v1/pause", {}, key="k1")
    other = await front.post("/v1/pause", {"clinic": "albany"}, key="k1")

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
async def test_a_pause_of_nothing_is_refused(front: Front, body: dict[str, Any], status: int) -> None:
    for path in ("/v1/pause", "/v1/resume"):
        assert (await front.post(path, body)).status_code == status
    assert (await front.get("/v1/pauses")).json() == []


READS = [TEXTS, CONSENT, "/v1/replies", f"/v1/replies/{sid(1)}", "/v1/pauses"]
WRITES = [CONSENT, "/v1/pause", "/v1/resume"]


@pytest.mark.parametrize(("method", "path"), [("GET", path) for path in READS] + [("POST", path) for path in WRITES])
async def test_every_route_needs_a_key_with_the_right_role(front: Front, method: str, path: str) -> None:
    for given, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 401)):
        answer = await front.client.request(method, path, headers=given | {"Idempotency-Key": "k"}, json={})
        assert answer.status_code == status
    call = front.get if method == "GET" else front.post
    assert (await call(path, role="till")).status_code == 403
    assert (await call(path, role="operator")).status_code not in (401, 403)


@pytest.mark.parametrize("path", WRITES)
async def test_a_write_needs_an_idempotency_key(front: Front, path: str) -> None:
    answer = await front.client.post(path, json={}, headers={"Authorization": "Bearer a key of the front_desk"})

    assert answer.status_code == 400


async def test_a_change_of_an_audit_row_is_refused_by_the_database(front: Front) -> None:
    await front.rig.hear(contact())
    await front.post("/v1/pause", {})
    for statement in ("UPDATE audit SET caller = 'somebody else'", "DELETE FROM audit"):
        with pytest.raises(Exception, match="permission denied"):
            await front.rows(statement)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "CHAIRTIME_TWILIO_ACCOUNT_SID: is not set"),
        ({"twilio_account_sid": "AC1"}, "CHAIRTIME_TWILIO_AUTH_TOKEN: is not set"),
        ({"twilio_account_sid": "AC1", "twilio_auth_token": "short"}, "CHAIRTIME_TWILIO_AUTH_TOKEN: is not set or too"),
        ({"twilio_account_sid": "AC1", "twilio_auth_token": "x" * 32}, "CHAIRTIME_PUBLIC_URL: is not set"),
        (
            {
                "twilio_account_sid": "AC1",
                "twilio_auth_token": "x" * 32,
                "twilio_numbers": "albany=+15550100001",
                "public_url": "https://texts.example",
            },
            "CHAIRTIME_TWILIO_NUMBERS: there is none for stabilization, stella, sturges",
        ),
        ({"twilio_numbers": "albany=5550100001"}, "CHAIRTIME_TWILIO_NUMBERS: the number of 'albany' is not E.164"),
        ({"sms": "pigeon"}, "CHAIRTIME_SMS: "),
    ],
)
async def test_sending_by_twilio_needs_all_its_settings(given: dict[str, Any], line: str) -> None:
    common = {"kafka": "x", "reminders_database": "postgresql:///x", "profiles": PROFILES, "sms": "twilio"}
    with pytest.raises(Misconfigured) as refusal:
        build(read_settings(RemindersSettings, **common | given), SteppedClock(MONDAY))

    assert str(refusal.value).startswith(line)
    assert "x" * 32 not in str(refusal.value)

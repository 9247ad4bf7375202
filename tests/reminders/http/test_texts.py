"""What the desk sees by HTTP: texts and replies."""

from uuid import UUID, uuid4

import pytest

from tests.facts.course import COURSE, MINUTE, NOW, PATIENT, PHONE
from tests.stand_ins.reminders_front import TEXTS, Front, sid


async def test_texts_are_shown_with_the_wording_that_they_would_have(desk: Front) -> None:
    answer = await desk.get(TEXTS)

    assert answer.status_code == 200
    texts = answer.json()
    assert [text["kind"] for text in texts] == ["booked", "preparation", "day_before", "day_of"]
    assert {text["state"] for text in texts} == {"scheduled"}
    assert texts[3]["body"].startswith("Stella: see you on Tue Mar 10 at 10:00 AM.")
    assert PHONE not in answer.text


async def test_a_text_that_went_out_is_shown_as_it_was_sent(desk: Front) -> None:
    await desk.send()
    text = (await desk.get(TEXTS)).json()[0]

    (sent,) = desk.rig.sender.texts
    assert (text["state"], text["body"], text["provider_sid"]) == ("sent", sent.body, f"SM{sent.attempt_id.hex}")
    assert [step["what"] for step in text["trace"]] == ["planned", "attempt 1", "sent"]


async def test_pages_lead_through_all_texts_once(desk: Front) -> None:
    seen, path = [], f"{TEXTS}&limit=3"
    while path:
        answer = await desk.get(path)
        seen += [text["kind"] for text in answer.json()]
        path = answer.links["next"]["url"] if "next" in answer.links else ""

    assert seen == ["booked", "preparation", "day_before", "day_of"]
    assert (await desk.get(f"{TEXTS}&after={uuid4()}")).status_code == 422
    assert (await desk.get(f"{TEXTS}&limit=4")).links == {}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/v1/texts?course_id={UUID(int=404)}", 404),
        ("/v1/texts?course_id=no-id", 422),
        ("/v1/texts?contact_id=nobody", 404),
        (f"/v1/texts?course_id={COURSE}&contact_id={PATIENT}", 422),
        ("/v1/texts", 422),
        (f"{TEXTS}&limit=0", 422),
        (f"{TEXTS}&contact={PATIENT}", 422),
        ("/v1/contacts/nobody/consent", 404),
        ("/v1/replies/nothing", 404),
    ],
)
async def test_what_is_not_there_is_not_found(desk: Front, path: str, status: int) -> None:
    assert (await desk.get(path)).status_code == status


async def test_replies_are_shown_with_what_answered_them(desk: Front) -> None:
    await desk.send()
    await desk.write("what?")
    desk.rig.clock.move(NOW + MINUTE)
    await desk.write("C")
    await desk.write("who is this", phone="+13125550199")
    await desk.send()

    replies = (await desk.get("/v1/replies")).json()
    assert [(r["body"], r["intent"], r["contact_id"], r["phone"]) for r in replies] == [
        ("who is this", "unclear", None, "+13125550199"),
        ("C", "confirm", PATIENT, None),
        ("what?", "unclear", PATIENT, None),
    ]
    first = await desk.get("/v1/replies", contact_id=PATIENT, limit=1)
    rest = await desk.get(first.links["next"]["url"])
    assert [r["body"] for r in (*first.json(), *rest.json())] == ["C", "what?"]
    assert (await desk.get(f"/v1/replies/{sid(2)}")).json()["body"] == "C"
    (answer,) = (await desk.get("/v1/texts", contact_id=PATIENT)).json()
    assert (answer["kind"], answer["state"], answer["course_id"]) == ("unmonitored_reply", "sent", None)

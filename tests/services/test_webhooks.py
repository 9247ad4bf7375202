"""Twilio's webhooks on the real app and database: who is let in, what has its one effect, what is kept."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deploy.local.fake_twilio import ACCOUNT_SID, inbound, signature
from deploy.preparing.databases import provision
from services.reminders.http.webhooks import Account
from services.reminders.people.hearing import decide_reply
from services.reminders.rules import decide as rules
from services.reminders.text.provider import Accepted, Unknown
from shared.decision.message import Message
from tests.reminders_front import NUMBERS, PUBLIC, Front, open_front, sid
from tests.reminders_rig import MINUTE, K
from tests.reminders_story import HOUR, MONDAY, PATIENT, PHONE, contact, session_id, starts_at

INBOUND, STATUS = "/webhooks/twilio/inbound", "/webhooks/twilio/status"
OTHER = "patient-2"


@pytest.fixture(scope="module")
def reminders_url(postgres: str) -> str:
    return provision(postgres, suffix="_webhooks")["reminders"]


@pytest.fixture
async def front(reminders_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(reminders_url, tmp_path) as front:
        yield front


def report(status: str, of: str, code: str = "", account: str = ACCOUNT_SID) -> dict[str, str]:
    """What Twilio tells of a text."""
    told = {"AccountSid": account, "ApiVersion": "2010-04-01", "MessageSid": of, "MessageStatus": status, "To": PHONE}
    return told | ({"ErrorCode": code} if code else {})


def said(body: str = "C", of: str = sid(1)) -> dict[str, str]:
    """What Twilio tells of a text that came."""
    return inbound(of, PHONE, NUMBERS["stella"], body)


async def texted(front: Front) -> tuple[str, str]:
    """Somebody has had a text; its SID and its attempt."""
    await front.rig.planned()
    await front.send()
    (text,) = front.rig.sender.texts
    return f"SM{text.attempt_id.hex}", f"attempt={text.attempt_id}"


@pytest.mark.parametrize(
    ("path", "query", "changed", "good"),
    [
        ("/myapp.php", "foo=1&bar=2", {}, True),
        ("/myapp.php", "foo=1&bar=3", {}, False),
        ("/myapp.php", "", {}, False),
        ("/other.php", "foo=1&bar=2", {}, False),
        ("/myapp.php", "foo=1&bar=2", {"Digits": "1235"}, False),
        ("/myapp.php", "foo=1&bar=2", {"More": ""}, False),
    ],
)
def test_the_signature_of_twilios_own_documentation(path: str, query: str, changed: dict[str, str], good: bool) -> None:
    """Source: the worked example in Twilio's page on webhook security, with its token 12345."""
    account = Account("AC1", "12345", "https://mycompany.com/", {})
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }
    assert account.signed(path, query, form | changed, "GvWf1cFY/Q7PnoempGyD5oXAezc=") is good


@pytest.mark.parametrize("signed", ["", "no", "=" * 28])
@pytest.mark.parametrize("path", [INBOUND, STATUS])
async def test_a_forged_signature_is_refused(front: Front, path: str, signed: str) -> None:
    form = said() if path == INBOUND else report("sent", sid(1))
    answer = await front.webhook(path, form, signed=signed)

    assert (answer.status_code, answer.json()["title"]) == (403, "bad_signature")
    assert await front.rows("SELECT * FROM replies") == []


@pytest.mark.parametrize("path", [INBOUND, STATUS])
async def test_a_missing_signature_is_refused(front: Front, path: str) -> None:
    answer = await front.client.post(path, data=said())

    assert answer.status_code == 403


async def test_the_url_is_the_configured_one_whatever_the_request_says(front: Front) -> None:
    form = said()
    lies = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    for_evil = signature(f"https://evil.example{INBOUND}", form)

    assert (await front.webhook(INBOUND, form, signed=for_evil, **lies)).status_code == 403
    assert (await front.webhook(INBOUND, form, **lies)).status_code == 200


async def test_a_signature_for_another_route_or_attempt_opens_nothing(front: Front) -> None:
    form = report("delivered", sid(1))
    for_other = signature(f"{PUBLIC}{STATUS}?attempt={UUID(int=1)}", form)

    assert (await front.webhook(STATUS, form, f"attempt={UUID(int=2)}", for_other)).status_code == 403
    assert (await front.webhook(INBOUND, form, signed=signature(f"{PUBLIC}{STATUS}", form))).status_code == 403


async def test_without_an_account_nothing_is_heard(reminders_url: str, tmp_path: Path) -> None:
    for lacking in ({"twilio_auth_token": None}, {"public_url": None}):
        async with open_front(reminders_url, tmp_path, **lacking) as front:
            assert (await front.webhook(INBOUND, said())).status_code == 403


def re_split(form: dict[str, str], path: str) -> list[dict[str, str]]:
    """Every other form of the same signed characters: cut in another place, or joined with the next."""
    names = sorted(form)
    forms = []
    for name, following in itertools.pairwise(names):
        rest = {n: v for n, v in form.items() if n not in (name, following)}
        forms.append(rest | {name: f"{form[name]}{following}{form[following]}"})
        forms += [
            rest | {name: form[name][:cut], form[name][cut:]: "", following: form[following]}
            for cut in range(len(form[name]))
            if name < form[name][cut:] < following
        ]
        forms += [
            rest | {name: form[name] + following[:cut], following[cut:]: form[following]}
            for cut in range(1, len(following))
            if name < following[cut:]
        ]
    url = f"{PUBLIC}{path}"
    return [cut for cut in forms if cut != form and signature(url, cut) == signature(url, form)]


async def test_parameters_that_are_split_in_another_place_are_refused(front: Front) -> None:
    form = {
        n: v for n, v in said("please StopDont stop").items() if n in ("AccountSid", "Body", "From", "MessageSid", "To")
    }
    forged = re_split(form, INBOUND)
    assert len(forged) > 5
    assert {"Body": "please Stop", "Dont stop": ""}.items() <= {
        **forged[[f.get("Body") for f in forged].index("please Stop")]
    }.items()

    for one in forged:
        assert (await front.webhook(INBOUND, one)).status_code in (400, 403), one
    assert await front.rows("SELECT * FROM replies") == []
    assert (await front.webhook(INBOUND, form)).status_code == 200


async def test_a_report_that_is_split_in_another_place_is_refused(front: Front) -> None:
    of, attempt = await texted(front)
    form = report("undelivered", of, "30003")
    forged = re_split(form, f"{STATUS}?{attempt}")
    assert forged

    for one in forged:
        assert (await front.webhook(STATUS, one, attempt)).status_code in (400, 403), one
    assert await front.told("text.failed") == []


@pytest.mark.parametrize(
    ("path", "changed", "status"),
    [
        (STATUS, {"MessageSid": "SM1"}, 400),
        (STATUS, {"MessageSid": "XX" + "0" * 32}, 400),
        (STATUS, {"MessageStatus": "eaten"}, 400),
        (STATUS, {"ErrorCode": "none"}, 400),
        (STATUS, {"AccountSid": "AC" + "1" * 32}, 403),
        (STATUS, {"AccountSid": "1"}, 400),
        (INBOUND, {"MessageSid": "SM" + "g" * 32}, 400),
        (INBOUND, {"From": "5550100"}, 400),
        (INBOUND, {"To": ""}, 400),
        (INBOUND, {"Body": "x" * 5000}, 400),
        (INBOUND, {"AccountSid": "AC" + "1" * 32}, 403),
    ],
)
async def test_a_field_that_is_malformed_is_named_and_not_quoted(
    front: Front, path: str, changed: dict[str, str], status: int
) -> None:
    form = (said() if path == INBOUND else report("sent", sid(1))) | changed
    answer = await front.webhook(path, form)

    assert answer.status_code == status
    (name,) = changed
    assert name in answer.json()["detail"]
    assert not changed[name] or changed[name] not in answer.text.replace(name, "")


@pytest.mark.parametrize("missing", ["MessageSid", "AccountSid", "From", "To", "Body"])
async def test_a_field_that_is_missing_is_named(front: Front, missing: str) -> None:
    form = {name: value for name, value in said().items() if name != missing}

    answer = await front.webhook(INBOUND, form)
    assert (answer.status_code, missing in answer.json()["detail"]) == (400, True)


async def test_what_is_no_form_is_refused(front: Front) -> None:
    as_json = await front.client.post(INBOUND, json=said())
    large = await front.webhook(INBOUND, said() | {"AddOns": "x" * 70_000})
    twice = await front.client.post(
        INBOUND, content="Body=1&Body=2", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    odd = await front.webhook(STATUS, report("sent", sid(1)), "attempt=one")

    assert [a.status_code for a in (as_json, large, twice, odd)] == [415, 413, 400, 400]


@pytest.mark.parametrize("order", list(itertools.permutations(["queued", "sent", "delivered"])))
async def test_reports_in_any_order_and_repeated_lead_to_the_same_end(front: Front, order: tuple[str, ...]) -> None:
    of, attempt = await texted(front)
    for status in (*order, *order):
        assert (await front.webhook(STATUS, report(status, of), attempt)).status_code == 204

    (text,) = await front.rows("SELECT state, provider_status FROM texts WHERE provider_sid IS NOT NULL")
    assert text == {"state": "delivered", "provider_status": "delivered"}
    assert len(await front.told("text.delivered")) == 1
    assert len(await front.told("text.sent")) == 1


async def test_a_report_that_comes_twenty_times_at_once_has_one_effect(front: Front) -> None:
    of, attempt = await texted(front)
    answers = await asyncio.gather(*(front.webhook(STATUS, report("delivered", of), attempt) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {204}
    assert len(await front.told("text.delivered")) == 1


async def test_a_failure_is_told_with_its_code_and_stays_one(front: Front) -> None:
    of, attempt = await texted(front)
    await front.webhook(STATUS, report("undelivered", of, "30003"), attempt)
    await front.webhook(STATUS, report("delivered", of), attempt)

    (failed,) = await front.told("text.failed")
    assert (failed["code"], failed["kind"]) == ("30003", "booked")
    assert await front.told("text.delivered") == []


async def test_a_report_settles_what_nobody_could_know(front: Front) -> None:
    await front.rig.planned()
    front.rig.sender.outcome = Unknown("TimeoutError")
    await front.send()
    (text,) = front.rig.sender.texts
    await front.webhook(STATUS, report("sent", sid(9)), f"attempt={text.attempt_id}")

    assert len(await front.told("text.sent")) == 1
    assert [
        (row["state"], row["provider_sid"]) for row in await front.rows("SELECT * FROM texts WHERE body IS NOT NULL")
    ] == [("sent", sid(9))]


async def test_a_report_that_comes_before_the_answer_of_the_call_counts_and_the_answer_changes_nothing(
    front: Front,
) -> None:
    async def overtake() -> None:
        (text,) = front.rig.sender.texts
        await front.webhook(STATUS, report("delivered", f"SM{text.attempt_id.hex}"), f"attempt={text.attempt_id}")

    await front.rig.planned()
    front.rig.sender.before = overtake
    await front.send()

    assert [len(await front.told(type)) for type in ("text.sent", "text.delivered")] == [1, 1]
    (row,) = await front.rows("SELECT state FROM texts WHERE body IS NOT NULL")
    assert row["state"] == "delivered"


async def test_a_report_of_an_unknown_message_is_kept(front: Front) -> None:
    for _ in range(2):
        assert (await front.webhook(STATUS, report("failed", sid(5), "30007"))).status_code == 202
    unknown = await front.webhook(STATUS, report("sent", sid(6)), f"attempt={UUID(int=6)}")

    assert unknown.status_code == 202
    kept = await front.rows("SELECT sid, status, code, attempt_id FROM stray_reports ORDER BY sid")
    assert [tuple(row.values()) for row in kept] == [
        (sid(5), "failed", "30007", None),
        (sid(6), "sent", "", UUID(int=6)),
    ]


async def test_a_carrier_that_tells_later_of_an_opt_out_is_believed(front: Front) -> None:
    of, attempt = await texted(front)
    await front.webhook(STATUS, report("failed", of, "21610"), attempt)

    assert (await front.told("consent.changed"))[-1] == {"contact_id": PATIENT, "allowed": False, "source": "carrier"}


async def test_stop_covers_everybody_on_the_phone_is_confirmed_once_and_then_there_is_silence(front: Front) -> None:
    await front.rig.hear(contact().model_copy(update={"contact_id": OTHER}))
    await texted(front)
    answer = await front.write(" stop.")
    sent = await front.send()
    await front.write("STOP")
    await front.write("is anybody there?")
    await front.rig.walk(starts_at(1))

    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/xml")
    assert "<Response></Response>" in answer.text
    assert sent == ["booked", "opt_out_confirmed"]
    assert await front.send() == sent
    changed = [data for data in await front.told("consent.changed") if not data["allowed"]]
    assert [(data["contact_id"], data["source"]) for data in changed] == [(PATIENT, "text"), (OTHER, "text")]
    assert (await front.rig.became())[K.DAY_OF][1] == "opted_out"
    assert await front.rig.attention() == ["unclear_reply"]


async def test_a_stop_covers_who_gets_the_number_afterwards(front: Front) -> None:
    await texted(front)
    await front.write("stop")
    await front.rig.hear(contact().model_copy(update={"contact_id": OTHER}))

    consent = (await front.get(f"/v1/contacts/{OTHER}/consent")).json()
    assert (consent["allowed"], consent["opted_out"]) == (False, True)
    assert [entry["wording"] for entry in consent["entries"]] == ["form-1", "STOP"]


async def test_the_same_text_twenty_times_at_once_has_one_effect(front: Front) -> None:
    await texted(front)
    answers = await asyncio.gather(*(front.webhook(INBOUND, said("what?")) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert [reply["intent"] for reply in await front.told("reply.received")] == ["unclear"]
    assert await front.send() == ["booked", "unmonitored_reply"]
    assert len(await front.rows("SELECT * FROM replies")) == 1


async def test_twenty_texts_at_once_from_a_phone_that_nobody_knew_are_one_conversation(front: Front) -> None:
    await asyncio.gather(*(front.webhook(INBOUND, said("hello", sid(n))) for n in range(1, 21)))

    assert len(await front.rows("SELECT * FROM phones")) == 1
    assert len(await front.rows("SELECT * FROM replies")) == 20
    assert set(await front.rig.attention()) == {"reply_from_nobody"}


async def test_c_is_about_the_next_appointment_that_was_texted(front: Front) -> None:
    await texted(front)
    await front.write("C")

    (reply,) = await front.told("reply.received")
    assert (reply["intent"], reply["session_id"]) == ("confirm", str(session_id(1)))


async def test_an_appointment_that_nobody_was_texted_about_is_not_confirmed(front: Front) -> None:
    await front.rig.planned()
    await front.write("C")

    assert [reply["intent"] for reply in await front.told("reply.received")] == ["unclear"]


async def test_an_appointment_that_has_begun_is_not_confirmed_any_more(front: Front) -> None:
    await texted(front)
    front.rig.clock.move(starts_at(1))
    await front.write("C")

    assert [reply["intent"] for reply in await front.told("reply.received")] == ["unclear"]


async def test_what_is_not_understood_is_answered_at_once_even_at_night(front: Front) -> None:
    await texted(front)
    front.rig.clock.move(MONDAY + 14 * HOUR)  # midnight in Chicago
    await front.write("I do not want to live any more")

    assert await front.send() == ["booked", "unmonitored_reply"]
    body = front.rig.sender.texts[-1].body
    assert all(part in body for part in ("911", "988", "630-555-0136"))
    (reply,) = await front.told("reply.received")
    assert (reply["intent"], reply["course_id"]) == ("unclear", (await front.told("text.sent"))[0]["course_id"])


async def test_a_confirmation_that_cannot_go_out_in_five_minutes_never_does(front: Front) -> None:
    await texted(front)
    await front.write("stop")
    front.rig.clock.move(MONDAY + 6 * MINUTE)

    assert await front.send() == ["booked"]


async def test_stop_and_start_at_the_same_instant_count_in_the_order_in_which_they_came(front: Front) -> None:
    await texted(front)
    for word in ("stop", "start", "stop", "unstop"):
        await front.write(word)

    consent = (await front.get(f"/v1/contacts/{PATIENT}/consent")).json()
    assert (consent["allowed"], consent["opted_out"]) == (True, False)
    assert [entry["wording"] for entry in consent["entries"]] == ["form-1", "STOP", "START", "STOP", "START"]


async def test_numbers_and_words_are_where_they_may_be_and_nowhere_else(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await texted(front)
    for body in ("stop", "my secret is Zebra", "start", "C"):
        await front.write(body)
    await front.send()
    tables = await front.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for name in {table["tablename"] for table in tables} - {"contacts", "phones", "replies"}:
        stored = str(await front.rows(f"SELECT convert_to(t::text, 'UTF8') AS row FROM {name} t"))
        assert PHONE not in stored, name
        assert "Zebra" not in stored, name
    for row in await front.rows("SELECT key, value FROM outbox"):
        assert PHONE.encode() not in bytes(row["key"]) + bytes(row["value"])
        assert b"Zebra" not in bytes(row["key"]) + bytes(row["value"])
    assert PHONE not in caplog.text
    assert "Zebra" not in caplog.text


async def test_an_erased_persons_words_and_number_are_gone(front: Front) -> None:
    await texted(front)
    await front.write("call me")
    await front.rig.erase()

    (reply,) = await front.rows("SELECT body, contact_id, phone FROM replies JOIN phones USING (conversation_id)")
    assert reply == {"body": None, "contact_id": PATIENT, "phone": None}
    await front.write("it is me again")
    assert "reply_from_nobody" in await front.rig.attention()


async def test_a_number_that_somebody_else_has_too_stays_when_one_is_erased(front: Front) -> None:
    await front.rig.hear(contact().model_copy(update={"contact_id": OTHER}))
    await texted(front)
    await front.write("call me")
    await front.rig.erase()

    assert [row["phone"] for row in await front.rows("SELECT phone FROM phones")] == [PHONE]


async def test_a_defect_keeps_what_was_said_and_never_holds_back_a_stop(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    await texted(front)
    worker = front.app.state.service.worker

    def fail(places: Any, conversation: Any, message: Message, contacts: Any) -> Any:
        if message.data.body == "C":  # type: ignore[attr-defined]
            raise ZeroDivisionError("Zebra")
        return decide_reply(places, conversation, message, contacts)

    monkeypatch.setattr(rules, "decide_reply", fail)
    assert (await front.write("C")).status_code == 200
    assert (await front.write("R")).status_code == 200
    assert (await front.write("stop")).status_code == 200
    letters = await front.rows("SELECT id, kind, topic, error_type FROM dead_letters ORDER BY id")
    assert [row["kind"] for row in letters] == ["defect", "held_back"]
    assert (await front.get(f"/v1/contacts/{PATIENT}/consent")).json()["opted_out"] is True
    (announced,) = await front.rows("SELECT key, value FROM outbox WHERE topic = 'reminders.dead-letters'")
    assert announced == {"key": None, "value": None}

    monkeypatch.undo()
    assert await worker.retry(letters[0]["id"], "operator") == 2
    assert [r["intent"] for r in await front.told("reply.received")] == ["opt_out", "confirm", "cannot_come"]


async def test_an_answer_that_a_provider_takes_is_told_by_contact(front: Front) -> None:
    await texted(front)
    front.rig.sender.outcome = Accepted(sid(8))
    await front.write("HELP")
    await front.send()

    (row,) = await front.rows("SELECT key FROM outbox WHERE convert_from(value, 'UTF8') LIKE '%\"kind\":\"help\"%'")
    assert bytes(row["key"]).decode() == PATIENT

"""Twilio's webhooks on the real app and database: who is let in, and what a report makes of a text."""

import asyncio
import itertools
from pathlib import Path
from uuid import UUID

import pytest

from deploy.local.fake_twilio import ACCOUNT_SID, signature
from services.reminders.http.webhooks import Account
from services.reminders.text.provider import Unknown
from tests.facts.course import PATIENT, PHONE
from tests.stand_ins.reminders_front import INBOUND, PUBLIC, STATUS, Front, open_front, sid, what_came


def report(status: str, of: str, code: str = "", account: str = ACCOUNT_SID) -> dict[str, str]:
    """What Twilio tells of a text."""
    told = {"AccountSid": account, "ApiVersion": "2010-04-01", "MessageSid": of, "MessageStatus": status, "To": PHONE}
    return told | ({"ErrorCode": code} if code else {})


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
    form = what_came() if path == INBOUND else report("sent", sid(1))
    answer = await front.webhook(path, form, signed=signed)

    assert (answer.status_code, answer.json()["title"]) == (403, "bad_signature")
    assert await front.rows("SELECT * FROM replies") == []


@pytest.mark.parametrize("path", [INBOUND, STATUS])
async def test_a_missing_signature_is_refused(front: Front, path: str) -> None:
    answer = await front.client.post(path, data=what_came())

    assert answer.status_code == 403


async def test_the_url_is_the_configured_one_whatever_the_request_says(front: Front) -> None:
    form = what_came()
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
            assert (await front.webhook(INBOUND, what_came())).status_code == 403


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
        n: v
        for n, v in what_came("please StopDont stop").items()
        if n in ("AccountSid", "Body", "From", "MessageSid", "To")
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
    of, attempt = await front.texted()
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
    form = (what_came() if path == INBOUND else report("sent", sid(1))) | changed
    answer = await front.webhook(path, form)

    assert answer.status_code == status
    (name,) = changed
    assert name in answer.json()["detail"]
    assert not changed[name] or changed[name] not in answer.text.replace(name, "")


@pytest.mark.parametrize("missing", ["MessageSid", "AccountSid", "From", "To", "Body"])
async def test_a_field_that_is_missing_is_named(front: Front, missing: str) -> None:
    form = {name: value for name, value in what_came().items() if name != missing}

    answer = await front.webhook(INBOUND, form)
    assert (answer.status_code, missing in answer.json()["detail"]) == (400, True)


async def test_what_is_no_form_is_refused(front: Front) -> None:
    as_json = await front.client.post(INBOUND, json=what_came())
    large = await front.webhook(INBOUND, what_came() | {"AddOns": "x" * 70_000})
    twice = await front.client.post(
        INBOUND, content="Body=1&Body=2", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    odd = await front.webhook(STATUS, report("sent", sid(1)), "attempt=one")

    assert [a.status_code for a in (as_json, large, twice, odd)] == [415, 413, 400, 400]


@pytest.mark.parametrize("order", list(itertools.permutations(["queued", "sent", "delivered"])))
async def test_reports_in_any_order_and_repeated_lead_to_the_same_end(front: Front, order: tuple[str, ...]) -> None:
    of, attempt = await front.texted()
    for status in (*order, *order):
        assert (await front.webhook(STATUS, report(status, of), attempt)).status_code == 204

    (text,) = await front.rows("SELECT state, provider_status FROM texts WHERE provider_sid IS NOT NULL")
    assert text == {"state": "delivered", "provider_status": "delivered"}
    assert len(await front.told("text.delivered")) == 1
    assert len(await front.told("text.sent")) == 1


async def test_a_report_that_comes_twenty_times_at_once_has_one_effect(front: Front) -> None:
    of, attempt = await front.texted()
    answers = await asyncio.gather(*(front.webhook(STATUS, report("delivered", of), attempt) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {204}
    assert len(await front.told("text.delivered")) == 1


async def test_a_failure_is_told_with_its_code_and_stays_one(front: Front) -> None:
    of, attempt = await front.texted()
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
    of, attempt = await front.texted()
    await front.webhook(STATUS, report("failed", of, "21610"), attempt)

    assert (await front.told("consent.changed"))[-1] == {"contact_id": PATIENT, "allowed": False, "source": "carrier"}

"""What patients write back, on the whole of Chairtime: signed with the account that `up.json` names."""

from datetime import timedelta

import aiohttp

from deploy.local.fake_twilio import post
from shared.contract.closed_sets import Intent
from shared.contract.reminders import ConsentChanged, ReplyReceived, TextDelivered, TextSent, TextSuppressed
from tests.journeys.conftest import Course, Journey, weekday_mornings
from tests.stand_ins.twilio import inbound


class Patient:
    """Somebody with a phone."""

    def __init__(self, journey: Journey, phone: str, clinic: str) -> None:
        self._journey = journey
        self._phone = phone
        self._twilio = journey.address.twilio
        self._clinic = clinic
        self._written = 0

    async def write(self, body: str) -> None:
        """Send a text to the clinic, and let the services come to rest."""
        self._written += 1
        sid = f"SM{self._written:032x}"
        number, account = self._twilio["numbers"][self._clinic], self._twilio["account_sid"]
        url = f"{self._journey.address.reminders}/webhooks/twilio/inbound"
        form = inbound(sid, self._phone, number, body, account)
        assert await post(url, form, self._twilio["auth_token"]) == 200
        await self._journey.pass_time(timedelta())

    async def has_got(self, sid: str) -> None:
        """The carrier tells that a text was delivered."""
        form = {"AccountSid": self._twilio["account_sid"], "MessageSid": sid, "MessageStatus": "delivered"}
        url = f"{self._journey.address.reminders}/webhooks/twilio/status"
        assert await post(url, form, self._twilio["auth_token"]) == 204
        await self._journey.pass_time(timedelta())


async def test_a_patient_confirms_asks_despairs_and_wants_no_more_texts(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 2, weeks_ahead=2))
    record = course.contact(journey.now)
    patient = Patient(journey, record.phone, "albany")
    await journey.publish(record, course.requested)
    await journey.publish(course.paid(journey.now, 90000))
    await journey.until(course.starts[0] - timedelta(hours=20))

    await patient.write("C")
    [confirmed] = journey.told(ReplyReceived, contact_id=course.patient_id)
    assert (confirmed.intent, confirmed.session_id) == (Intent.CONFIRM, course.sessions[0])

    texts = await journey.get("reminders", f"/v1/texts?course_id={course.id}")
    [day_before] = [text for text in texts if text["kind"] == "day_before" and text["state"] == "sent"]
    await patient.has_got(day_before["provider_sid"])
    assert [str(text.text_id) for text in journey.told(TextDelivered)] == [day_before["text_id"]]

    await journey.until(course.starts[0].replace(hour=23))  # at night
    await patient.write("I cannot go on")
    [unclear] = journey.told(ReplyReceived, intent=Intent.UNCLEAR)
    assert unclear.course_id == course.id
    assert "988" in journey.texts[-1].body
    [matter] = await journey.get("reminders", "/ops/attention")
    reply = await journey.get("reminders", f"/v1/replies/{matter['subject']}")
    assert (matter["kind"], reply["body"]) == ("unclear_reply", "I cannot go on")

    await patient.write("please don't text me")
    assert [text.kind for text in journey.told(TextSent)][-1] == "opt_out_confirmed"
    assert journey.told(ConsentChanged, allowed=False)[0].source == "text"
    sent = len(journey.texts)
    await patient.write("stop")
    await journey.until(course.starts[1] + timedelta(days=1))
    assert len(journey.texts) == sent
    left = [text for text in journey.told(TextSuppressed) if text.session_id == course.sessions[1]]
    assert {(text.kind, text.reason) for text in left} >= {("day_before", "opted_out"), ("day_of", "opted_out")}

    await patient.write("START")
    assert journey.told(ConsentChanged)[-1].allowed


async def test_nobody_else_is_let_in(journey: Journey) -> None:
    twilio = journey.address.twilio
    form = inbound("SM" + "0" * 32, "+13125550101", twilio["numbers"]["stella"], "stop", twilio["account_sid"])
    url = f"{journey.address.reminders}/webhooks/twilio/inbound"

    assert await post(url, form, "another token") == 403
    async with aiohttp.ClientSession() as session, session.post(url, json=form) as answer:
        assert answer.status == 415
    assert await post(url, form, twilio["auth_token"]) == 200

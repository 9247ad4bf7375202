"""The load: clinics that want courses, a till that pays for them, and a watch on both.

A course's request is published; when its six prepayments have been asked for, its payment follows; it is over when its
six sessions are confirmed. Every contender hears the same bytes and must answer with the same events.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

import orjson
from confluent_kafka import OFFSET_END, Consumer, Message, Producer, TopicPartition

from deploy.local.kafka.node import QUIET_CLIENT
from shared.contract.topics import SERVICE_TOPICS
from shared.kafka.topics import TOPICS

CHAIRS: Final = 4
SESSIONS: Final = 6
TEXTS: Final = 18
PRICE_CENTS: Final = 347500
ZONE: Final = ZoneInfo("America/Chicago")
STARTS: Final = (wall(8, 0), wall(9, 45), wall(11, 30), wall(13, 15), wall(15, 0), wall(16, 45))
WEEKDAYS: Final = ((0, 3), (1, 4))
PLACES_IN_THREE_WEEKS: Final = len(WEEKDAYS) * len(STARTS) * CHAIRS

CLINIC: Final = """name = "Benchmark"
{locations}"""
LOCATION: Final = """
[locations.{name}]
zone = "America/Chicago"
region = "US-IL"
address = "Chicago, Illinois"
phone = "+16305550136"
public_name = "Benchmark"

[[locations.{name}.hours]]
days = ["mon", "tue", "wed", "thu", "fri"]
opens = 08:00:00
closes = 19:00:00
"""
LADDER: Final = """sender = "Benchmark"

[ladder]
preparation = { before = "72 h", until = "26 h" }
day_before = { before = "24 h", until = "4 h" }
day_of = { before = "2 h", until = "30 min" }
opt_out_confirmed = { after = "0 min", until = "5 min" }
help = { after = "0 min", until = "5 min" }
unmonitored_reply = { after = "0 min", until = "5 min" }

[wording.en]
preparation = "{{ sender }}: your appointment is on {{ day }} at {{ time }}. Questions: {{ phone }}."
day_before = "{{ sender }}: see you on {{ day }} at {{ time }}. Reply C to confirm, R if you cannot come: {{ phone }}."
day_of = "{{ sender }}: see you on {{ day }} at {{ time }}. Somebody must take you home afterwards. {{ phone }}"
opt_out_confirmed = "{{ sender }}: no more texts. Questions: {{ phone }}."
help = "{{ sender }}: reply C to confirm, R if you cannot come. Questions: {{ phone }}. Reply STOP to end texts."
unmonitored_reply = "{{ sender }}: nobody reads this. Call {{ phone }}. In an emergency 911; to talk to somebody 988."
"""


def write_profiles(folder: Path, locations: int, shipped: Path) -> None:
    """A clinic of many locations, each with Stella's chairs, providers, protocols and prices."""
    clinic = folder / "benchmark"
    clinic.mkdir(parents=True)
    names = [location_name(number) for number in range(locations)]
    clinic_toml = CLINIC.format(locations="".join(LOCATION.format(name=name) for name in names))
    (clinic / "clinic.toml").write_text(clinic_toml)
    booking = (shipped / "stella" / "booking.toml").read_text()
    room = booking[booking.index("[locations.stella]") : booking.index("# 45 minutes")]
    rooms = "\n".join(room.replace("stella", name) for name in names)
    (clinic / "booking.toml").write_text(booking.replace(room, rooms))
    (clinic / "billing.toml").write_text((shipped / "stella" / "billing.toml").read_text())
    (clinic / "reminders.toml").write_text(LADDER)


def location_name(number: int) -> str:
    """The name of one of the clinic's locations."""
    return f"place-{number}"


@dataclass(frozen=True, slots=True)
class Course:
    """One course of the load: its request and its payment, ready to be sent."""

    key: bytes
    request: bytes
    payment: bytes


def courses(locations: int, today: date) -> Iterator[Course]:
    """Courses without end that never want the same chair: at all locations first, then at later hours, then weeks."""
    monday = today + timedelta(days=14 - today.weekday())
    number = 0
    while True:
        slot, location = divmod(number, locations)
        weeks, place = divmod(slot, PLACES_IN_THREE_WEEKS)
        days, hour = WEEKDAYS[place % 2], STARTS[place // 2 % len(STARTS)]
        first = monday + timedelta(weeks=3 * weeks)
        starts = [
            datetime.combine(first + timedelta(weeks=week, days=day), hour, ZONE).astimezone(UTC)
            for week in range(SESSIONS // len(days))
            for day in days
        ]
        yield _course(location_name(location), starts)
        number += 1


def _course(location: str, starts: list[datetime]) -> Course:
    id = uuid4()
    sessions = [{"session_id": uuid5(id, str(n)), "starts_at": start} for n, start in enumerate(starts)]
    request = {
        "course_id": id,
        "patient_id": f"patient-{id}"[:40],
        "location": location,
        "treatment": "ketamine_induction",
        "payer": "self_pay",
        "package": "induction",
        "sessions": sessions,
    }
    payment = {
        "payment_id": f"till-{id}",
        "course_id": id,
        "amount_cents": PRICE_CENTS,
        "currency": "USD",
        "method": "card",
        "captured_at": datetime.now(UTC),
    }
    return Course(str(id).encode(), orjson.dumps(request), orjson.dumps(payment))


@dataclass(slots=True)
class Played:
    """What the watch saw: seconds from the first request to the last confirmation, and from payment to confirmed."""

    courses: int
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)


class Stuck(Exception):
    """Nothing came any more; the text tells how far it went."""


class Clinics:
    """The clinics' system and their till on one connection to Kafka; a plain client, and the same for everyone."""

    def __init__(self, servers: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "partitioner": "murmur2_random",
                "linger.ms": 1,
                "queue.buffering.max.messages": 1_000_000,
                **QUIET_CLIENT,
            }
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": f"watch-{uuid4()}",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
                "fetch.error.backoff.ms": 5,
                **QUIET_CLIENT,
            }
        )
        watched = {topic.name: topic.partitions for topic in TOPICS if topic.name in SERVICE_TOPICS[:2]}
        self._consumer.assign([TopicPartition(t, p, OFFSET_END) for t, count in watched.items() for p in range(count)])
        self._consumer.poll(1)  # so that the end is taken now, before anything is published

    def play(self, wanted: list[Course], a_second: float | None = None, patience: float = 20) -> Played:
        """Play courses to their last confirmation, all at once or so many a second.

        Raises:
            Stuck: nothing was heard for `patience` seconds.
        """
        played = Played(len(wanted))
        by_key = {course.key: course for course in wanted}
        required: Counter[bytes] = Counter()
        confirmed: Counter[bytes] = Counter()
        paid_at: dict[bytes, float] = {}
        waiting = iter(wanted)
        began = heard = time.perf_counter()
        asked = over = 0
        while over < len(wanted):
            while asked < len(wanted) and (a_second is None or time.perf_counter() >= began + asked / a_second):
                course = next(waiting)
                self._send("clinic.requests", "clinic.course.requested.v1", course.key, course.request)
                asked += 1
                if a_second is None and asked % 100 == 0:
                    break  # between two hundreds the till has its turn
            message = self._consumer.poll(0.002)
            if message is None:
                self._producer.poll(0)
                if time.perf_counter() - heard > patience:
                    raise Stuck(f"{len(paid_at)} of {len(wanted)} courses were paid, {over} confirmed")
                continue
            heard = time.perf_counter()
            key, type_name = message.key(), _type_of(message)
            if key not in by_key:
                continue
            if type_name == b"billing.prepayment.required.v1":
                required[key] += 1
                if required[key] == SESSIONS:
                    self._send("clinic.payments", "clinic.payment.captured.v1", key, by_key[key].payment)
                    paid_at[key] = time.perf_counter()
            elif type_name == b"booking.session.confirmed.v1":
                confirmed[key] += 1
                if confirmed[key] == SESSIONS:
                    played.waits.append(heard - paid_at[key])
                    over += 1
        played.seconds = time.perf_counter() - began
        return played

    def close(self) -> None:
        """Let go of Kafka."""
        self._producer.flush(5)
        self._consumer.close()

    def _send(self, topic: str, type_name: str, key: bytes, value: bytes) -> None:
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", str(uuid4()).encode()),
            ("ce_type", type_name.encode()),
            ("ce_source", b"/clinics/benchmark"),
            ("ce_subject", key),
            ("ce_time", datetime.now(UTC).isoformat().encode()),
            ("content-type", b"application/json"),
        ]
        self._producer.produce(topic, value, key, headers=headers)
        self._producer.poll(0)


def _type_of(message: Message) -> bytes:
    error = message.error()
    if error is not None:
        raise Stuck(str(error))
    return next((value for name, value in message.headers() or () if name == "ce_type"), b"")


def course_ids(wanted: list[Course]) -> list[UUID]:
    """The ids of courses."""
    return [UUID(course.key.decode()) for course in wanted]

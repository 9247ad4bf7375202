"""One whole course, played: the clinic's events in, and a readable timeline of all that follows out."""

import asyncio
import tempfile
from collections import Counter
from datetime import datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.panel import Panel

from deploy.local.embedded import Address, Embedded, common_settings
from deploy.operating.publish import ClinicSystem, Event, read_events
from deploy.preparing.profiles import PROFILES
from services.reminders.text.provider import OutgoingText
from shared.contract.booking import CourseCompleted
from shared.contract.clinic import CourseRequested
from shared.contract.reminders import TextSent
from shared.contract.topics import SERVICE_TOPICS
from shared.kafka.cluster import Cluster
from shared.kafka.library_insides import learn_topics

SCRIPT: Final = PROFILES / "stella" / "demo.jsonl"
ZONE: Final = ZoneInfo("America/Chicago")
OPENS: Final = time(9)
AFTERWARDS: Final = timedelta(days=30)
"""How long after the last event the last text may still go out."""


class Timeline:
    """What happens, as it happens: each event with its day, each text as the patient sees it."""

    def __init__(self, console: Console, kafka: Cluster) -> None:
        self.counts: Counter[str] = Counter()
        self._console = console
        self._day = ""
        self._numbers: dict[str, int] = {}
        self._bodies: dict[str, str] = {}
        self._consumer = AIOKafkaConsumer(**kafka.aiokafka, fetch_max_wait_ms=20, enable_auto_commit=False)

    async def start(self) -> None:
        """Listen from now on to what the services write."""
        await self._consumer.start()
        await learn_topics(self._consumer, SERVICE_TOPICS)
        partitions = [
            TopicPartition(topic, number)
            for topic in SERVICE_TOPICS
            for number in sorted(self._consumer.partitions_for_topic(topic) or ())
        ]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end(*partitions)

    async def stop(self) -> None:
        """Stop listening."""
        await self._consumer.stop()

    def clinic(self, event: Event) -> None:
        """An event that the clinic publishes."""
        if isinstance(event.data, CourseRequested):
            sessions = sorted(event.data.sessions or (), key=lambda session: session.starts_at)
            self._numbers = {str(session.session_id): number for number, session in enumerate(sessions, start=1)}
        data = event.data.model_dump(mode="json", exclude_none=True)
        self._line(event.time, "clinic", event.data.type, data, "bold")

    def text(self, text: OutgoingText) -> None:
        """A text that goes out; shown with the event that tells of it."""
        self._bodies[str(text.text_id)] = text.body

    async def catch_up(self, now: datetime) -> None:
        """Show everything that the services have written until now, in Kafka's order of time."""
        partitions = self._consumer.assignment()
        ends = await self._consumer.end_offsets(partitions)
        records: list[Any] = []
        while any([await self._consumer.position(partition) < end for partition, end in ends.items()]):
            batches = await self._consumer.getmany(timeout_ms=50)
            records += [record for batch in batches.values() for record in batch]
        for record in sorted(records, key=lambda record: record.timestamp):
            type_name = dict(record.headers)["ce_type"].decode()
            self.counts[type_name] += 1
            data = orjson.loads(record.value)
            self._line(now, record.topic.partition(".")[0], type_name, data, "cyan")
            if body := self._bodies.pop(str(data.get("text_id")), None):
                self._console.print(Panel(body, width=72, border_style="magenta"), style="magenta", soft_wrap=False)

    def _line(self, at: datetime, who: str, type_name: str, data: dict[str, Any], style: str) -> None:
        local = at.astimezone(ZONE)
        if (day := f"{local:%A %-d %B}") != self._day:
            self._day = day
            self._console.rule(day, align="left")
        what = type_name.split(".", 1)[1].removesuffix(".v1").replace(".", " ").replace("_", " ")
        self._console.print(f"{local:%H:%M}  {who:<10}{what:<26}{self._told(data)}", style=style, markup=False)

    def _told(self, data: dict[str, Any]) -> str:
        """The few fields that a reader wants to see. Names and numbers of people are not among them."""
        told = []
        if number := self._numbers.get(str(data.get("session_id"))):
            told.append(f"session {number}")
        for name in ("kind", "grant", "reason", "code", "payment_id", "sessions_completed"):
            if name in data:
                told.append(f"{name.replace('_', ' ')} {data[name]}")
        if "amount_cents" in data:
            told.append(dollars(data["amount_cents"]))
        for name in ("due_at", "hold_expires_at"):
            if name in data and "sent_at" not in data:
                due_at = datetime.fromisoformat(data[name]).astimezone(ZONE)
                told.append(f"{name.removesuffix('_at').replace('_', ' ')} {due_at:%a %-d %b %H:%M}")
        return " · ".join(told)


def next_opening(now: datetime) -> datetime:
    """The next time that it is nine in the morning: the demo looks the same at whatever hour it is played."""
    today = datetime.combine(now.astimezone(ZONE), OPENS, ZONE)
    return today if today >= now else datetime.combine(today.date() + timedelta(days=1), OPENS, ZONE)


def dollars(cents: int) -> str:
    """Cents as dollars."""
    return f"${cents / 100:,.2f}"


async def play(console: Console, kafka: str | None) -> int:
    """Play the demo's script in a fresh home; returns the exit code: 0 when the course is over and nothing is left."""
    with tempfile.TemporaryDirectory(prefix="chairtime-demo-", ignore_cleanup_errors=True) as home:
        timelines: list[Timeline] = []
        embedded = Embedded(
            Path(home), kafka=kafka, stepped=True, show=lambda text: timelines[0].text(text) if timelines else None
        )
        console.print("Starting three services, PostgreSQL and Kafka in this process ...", style="dim")
        try:
            address = await embedded.start()
            timeline = Timeline(console, common_settings(address.kafka).cluster)
            timelines.append(timeline)
            await timeline.start()
            try:
                course_id = await _play(embedded, address, timeline)
                return await _summary(console, address, timeline, course_id)
            finally:
                await timeline.stop()
        finally:
            await embedded.stop()


async def _play(embedded: Embedded, address: Address, timeline: Timeline) -> str:
    walk = embedded.walk
    assert walk is not None
    walk.on_settled = lambda: timeline.catch_up(walk.clock.now())
    clinic = await asyncio.to_thread(ClinicSystem, common_settings(address.kafka).cluster)
    await walk.to(next_opening(walk.clock.now()))
    events = read_events(SCRIPT, walk.clock.now())
    for instant, together in groupby(events, key=lambda event: event.time):
        await walk.to(instant)
        batch = list(together)
        for event in batch:
            timeline.clinic(event)
        await asyncio.to_thread(clinic.publish, batch)
    await walk.to(walk.clock.now() + AFTERWARDS)
    return next(str(event.data.course_id) for event in events if isinstance(event.data, CourseRequested))


async def _summary(console: Console, address: Address, timeline: Timeline, course_id: str) -> int:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {address.api_key}"}) as http:

        async def get(url: str) -> Any:
            async with http.get(url) as answer:
                answer.raise_for_status()
                return await answer.json()

        course = await get(f"{address.booking}/v1/courses/{course_id}")
        account = await get(f"{address.billing}/v1/courses/{course_id}/account")
        texts = await get(f"{address.reminders}/v1/texts?course_id={course_id}")
        services = (address.booking, address.billing, address.reminders)
        letters = sum([len(await get(f"{service}/ops/dead-letters")) for service in services])
        attention = sum([len(await get(f"{service}/ops/attention")) for service in services])
    states = Counter(session["state"] for session in course["sessions"])
    texts_by_state = Counter(text["state"] for text in texts)
    console.rule("Summary", align="left")
    console.print(f"course        {course['state']}")
    console.print(f"sessions      {', '.join(f'{n} {state}' for state, n in states.items())}")
    console.print(f"money         {_money(account)}")
    console.print(f"texts         {', '.join(f'{n} {state}' for state, n in sorted(texts_by_state.items()))}")
    console.print(f"attention     {attention}")
    console.print(f"dead letters  {letters}")
    left_over = [
        reason
        for wrong, reason in (
            (timeline.counts[CourseCompleted.type] != 1, "the course was not completed"),
            (account["balance_cents"] + account["allocated_cents"] != 0, "money is left that belongs to no session"),
            (timeline.counts[TextSent.type] == 0, "no text was sent"),
            (not set(texts_by_state) <= {"sent", "suppressed"}, "texts are left that were neither sent nor called off"),
            (letters != 0, "dead letters are left"),
            (attention != 0, "something waits for a person"),
        )
        if wrong
    ]
    for reason in left_over:
        console.print(f"not as it should be: {reason}", style="red")
    return 1 if left_over else 0


def _money(account: dict[str, Any]) -> str:
    paid, ahead, left = account["paid_cents"], account["allocated_cents"], account["balance_cents"]
    return f"{dollars(paid)} paid, {dollars(paid - ahead - left)} earned, {dollars(ahead + left)} left"

"""The promises, proven over the databases and topics after any run: what a violation is stands here and nowhere else.

    I1 every outbox row is on its topic, and what a service must hear is in its inbox
    I2 every event has one effect                       I3 versions are contiguous, states follow the table
    I4 no chair, provider or patient twice at a time    I5 texts: once, wanted, with consent, never in quiet hours
    I6 the ledger adds up                               I7 nothing confirmed without a grant, each answered once
    I8 planted canaries appear nowhere                  I9 nothing is left unread

Also a command: `python -m tests.failures.checker --kafka HOST:PORT --booking URL --billing URL --reminders URL`.
"""

import argparse
import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.preparing.heard import HEARS
from services.reminders.text.provider import OutgoingText
from shared.contract.billing import (
    PaymentRecorded,
    PrepaymentOverdue,
    PrepaymentSatisfied,
    PricingRejected,
    RefundDue,
    RefundSettled,
)
from shared.contract.booking import CourseAccepted, SessionCancelled, SessionCheckedIn, SessionCompleted
from shared.contract.clinic import ContactUpdated, CourseRequested
from shared.contract.reminders import TextSent
from shared.contract.topics import ANSWERED_BY, ERASABLE
from shared.decision.message import Message
from shared.tables.outbox import unpack
from tests.failures import money, texts, visits
from tests.failures.evidence import Ends, Evidence, gather

LOOK_AGAIN_SECONDS: Final = 0.3

PERSONAL_COLUMNS: Final = {("reminders", "contacts", "phone")}
PERSONAL_TABLES: Final = {("billing", "patients"), ("billing", "papers")}
"""Where personal data belongs; the bytes of dead letters from personal topics stay in their database, too."""

UNSPEAKABLE: Final = re.compile(r"ketamine|spravato|\btms\b|\bsgb\b|induction|infusion|depress|\$ ?\d", re.IGNORECASE)
"""What no text may name: a treatment, a drug, a diagnosis, an amount (contract rule 6)."""

ONCE: Final[Mapping[type, tuple[str, ...]]] = {
    CourseAccepted: ("course_id",),
    SessionCancelled: ("session_id",),
    SessionCheckedIn: ("session_id",),
    SessionCompleted: ("session_id",),
    PrepaymentSatisfied: ("session_id", "grant"),
    PrepaymentOverdue: ("session_id", "due_at"),
    PricingRejected: ("course_id",),
    PaymentRecorded: ("payment_id",),
    RefundDue: ("refund_id",),
    RefundSettled: ("refund_id",),
    TextSent: ("text_id",),
}
"""Events that are decided once for each of these."""


async def check(
    urls: Mapping[str, str],
    kafka: str,
    *,
    canaries: Sequence[str] = (),
    logs: Sequence[Path] = (),
    sent: Sequence[OutgoingText] = (),
    since: Ends | None = None,
    patience: float = 60,
) -> list[str]:
    """Every violation as a line that names the promise, the ids and the fact; empty when all is right.

    Args:
        urls: database URLs by service; services are stopped, or have nothing left to do.
        canaries: personal data that was planted: it must appear nowhere but in the two personal topics and tables.
        logs: files in which the canaries must not appear either.
        sent: what the provider was handed.
        since: the topics' ends before the run; without them only what the databases know of is judged.
        patience: seconds that the services get to come to rest (I9).
    """
    give_up_at = time.monotonic() + patience
    while True:
        evidence = await gather(urls, kafka, since)
        violations = [
            *delivered(evidence),
            *unread(evidence),
            *one_effect(evidence),
            *money.one_effect(evidence),
            *visits.versions(evidence),
            *visits.overlaps(evidence),
            *visits.gate(evidence),
            *texts.texts(evidence, sent),
            *money.sums(evidence),
            *money.waits_for_answers(evidence),
            *secrets(evidence, canaries, logs, sent),
        ]
        if not violations or time.monotonic() > give_up_at:
            return sorted(violations)
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


def delivered(evidence: Evidence) -> Iterator[str]:
    """I1: from outbox to topic, from topic to inbox."""
    for service in evidence.tables:
        last: dict[tuple[str, int, bytes | None], int] = {}  # events of two keys may be decided at the same time
        for row in sorted(evidence.rows(service, "outbox"), key=lambda row: row["id"]):
            named = f"I1 {service} outbox {row['id']} ({row['event_id']})"
            if row["published_at"] is None or row["kafka_offset"] is None:
                yield f"{named}: is not published"
                continue
            partition, offset = (row["topic"], row["partition"]), row["kafka_offset"]
            record = evidence.records.get((*partition, offset))
            if record is None:
                yield f"{named}: nothing stands at {row['topic']}/{row['partition']}/{offset}"
            elif (record.key, record.value, list(record.headers)) != (row["key"], row["value"], unpack(row["headers"])):
                yield f"{named}: other bytes stand at {row['topic']}/{row['partition']}/{offset}"
            key = (*partition, row["key"])
            if offset <= last.get(key, -1):
                yield f"{named}: stands before an event of the same key that was decided earlier"
            last[key] = max(offset, last.get(key, -1))
        yield from _unheard(evidence, service)


def _unheard(evidence: Evidence, service: str) -> Iterator[str]:
    inbox = {row["id"] for row in evidence.rows(service, "inbox")}
    for (topic, partition, offset), message in evidence.messages.items():
        if topic not in HEARS[service]:
            continue
        if not isinstance(message, Message):
            if ANSWERED_BY.get(topic, service) != service:
                continue
            id = evidence.records[topic, partition, offset].offset_id
            name = f"unreadable ({message.code})"
        elif message.type in HEARS[service][topic]:
            id, name = message.id, f"{message.type} {message.data.key}"
        else:
            continue
        if id not in inbox:
            yield f"I1 {service}: never heard {name}, {id}, at {topic}/{partition}/{offset}"


def unread(evidence: Evidence) -> Iterator[str]:
    """I9: a service has heard its topics to their ends."""
    for service in evidence.tables:
        heard = {(row["topic"], row["partition"]): row["next_offset"] for row in evidence.rows(service, "heard")}
        for (topic, partition), end in evidence.ends.items():
            if topic in HEARS[service] and heard.get((topic, partition), 0) < end:
                lag = end - heard.get((topic, partition), 0)
                yield f"I9 {service}: has not heard the last {lag} of {topic}/{partition}"


def one_effect(evidence: Evidence) -> Iterator[str]:
    """I2: what is decided once is told once, and what was heard had its effect."""
    for service in evidence.tables:
        told = Counter(
            (type(one.data), *(getattr(one.data, name) for name in ONCE[type(one.data)]))
            for one in evidence.told(service)
            if type(one.data) in ONCE
        )
        for (kind, *ids), times in told.items():
            if times > 1:
                yield f"I2 {kind.type} {' '.join(map(str, ids))}: told {times} times"
    decided = {str(row["course_id"]) for row in evidence.rows("booking", "courses") if row["state"] != "awaited"}
    for heard in evidence.heard("booking"):
        if isinstance(heard.message.data, CourseRequested) and heard.message.data.key not in decided:
            yield f"I2 course {heard.message.data.key}: requested by {heard.message.id}, and never decided"
    entered = {
        (row["contact_id"], row["recorded_at"], row["allowed"]) for row in evidence.rows("reminders", "consents")
    }
    for heard in evidence.heard("reminders"):
        data = heard.message.data
        if (
            isinstance(data, ContactUpdated)
            and (data.contact_id, data.texting.recorded_at, data.texting.allowed) not in entered
        ):
            yield f"I2 contact {data.contact_id}: the consent in {heard.message.id} is not in the ledger"


def secrets(
    evidence: Evidence, canaries: Sequence[str], logs: Sequence[Path], sent: Sequence[OutgoingText]
) -> Iterator[str]:
    """I8: personal data stays where it belongs, and no text names what it must not."""
    for text in [*(row["body"] for row in evidence.rows("reminders", "texts")), *(one.body for one in sent)]:
        if text and (named := UNSPEAKABLE.search(text)):
            yield f"I8 a text body names {named[0]!r}"
    needles = [canary.encode() for canary in canaries]
    yield from _in_databases(evidence, needles)
    for (topic, partition, offset), record in evidence.records.items():
        if topic not in ERASABLE and any(
            _holds(part, needles) for part in (record.key, record.value, *(value for _, value in record.headers))
        ):
            yield f"I8 a canary at {topic}/{partition}/{offset}"
    for log in logs:
        for number, line in enumerate(log.read_bytes().splitlines(), start=1):
            if _holds(line, needles):
                yield f"I8 a canary in {log}:{number}"
    yield from (f"I8 a canary in the body of text {one.text_id}" for one in sent if _holds(one.body, needles))


def _in_databases(evidence: Evidence, needles: Sequence[bytes]) -> Iterator[str]:
    for service, tables in evidence.tables.items():
        for table, rows in tables.items():
            for row in rows if needles and (service, table) not in PERSONAL_TABLES else ():
                bytes_of_a_person = table == "dead_letters" and row["topic"] in ERASABLE
                for column, value in row.items():
                    kept = (service, table, column) in PERSONAL_COLUMNS or (
                        bytes_of_a_person and column in ("key", "value", "headers")
                    )
                    if not kept and _holds(value, needles):
                        yield f"I8 a canary in {service}.{table}.{column} of {next(iter(row.values()))}"


def _holds(value: object, needles: Sequence[bytes]) -> bool:
    if value is None:
        return False
    haystack = value if isinstance(value, bytes) else str(value).encode(errors="replace")
    return any(needle in haystack for needle in needles)


def main() -> None:
    """Check databases and topics that stand still; exits 1 and prints a line for each violation."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT")
    for service in HEARS:
        parser.add_argument(f"--{service}", metavar="URL", help=f"the database of {service}")
    parser.add_argument("--canary", action="append", default=[], help="personal data that must not appear")
    parser.add_argument("--log", action="append", default=[], type=Path, help="a file in which to look for it, too")
    given = parser.parse_args()
    urls = {service: url for service in HEARS if (url := getattr(given, service)) is not None}
    violations = asyncio.run(check(urls, given.kafka, canaries=given.canary, logs=given.log, patience=0))
    sys.stdout.write("".join(f"{line}\n" for line in violations) or "all promises are kept\n")
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()

"""Texts as one would do it with APScheduler: its job store in PostgreSQL is the ladder, a job is a text.

`remind` is what such a job has to do so that the same facts stand in the database: it looks again, commits the attempt,
sends, commits the outcome and the event.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import Any, Final
from uuid import UUID, uuid5

import orjson
import psycopg
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from sqlalchemy import make_url

from tests.benchmarks.floor.texts import NAMESPACE, words

HANDS: Final = 10
"""Threads that do jobs, as many as APScheduler has by default."""

_connections: SimpleQueue[psycopg.Connection[Any]] = SimpleQueue()
_done = threading.Semaphore(0)


@contextmanager
def scheduler(url: str) -> Iterator[BackgroundScheduler]:
    """A scheduler with a job store of its own in the database, paused."""
    there = make_url(url).set(drivername="postgresql+psycopg")
    jobs = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(url=there)},
        executors={"default": ThreadPoolExecutor(HANDS)},
        job_defaults={"misfire_grace_time": None},
        timezone="UTC",
    )
    jobs.start(paused=True)
    try:
        yield jobs
    finally:
        jobs.shutdown()


def schedule(jobs: BackgroundScheduler, name: str, due: list[tuple[str, datetime]]) -> None:
    """One job a text. `name`: of the function here that a job calls; `due`: id and instant of each text."""
    for id, at in due:
        jobs.add_job(f"{__name__}:{name}", DateTrigger(at), args=(id,), id=id)


def fire(jobs: BackgroundScheduler, url: str, count: int) -> None:
    """Let all jobs that are due run."""
    for _ in range(HANDS):
        _connections.put(psycopg.connect(make_url(url).render_as_string(False)))
    jobs.resume()
    for _ in range(count):
        _done.acquire()
    for _ in range(HANDS):
        _connections.get().close()


def nothing(_: str) -> None:
    """The job that does nothing."""
    _done.release()


def remind(text_id: str) -> None:
    """The job that sends a text."""
    connection = _connections.get()
    try:
        _remind(connection, UUID(text_id))
    finally:
        _connections.put(connection)
        _done.release()


def _remind(connection: psycopg.Connection[Any], text_id: UUID) -> None:
    with connection.transaction():
        row = connection.execute(
            """SELECT t.course_id, t.contact_id, t.session_id, t.due_at, s.starts_at, k.phone, k.consent_id, now()
               FROM texts t JOIN courses c USING (course_id)
                    JOIN sessions s ON s.session_id = t.session_id AND s.state = 'confirmed'
                                       AND s.version = t.session_version
                    JOIN contacts k ON k.contact_id = t.contact_id
                    JOIN consents p ON p.consent_id = k.consent_id AND p.allowed AND p.phone_version = k.phone_version
               WHERE t.text_id = %s AND t.state = 'scheduled' FOR UPDATE OF t, c""",
            (text_id,),
        ).fetchone()
        if row is None:
            return
        course_id, contact_id, session_id, due_at, starts_at, _, consent_id, now = row
        attempt = uuid5(NAMESPACE, f"{text_id}/1")
        connection.execute(
            """UPDATE texts SET state = 'sending', attempt_id = %s, attempts = 1, attempted_at = %s, lease_until = %s,
                                body = %s, segments = 1, consent_id = %s WHERE text_id = %s""",
            (attempt, now, now + timedelta(minutes=5), words(starts_at), consent_id, text_id),
        )
    sid = f"SM{attempt.hex}"  # here it would be sent
    data = {
        "text_id": str(text_id), "contact_id": contact_id, "course_id": str(course_id), "session_id": str(session_id),
        "kind": "preparation", "due_at": due_at, "sent_at": now, "segments": 1,
    }  # fmt: skip
    with connection.transaction():
        connection.execute(
            """UPDATE texts SET state = 'sent', sent_at = attempted_at, provider_sid = %s, lease_until = NULL
               WHERE attempt_id = %s AND state = 'sending'""",
            (sid, attempt),
        )
        connection.execute(
            """INSERT INTO outbox (event_id, topic, key, value, headers, created_at)
               VALUES (%s, 'reminders.events', %s, %s, '[]', %s)""",
            (str(uuid5(NAMESPACE, f"sent/{attempt}")), str(course_id).encode(), orjson.dumps(data), now),
        )

"""Each service as a process of its own, as in production: made ready by the command line, ended by SIGTERM."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka.node import free_port
from deploy.operating.publish import ClinicSystem, Event
from services.booking.main import MIGRATIONS
from shared.kafka.cluster import Cluster
from shared.postgres.migrations import newest_revision
from tests.journeys.conftest import Course
from tests.journeys.test_up import REPOSITORY, eventually, mornings, run
from tests.stand_ins.revisions import set_revision

KEY = "a key that only this test knows"
SERVICES = ("booking", "billing", "reminders")


@pytest.fixture
def environment(kafka: str, postgres: str, tmp_path: Path) -> dict[str, str]:
    """Settings of all three services on databases and topics that the command line has made."""
    keys = tmp_path / "keys.toml"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    keys.write_text(f'[[keys]]\nname = "test"\nsha256 = "{digest}"\nroles = ["front_desk", "till", "operator"]\n')
    passwords = {f"CHAIRTIME_{service.upper()}_DATABASE_PASSWORD": f"secret of {service}" for service in SERVICES}
    made = run("setup", CHAIRTIME_KAFKA=kafka, CHAIRTIME_ADMIN_DATABASE=postgres, **passwords)
    assert made.returncode == 0, made.stderr
    assert "booking, billing, reminders: at the newest revision" in made.stdout
    own = {
        f"CHAIRTIME_{service.upper()}_DATABASE": postgres.replace("postgres@/postgres", f"{service}@/{service}")
        for service in SERVICES
    }
    return {"CHAIRTIME_KAFKA": kafka, "CHAIRTIME_API_KEYS": str(keys)} | own


@contextmanager
def service(name: str, environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running service and its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", f"services.{name}"],
        cwd=REPOSITORY,
        env=os.environ | environment | {f"CHAIRTIME_{name.upper()}_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def get(url: str, key: str = KEY) -> tuple[int, str]:
    """Status and body of an answer; 0 while nobody listens."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except urllib.error.URLError:
        return 0, ""


def test_three_processes_confirm_a_paid_course_and_end_in_order(environment: dict[str, str]) -> None:
    with ExitStack() as stack:
        running = {name: stack.enter_context(service(name, environment)) for name in SERVICES}
        for process, address in running.values():
            eventually(lambda a=address: get(a + "/health/ready")[0] == 200)
            assert process.poll() is None
            assert get(address + "/health/live") == (200, "ok\n")
        booking = running["booking"][1]

        course = Course(mornings(2))
        now = datetime.now(UTC)
        facts = [course.contact(now), course.requested, course.paid(now, 90000)]
        ClinicSystem(Cluster(environment["CHAIRTIME_KAFKA"])).publish(
            Event(f"{course.id}-{number}", "/tests", now, fact) for number, fact in enumerate(facts)
        )

        def states() -> Any:
            status, body = get(f"{booking}/v1/courses/{course.id}")
            return [s["state"] for s in json.loads(body)["sessions"]] if status == 200 else None

        eventually(lambda: states() == ["confirmed", "confirmed"])
        texts = f"{running['reminders'][1]}/v1/texts?course_id={course.id}"

        def kinds() -> set[str]:
            status, body = get(texts)
            return {text["kind"] for text in json.loads(body)} if status == 200 else set()

        eventually(lambda: kinds() >= {"booked", "day_of"})

        assert get(f"{booking}/v1/courses/{course.id}", key="wrong")[0] == 401
        assert "chairtime_messages_total" in get(booking + "/metrics")[1]
        for process, _ in running.values():
            process.send_signal(signal.SIGTERM)
        for name, (process, _) in running.items():
            _, log = process.communicate(timeout=30)
            assert process.returncode == 0, log
            lines = [json.loads(line) for line in log.splitlines()]
            assert {line["message"] for line in lines} >= {f"{name} listens", f"{name} stopped"}
            assert course.patient_id not in log


def test_a_service_without_its_database_url_says_which_variable_is_missing(kafka: str) -> None:
    stopped = subprocess.run(
        [sys.executable, "-m", "services.booking"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "CHAIRTIME_KAFKA": kafka},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (stopped.returncode, stopped.stderr) == (78, "CHAIRTIME_BOOKING_DATABASE: is not set\n")


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (None, f"none, not {newest_revision(MIGRATIONS)}: run chairtime migrate"),
        ("odd", "odd, which this release does not know: run the release that made it, or begin with a fresh database"),
    ],
)
async def test_a_service_starts_on_the_schema_of_its_own_release_alone(
    environment: dict[str, str], databases: dict[str, str], there: str | None, told: str
) -> None:
    await set_revision(databases["booking"], there)
    with service("booking", environment | {"CHAIRTIME_BOOKING_DATABASE": databases["booking"]}) as (process, _):
        _, log = process.communicate(timeout=60)
    assert (process.returncode, log.splitlines()[-1]) == (78, f"booking's database is at revision {told}")


def test_a_service_whose_kafka_is_away_at_the_start_ends_and_is_started_again(environment: dict[str, str]) -> None:
    began = time.monotonic()
    with service("billing", environment | {"CHAIRTIME_KAFKA": "127.0.0.1:1"}) as (process, _):
        _, log = process.communicate(timeout=60)
    assert process.returncode == 69, log
    assert "CHAIRTIME_KAFKA: no Kafka answers there" in log
    assert time.monotonic() - began < 45

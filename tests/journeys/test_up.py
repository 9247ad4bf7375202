"""`chairtime` as an operator meets it: real processes, started, killed, started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

CHAIRTIME = Path(sys.executable).with_name("chairtime")
REPOSITORY = Path(__file__).parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        [CHAIRTIME, *arguments],
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def eventually(look: Callable[[], Any], seconds: float = 30) -> Any:
    """What `look` gives as soon as it gives something."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} seconds")


class Up:
    """A running `chairtime up`."""

    def __init__(self, home: Path, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._home = home
        self.address = eventually(self._read)

    def _read(self) -> Any:
        assert self.process.poll() is None, "up has ended"
        try:
            return json.loads((self._home / "up.json").read_text())
        except FileNotFoundError:
            return None

    def call(self, service: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of a request."""
        request = urllib.request.Request(
            self.address[service] + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.address['api_key']}",
                "Content-Type": "application/json",
                "Idempotency-Key": str(uuid4()),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()
        (self._home / "up.json").unlink()


@contextmanager
def up(home: Path, **environment: str) -> Iterator[Up]:
    """Start, and stop by Ctrl-C unless it was killed."""
    process = subprocess.Popen(
        [CHAIRTIME, "up"],
        cwd=REPOSITORY,
        env=os.environ | {"CHAIRTIME_HOME": str(home)} | environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield Up(home, process)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert not (home / "up.json").exists()
    finally:
        process.kill()
        process.wait()


def course(starts_at: datetime) -> dict[str, Any]:
    """A course of one session."""
    return {
        "course_id": str(uuid4()),
        "patient_id": "p-1",
        "location": "albany",
        "treatment": "ketamine_induction",
        "payer": "self_pay",
        "sessions": [{"session_id": str(uuid4()), "starts_at": starts_at.isoformat()}],
    }


def mornings(count: int) -> list[datetime]:
    """15:00 UTC, which is morning in New York, on coming working days."""
    days = (
        datetime.now(UTC).replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=n) for n in range(3, 60)
    )
    return [day for day in days if day.weekday() < 5][:count]


def publish(home: Path, file: Path, type: str, data: dict[str, Any], **environment: str) -> None:
    """`chairtime publish` of one event."""
    file.write_text(json.dumps({"id": str(uuid4()), "type": type, "source": "/tests", "data": data}))
    published = run("publish", str(file), CHAIRTIME_HOME=str(home), **environment)
    assert published.returncode == 0, published.stderr
    assert published.stdout.startswith("published 1 event to ")


def test_the_demo_plays_a_whole_course_and_leaves_nothing_over() -> None:
    played = run("demo")
    assert played.returncode == 0, played.stdout + played.stderr
    assert "sessions      6 completed" in played.stdout
    assert "money         $3,475.00 paid, $3,475.00 earned, $0.00 left" in played.stdout
    assert "dead letters  0" in played.stdout


def test_what_was_decided_survives_kill_9_and_is_heard_by_the_others_afterwards(home: Path, tmp_path: Path) -> None:
    for starts_at in mornings(3):
        wish = course(starts_at)
        with up(home) as running:
            publish(home, tmp_path / "events.jsonl", "clinic.course.requested.v1", wish)
            eventually(lambda r=running, w=wish: r.call("booking", f"/v1/courses/{w['course_id']}")[0] == 200)
            running.kill()
        with up(home) as again:
            account = eventually(
                lambda r=again, w=wish: [
                    body
                    for status, body in [r.call("billing", f"/v1/courses/{w['course_id']}/account")]
                    if status == 200
                ]
            )[0]
            assert account["owed_cents"] == 45000
            for service in ("booking", "billing", "reminders"):
                assert again.call(service, "/ops/dead-letters") == (200, [])


def test_payment_to_confirmed_over_http_and_kafka(home: Path, tmp_path: Path, kafka: str) -> None:
    with up(home, CHAIRTIME_KAFKA=kafka) as running:
        assert running.address["kafka"] == kafka
        wish = course(mornings(1)[0])
        status, accepted = running.call("booking", "/v1/courses", wish)
        assert (status, accepted["sessions"][0]["state"]) == (201, "held")
        assert running.call("booking", "/v1/courses", wish | {"course_id": "not-a-uuid"})[0] == 422
        payment = {
            "payment_id": str(uuid4()),
            "course_id": wish["course_id"],
            "amount_cents": 45000,
            "currency": "USD",
            "method": "card",
            "captured_at": datetime.now(UTC).isoformat(),
        }
        publish(home, tmp_path / "events.jsonl", "clinic.payment.captured.v1", payment)
        path = f"/v1/courses/{wish['course_id']}"
        eventually(lambda: running.call("booking", path)[1]["sessions"][0]["state"] == "confirmed")


def test_the_stepped_clock_stands_still_until_it_is_told_and_never_goes_back_even_after_kill_9(home: Path) -> None:
    with up(home, CHAIRTIME_CLOCK="stepped") as running:
        now = datetime.fromisoformat(running.call("booking", "/ops/clock")[1]["now"])
        assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)
        assert running.call("booking", "/ops/clock")[1]["now"] == running.call("booking", "/ops/clock")[1]["now"]
        to = (now + timedelta(days=21)).isoformat()
        status, moved = running.call("booking", "/ops/clock", {"to": to})
        assert (status, datetime.fromisoformat(moved["now"])) == (200, now + timedelta(days=21))
        assert running.call("booking", "/ops/clock", {"to": now.isoformat()})[0] == 409
        assert running.call("booking", "/ops/clock", {"to": "tomorrow"})[0] == 422
        running.kill()
    with up(home, CHAIRTIME_CLOCK="stepped") as again:
        assert datetime.fromisoformat(again.call("booking", "/ops/clock")[1]["now"]) == now + timedelta(days=21)


def test_two_homes_run_beside_each_other_and_one_home_runs_once(home: Path, tmp_path: Path) -> None:
    with up(home) as one, up(home / "other") as other:
        assert one.address["booking"] != other.address["booking"]
        second = run("up", CHAIRTIME_HOME=str(home))
        assert second.returncode == 69
        assert second.stderr.count("\n") == 1
        assert "already run by another process" in second.stderr
        assert json.loads((home / "up.json").read_text()) == one.address


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"CHAIRTIME_CLINICS": "atlantis"}, "CHAIRTIME_CLINICS: there is no clinic 'atlantis'"),
        ({"CHAIRTIME_CLOCK": "sundial"}, "CHAIRTIME_CLOCK: must be wall or stepped"),
        ({"CHAIRTIME_PROFILES": "/nowhere"}, "CHAIRTIME_PROFILES: no clinic in /nowhere"),
        ({"CHAIRTIME_KAFKA": "127.0.0.1:abc"}, "CHAIRTIME_KAFKA: must be host:port"),
        ({"CHAIRTIME_KAFKA": "127.0.0.1:99999"}, "CHAIRTIME_KAFKA: must be host:port"),
        ({"CHAIRTIME_BOOKING_PORT": "notaport"}, "CHAIRTIME_BOOKING_PORT: 'notaport' is not a port"),
        ({"CHAIRTIME_LOG_LEVEL": "LOUD"}, "CHAIRTIME_LOG_LEVEL: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ({"CHAIRTIME_HOME": "/dev/null/home"}, "CHAIRTIME_HOME: /dev/null/home: Not a directory"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(home: Path, environment: dict[str, str], told: str) -> None:
    stopped = run("up", **{"CHAIRTIME_HOME": str(home)} | environment)
    assert stopped.returncode == 78
    assert stopped.stderr.startswith(told)
    assert stopped.stderr.count("\n") == 1


def test_a_wrong_profile_stops_the_start_with_file_key_and_reason(home: Path, tmp_path: Path) -> None:
    clinic = tmp_path / "clinics" / "elsewhere"
    clinic.mkdir(parents=True)
    for file in (REPOSITORY / "deploy" / "clinics" / "stella").glob("*.toml"):
        (clinic / file.name).write_text(file.read_text().replace("America/Chicago", "America/Gotham"))
    stopped = run("up", CHAIRTIME_HOME=str(home), CHAIRTIME_PROFILES=str(tmp_path / "clinics"))
    assert stopped.returncode == 78
    assert stopped.stderr == ("elsewhere/clinic.toml: locations.stella.zone: is not a time zone of the IANA database\n")


def test_a_taken_port_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        stopped = run("up", CHAIRTIME_HOME=str(home), CHAIRTIME_BILLING_PORT=port)
    assert stopped.returncode == 69
    assert stopped.stderr == f"port {port} is taken: end what listens there, or set CHAIRTIME_BILLING_PORT to another\n"


def test_a_kafka_that_is_away_stops_the_start_as_it_stops_a_service_of_its_own(home: Path) -> None:
    stopped = run("up", CHAIRTIME_HOME=str(home), CHAIRTIME_KAFKA="127.0.0.1:1")
    assert (stopped.returncode, stopped.stderr) == (69, "no Kafka answers at CHAIRTIME_KAFKA=127.0.0.1:1\n")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            b'{"id": "1", "type": "clinic.course.imagined.v1", "data": {}}',
            "unknown type or missing attribute 'clinic.course.imagined.v1'",
        ),
        (
            b'{"id": "1", "type": "booking.course.completed.v1", "data": {"course_id": "%s", "sessions_completed": 1}}'
            % str(uuid4()).encode(),
            "booking.course.completed.v1 is published by our own services alone",
        ),
        (b'{"id": 1, "type": "clinic.course.requested.v1", "data": {}}', "is not a CloudEvent in JSON"),
        (b'{"id": "\xe9"}', "is not in UTF-8"),
    ],
)
def test_publishing_what_is_no_event_of_a_clinic_names_the_line_and_publishes_nothing(
    tmp_path: Path, line: bytes, told: str
) -> None:
    file = tmp_path / "events.jsonl"
    fine = json.dumps({"id": "0", "type": "clinic.course.requested.v1", "data": course(mornings(1)[0])})
    file.write_bytes(fine.encode() + b"\n" + line)
    stopped = run("publish", str(file), "--kafka", "127.0.0.1:1")  # of which it would complain
    assert stopped.returncode == 1
    assert stopped.stderr.startswith(f"{file}:2: {told}")
    assert stopped.stderr.count("\n") == 1


def test_publishing_to_nobody_says_so_at_once(tmp_path: Path) -> None:
    stopped = run("publish", str(tmp_path / "none.jsonl"))
    assert stopped.returncode == 2
    file = tmp_path / "events.jsonl"
    file.write_text("")
    stopped = run("publish", str(file), CHAIRTIME_HOME=str(tmp_path))
    assert (stopped.returncode, stopped.stderr.count("\n")) == (78, 1)
    assert stopped.stderr.startswith("CHAIRTIME_KAFKA: is not set")
    stopped = run("publish", str(file), "--kafka", "127.0.0.1:1")
    assert (stopped.returncode, stopped.stderr) == (69, "Kafka at 127.0.0.1:1: no broker answers\n")

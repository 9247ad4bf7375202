"""docker-compose.yml as a running project of its own: its own name, secrets, ports and volumes."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from deploy.local.kafka.node import free_port
from deploy.preparing.accounts import ACCOUNTS
from deploy.preparing.profiles import PROFILES
from deploy.preparing.secrets import MADE_UP, TWILIO_AUTH_TOKEN
from shared.kafka.cluster import Cluster

REPOSITORY: Final = Path(__file__).parents[2]
SERVICES: Final = ("booking", "billing", "reminders")
INFRASTRUCTURE: Final = ("kafka", "postgres", "front", "twilio")
PUBLISHED: Final = ("KAFKA_PORT", "BOOKING_PORT", "BILLING_PORT", "REMINDERS_PORT", "TWILIO_PORT", "PROMETHEUS_PORT")
CLINICS: Final = tuple(sorted(folder.name for folder in PROFILES.iterdir() if (folder / "clinic.toml").is_file()))


class Stack:
    """The whole of Chairtime in containers, with a stand-in for Twilio, as an operator sees it."""

    def __init__(self, folder: Path) -> None:
        self.name = f"chairtime-proof-{uuid4().hex[:8]}"
        self.ports = {name: free_port() for name in PUBLISHED}
        self.folder = folder
        chairtime = [sys.executable, "-c", "from deploy.cli import main; main()"]
        flags = ["--folder", str(folder), "--clinics", ",".join(CLINICS), "--yes", "--json"]
        made = _run([*chairtime, "init", *flags], seconds=60)
        self.keys: dict[str, str] = json.loads(made)["api_keys"]
        token = folder / "secrets" / TWILIO_AUTH_TOKEN
        token.chmod(0o644)
        token.write_text(uuid4().hex)
        settings = {
            "SECRETS_FOLDER": str(folder / "secrets"),
            "KAFKA_OUTSIDE": f"127.0.0.1:{self.ports['KAFKA_PORT']}",
            "CHAIRTIME_PRODUCTION": "false",  # the stand-in knows no https
            "CHAIRTIME_SMS": "twilio",
            "CHAIRTIME_TWILIO_URL": "http://twilio:8009",
            "CHAIRTIME_PUBLIC_URL": "http://reminders:8003",
            "CHAIRTIME_TWILIO_ACCOUNT_SID": "AC" + "5" * 32,
            "CHAIRTIME_TWILIO_NUMBERS": ",".join(f"{name}=+1555010{n:04d}" for n, name in enumerate(CLINICS)),
            "CHAIRTIME_TWILIO_RATES": ",".join(f"{name}=100" for name in CLINICS),
            **{name: str(port) for name, port in self.ports.items()},
        }
        with (folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    @property
    def secrets(self) -> dict[str, str]:
        """Every secret of the deployment, by file."""
        return {name: (self.folder / "secrets" / name).read_text() for name in (*MADE_UP, TWILIO_AUTH_TOKEN)}

    def kafka(self, account: str, password: str | None = None) -> Cluster:
        """Kafka as somebody outside of the containers sees it."""
        known = self.secrets[f"kafka_{account}_password"] if account in ACCOUNTS else ""
        return Cluster(f"127.0.0.1:{self.ports['KAFKA_PORT']}", account, password or known)

    def compose(self, *arguments: str, seconds: float = 120, check: bool = True) -> str:
        """`docker compose`; what it prints on both streams, after an error with its end in the test's report."""
        start = ["docker", "compose", "--project-name", self.name, "--env-file", str(self.folder / ".env")]
        return _run([*start, "--profile", "dev", *arguments], seconds, check)

    def containers(self, *services: str) -> list[str]:
        """Ids of the containers that run, or ran."""
        return self.compose("ps", "--all", "--quiet", *services).split()

    def kill(self, service: str) -> None:
        """kill -9, from outside; the engine leaves alone what was killed so."""
        _run(["docker", "kill", "--signal", "KILL", *self.containers(service)], seconds=30)

    def start(self, service: str) -> None:
        """Start again what was killed."""
        _run(["docker", "start", *self.containers(service)], seconds=30)

    def inside(self, service: str, *command: str, check: bool = True, **environment: str) -> str:
        """What a command prints in a running container."""
        given = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
        return self.compose("exec", "--no-TTY", *given, service, *command, check=check)

    def psql(self, role: str, database: str, sql: str, password: str | None = None) -> str:
        """What PostgreSQL answers a role that comes over the network; errors, too."""
        password = password or self.secrets[f"{role}_database_password"]
        url = f"postgresql://{role}@postgres:5432/{database}"
        return self.inside("postgres", "psql", "-qAt", url, "-c", sql, check=False, PGPASSWORD=password)

    def get(self, service: str, path: str, key: str | None = "operator") -> tuple[int, Any]:
        """Status and JSON of a service's answer; 0 while nobody answers."""
        port = self.ports[f"{service.upper()}_PORT"]
        headers = {"Authorization": f"Bearer {self.keys[key]}"} if key else {}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                body = answer.read()
                return answer.status, json.loads(body) if body.startswith((b"{", b"[")) else body.decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (OSError, ValueError):
            return 0, None


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """Everything built, started and healthy; gone afterwards with its volumes."""
    try:
        _run(["docker", "info", "--format", "{{.ServerVersion}}"], 30)
        _run(["docker", "compose", "version"], 30)
    except (OSError, AssertionError, subprocess.TimeoutExpired):
        line = "this test needs a Docker engine that answers, with Compose v2 (`docker info`, `docker compose version`)"
        raise pytest.fail.Exception(line, pytrace=False) from None
    stack = Stack(folder)
    try:
        stack.compose("build", seconds=600)
        stack.compose("up", "--detach", "--wait", seconds=240)
        yield stack
    except AssertionError:
        sys.stderr.write(stack.compose("logs", "--tail", "40", check=False))
        raise
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)


def eventually(look: Callable[[], Any], seconds: float = 60) -> Any:
    """What `look` gives as soon as it gives something."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} seconds")


def _run(command: list[str], seconds: float, check: bool = True) -> str:
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} exited {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout if check else done.stdout + done.stderr

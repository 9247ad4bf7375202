"""One Kafka node (broker and controller in one) from the published jars; needs Java 17, and Maven the first time.

The same code serves `make kafka`, the tests and the failure tests, which kill a node and start it again on its data.
"""

import base64
import fcntl
import hashlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.server_process import CannotStart, ServerProcess, last_complaint

POM = Path(__file__).with_name("pom.xml")
HOME = Path(__file__).resolve().parents[3] / ".kafka"
JARS = HOME / "libs"
START_SECONDS = 60


class Seat(NamedTuple):
    """A node's place among several that are one Kafka.

    Attributes:
        number: from 1.
        controllers: the port of each node's controller, in their order.
        cluster: the same id for all; see `new_cluster_id`.
    """

    number: int
    controllers: tuple[int, ...]
    cluster: str


class KafkaNode:
    """A node on 127.0.0.1 whose data lives in `home`, for one process at a time.

    `start` works on data left by `stop`, by `kill`, or by the death of everything; an orphaned node is ended first.
    The port stays the same over restarts of one object. Also as a context manager that yields the address.

    Args:
        home: made if missing; holds `data/`, `server.properties` and `kafka.log`.
        port: 0 takes a free one at the first start.
        jars: the cache of jars; see `fetch_jars`.
        seat: its place among several, which must be started together; alone without it.
    """

    def __init__(self, home: Path, *, port: int = 0, jars: Path = JARS, seat: Seat | None = None) -> None:
        self.home = home.absolute()
        self.port = port
        self.jars = jars
        self._seat = seat
        self.log = self.home / "kafka.log"
        self._server = ServerProcess("Kafka", self.home, stop_signal=signal.SIGTERM)

    @property
    def address(self) -> str:
        """`127.0.0.1:port`, for `bootstrap.servers`."""
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the node's process lives."""
        return self._server.running

    def start(self) -> str:
        """Starts the node, waits until it answers, and returns its address.

        2 seconds; 5 after `kill`, because the controller waits for the dead broker's session to end; the first time
        also the jars (10 seconds and more).

        Raises:
            CannotStart: no Java, no Maven, the port or the home is taken, or Kafka itself gave up; one line.
        """
        if self._server.running:
            return self.address
        java = _program("java", "Java 17 or newer (a JRE is enough)")
        classes = fetch_jars(self.jars)
        self._server.claim()
        try:
            if self.port and not _is_free(self.port):
                raise CannotStart(
                    f"port {self.port} on 127.0.0.1 is taken: end what listens there or choose another port"
                )
            self.port = self.port or free_port()
            command = [
                java,
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:+ExitOnOutOfMemoryError",
                *LOGGING,
                "-cp",
                f"{classes}/*",
            ]
            if not (self.home / "data").exists():
                self._format(command)
            properties = self._write_properties(self.home / "data")
            self._server.spawn([*command, "kafka.Kafka", properties], log=self.log)
            # librdkafka connects in the background by itself; asked here is only what it knows by now.
            client = AdminClient({"bootstrap.servers": self.address, **QUIET_CLIENT})
            self._server.wait_until(lambda: answers(client), seconds=START_SECONDS, log=self.log)
        except BaseException:
            self.kill()
            raise
        return self.address

    def stop(self) -> None:
        """Shuts down in order (about a second); no effect when nothing runs."""
        self._server.stop()

    def kill(self) -> None:
        """Kills the node (SIGKILL) as a crash would; data and port are kept for the next `start`."""
        self._server.kill()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _format(self, command: list[str]) -> None:
        """Makes the data directory beside its final place and renames it, so that a half-made one is never used."""
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        properties = self._write_properties(unfinished)
        cluster = self._seat.cluster if self._seat else new_cluster_id()
        with self.log.open("ab") as output:
            made = subprocess.run(
                [*command, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if made.returncode != 0:
            complaint = last_complaint(self.log)
            if "UnsupportedClassVersionError" in complaint or "Java Runtime" in complaint:
                raise CannotStart(
                    f"the `java` on the PATH is too old for Kafka: install Java 17 or newer (log: {self.log})"
                )
            raise CannotStart(f"Kafka could not format its data: {complaint} (log: {self.log})")
        unfinished.rename(self.home / "data")

    def _write_properties(self, data: Path) -> Path:
        number, controllers, _ = self._seat or Seat(1, (free_port(),), "")
        controller, nodes = controllers[number - 1], len(controllers)
        voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(controllers, start=1))
        path = self.home / "server.properties"
        path.write_text(
            f"""# Written anew at every start.
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
"""
            + "".join(f"{name}={value}\n" for name, value in (SETTINGS | copies(nodes)).items())
        )
        return path


# After a kill the controller keeps the place of the dead broker for its session's length, by default 9 seconds.
SETTINGS = {
    "num.partitions": "4",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
}
LOGGING = [
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "-Dorg.slf4j.simpleLogger.levelInBrackets=true",
]
QUIET_CLIENT = {"log_level": 0, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200}


def copies(nodes: int) -> dict[str, str]:
    """Settings for copies on every node; a record counts as written when more than half of them have it."""
    most = str(nodes // 2 + 1)
    return {
        "min.insync.replicas": most,
        "offsets.topic.replication.factor": str(nodes),
        "transaction.state.log.replication.factor": str(nodes),
        "transaction.state.log.min.isr": most,
        "share.coordinator.state.topic.replication.factor": str(nodes),
        "share.coordinator.state.topic.min.isr": most,
    }


def new_cluster_id() -> str:
    """An id that no other Kafka has."""
    return base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")  # never begins with "-"


def answers(client: AdminClient, *, seconds: float = 1) -> bool:
    """Whether a Kafka answers a metadata request within so many seconds, with a broker in it.

    It is there once the controller has registered it, which is later than its port is open.
    """
    try:
        return bool(client.list_topics(timeout=seconds).brokers)
    except KafkaException:
        return False


def fetch_jars(cache: Path = JARS) -> Path:
    """The folder with the jars that `pom.xml` names, fetched by Maven the first time (44 MB).

    One folder for each content of the pom, put in place by a rename when it is complete: a folder that is there is
    whole. Of two processes one waits for the other's.

    Raises:
        CannotStart: Maven is missing or failed.
    """
    wanted = cache.absolute() / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if wanted.is_dir():
        return wanted
    maven = _program("mvn", "Maven, which fetches Kafka's jars")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "fetch.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if wanted.is_dir():
            return wanted
        for left_over in cache.glob("unfinished-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=cache)).absolute()
        log = cache / "maven.log"
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"]
        with log.open("wb") as output:
            fetched = subprocess.run(
                [maven, "-B", "-ntp", "-f", POM, *goal],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[lock.fileno()],  # if we are killed, Maven keeps the lock until it is done
                check=False,
            )
        if fetched.returncode != 0:
            raise CannotStart(f"Maven could not fetch Kafka's jars: {last_complaint(log)} (log: {log})")
        unfinished.rename(wanted)
    return wanted


def _program(name: str, what: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise CannotStart(f"`{name}` is not on the PATH: install {what}")
    return path


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as Kafka does: ports of closed connections are free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A free port below the range that the system gives to outgoing connections.

    In that range a client that retries while the node is down can be given the node's own port, and then blocks it.
    """
    for port in random.sample(range(20_000, 32_000), 1_000):
        if _is_free(port):
            return port
    raise CannotStart("no free port on 127.0.0.1 between 20000 and 32000")

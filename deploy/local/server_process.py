"""A server (PostgreSQL, Kafka) that runs as our child, in a directory that only one process uses at a time.

Here lives what both need and what is easy to get wrong: locks, orphans, signals. How a server is configured, and when
it is ready, is in `postgres.py` and `kafka/node.py`. Unix only.

Two file locks make every restart safe, because the kernel drops a lock with the last process that holds it:

* `owner.lock` is ours, as long as we use the directory. A second process gets one clear line.
* `server.lock` is inherited by the server and everything it forks. If we were killed, the next one to come sees whether
  the old server still lives, without trusting a process id that may long belong to something else.
"""

import atexit
import contextlib
import fcntl
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.02


class CannotStart(Exception):
    """A server cannot be started; the message is one line that says what to do about it."""


class ServerProcess:
    """One server process in one directory.

    The server ends with us: on `stop`, at the interpreter's exit, and also when we are killed (a small shell waits for
    the end of our pipe and passes the stop signal on). Ctrl-C in the terminal does not reach the server; we decide.

    Args:
        name: how messages call it, e.g. "PostgreSQL".
        directory: holds the locks; made if missing.
        stop_signal: what asks the server to shut down in order.
    """

    def __init__(self, name: str, directory: Path, *, stop_signal: signal.Signals) -> None:
        self.name = name
        self.directory = directory
        self.stop_signal = stop_signal
        self._owner_lock: IO[str] | None = None
        self._server_lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the server's process lives; says nothing about whether it answers."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    def claim(self) -> None:
        """Takes the directory for us and ends a server that a killed owner left behind (10 seconds, then by force).

        After it nothing else runs on this directory, so whatever lock files the server itself left there are stale.

        Raises:
            CannotStart: another live process uses the directory.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        owner = _open_lock(self.directory / "owner.lock")
        if not _try_lock(owner):
            line = (
                f"{self.name} in {self.directory} is already run by another process (pid {_pid_in(owner) or 'unknown'})"
            )
            owner.close()
            raise CannotStart(line)
        _write_pid(owner, os.getpid())
        self._owner_lock = owner
        try:
            self._server_lock = self._end_orphan()
        except BaseException:
            self._release()
            raise

    def _end_orphan(self) -> IO[str]:
        server = _open_lock(self.directory / "server.lock")
        asked_at = time.monotonic()
        signals = [(0.0, self.stop_signal), (10.0, signal.SIGKILL)]
        while not _try_lock(server):
            waited = time.monotonic() - asked_at
            pid = _pid_in(server)
            if pid is not None and signals and waited >= signals[0][0]:
                _signal(pid, signals.pop(0)[1])
            if waited > 15:
                server.close()
                raise CannotStart(
                    f"an earlier {self.name} still runs in {self.directory} (pid {pid}): end it and try again"
                )
            time.sleep(POLL_SECONDS)
        return server

    def spawn(self, argv: Sequence[str | Path], *, log: Path, user: int | None = None, cwd: Path | None = None) -> None:
        """Starts the server after `claim`; its output is appended to `log`.

        Args:
            user: numeric id of the user (and its group) to run as; only root can ask for one.
        """
        assert self._server_lock is not None, "claim() comes first"
        lock = self._server_lock.fileno()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[lock],
                start_new_session=True,
                user=user,
                group=user if user is None else _group_of(user),
                extra_groups=None if user is None else [],
                cwd=cwd,
            )
        _write_pid(self._server_lock, self._process.pid)
        self._server_lock.close()  # our copy; the lock itself lives on in the server
        self._server_lock = None
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", 'read -r _; kill -s "$0" "$1"', self.stop_signal.name[3:], str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        atexit.register(self.stop)

    def wait_until(self, ready: Callable[[], bool], *, seconds: float, log: Path) -> None:
        """Waits for the spawned server to be ready.

        Raises:
            CannotStart: it ended, or was not ready in time; the line carries the log's last complaint and its path.
        """
        give_up_at = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise CannotStart(f"{self.name} ended while starting: {last_complaint(log)} (log: {log})")
            if time.monotonic() > give_up_at:
                raise CannotStart(
                    f"{self.name} was not ready in {seconds:.0f} seconds: {last_complaint(log)} (log: {log})"
                )
            time.sleep(POLL_SECONDS)

    def stop(self, *, seconds: float = 30) -> None:
        """Asks the server to shut down, kills it if it has not after `seconds`; no effect when nothing runs."""
        if self._process is not None and self.running:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._release()

    def kill(self) -> None:
        """Ends the server at once, as a power failure would (SIGKILL); its data stays as it is."""
        if self._process is not None:
            self._process.kill()
        self._release()

    def _release(self) -> None:
        if self._process is not None:
            self._process.wait()
            with (self.directory / "server.lock").open("r+") as server:
                server.truncate()  # the id is free again: nobody may signal it
            self._process = None
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.communicate()
            self._watcher = None
        for lock in (self._server_lock, self._owner_lock):
            if lock is not None:
                lock.close()
        self._server_lock = self._owner_lock = None
        atexit.unregister(self.stop)


def last_complaint(log: Path) -> str:
    """The last line of a log that names an error, else its last line."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines()[-200:] if line.strip()]
    except FileNotFoundError:
        lines = []
    complaints = [line for line in lines if any(word in line for word in ("FATAL", "ERROR", "Exception", "error:"))]
    return (complaints or lines or ["it said nothing"])[-1][:300]


def _open_lock(path: Path) -> IO[str]:
    return path.open("a+")


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid_in(lock: IO[str]) -> int | None:
    lock.seek(0)
    text = lock.read().strip()
    return int(text) if text.isdigit() else None


def _write_pid(lock: IO[str], pid: int) -> None:
    lock.truncate(0)
    lock.write(str(pid))
    lock.flush()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _group_of(user: int) -> int:
    return pwd.getpwuid(user).pw_gid

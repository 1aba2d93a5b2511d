"""A PostgreSQL server of the tests' own, on the loopback, that can be killed and come back."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.control_plane import free_ports, until

# PostgreSQL refuses to run as root.
NOBODY = 65534


PROGRAMS = ("initdb", "postgres", "pg_isready")


def programs() -> Path | None:
    """The folder of an installed server; Debian keeps them out of PATH."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *map(Path, os.get_exec_path())]
    return next(
        (folder for folder in folders if all((folder / name).exists() for name in PROGRAMS)), None
    )


class Database:
    def __init__(self, programs: Path, folder: Path, settings: Mapping[str, str]) -> None:
        (self.port,) = free_ports(1)
        self.url = f"postgres://backline@127.0.0.1:{self.port}/postgres"
        self.programs, self._folder, self._settings = programs, folder, dict(settings)
        self._user = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            os.chown(folder, NOBODY, NOBODY)
        options = ["--username=backline", "--auth=trust", "--no-sync", "--encoding=UTF8"]
        self._run("initdb", "-D", str(folder / "data"), *options).wait()

    def start(self) -> None:
        options = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
            "fsync": "off",
        } | self._settings  # fmt: skip
        flags = [f"--{name}={value}" for name, value in options.items()]
        self._process = self._run("postgres", "-D", str(self._folder / "data"), *flags)
        ready = [str(self.programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        until("PostgreSQL answers", lambda: subprocess.run(ready, check=False).returncode == 0)

    def kill(self) -> None:
        """All its processes at once; the next start recovers from the log, as after a crash."""
        assert self._process
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(60)

    def _run(self, program: str, *flags: str) -> "subprocess.Popen[bytes]":
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self.programs / program), *flags],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._user,
            )


@contextmanager
def running(programs: Path, **settings: str) -> Iterator[Database]:
    """A server of its own; `settings` as postgresql.conf has them."""
    # Not below pytest's folder, which other users may not enter.
    folder = Path(tempfile.mkdtemp(prefix="backline-postgres-"))
    try:
        made = Database(programs, folder, settings)
        made.start()
        try:
            yield made
        finally:
            made.kill()
    finally:
        shutil.rmtree(folder)

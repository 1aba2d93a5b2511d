"""A portal of its own for a measurement: fresh database, one uvicorn, gone afterwards."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from portal.processes.supervisor import end

ROOT = Path(__file__).resolve().parent.parent

PREPARE = """
import django; django.setup()
from experiments.models import Membership, Project
from portal import tokens
from portal.models import Role, User
user = User.objects.create_user("ada", password="a long enough password", roles=[Role.RESEARCHER])
project = Project.objects.create(slug="bench", name="Bench")
Membership.objects.create(project=project, user=user, level="owner")
print(tokens.issue(user, "bench")[1])
"""


@dataclass(frozen=True)
class Portal:
    url: str
    token: str
    environment: dict[str, str]
    folder: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


@contextlib.contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Ends the process, by its number, when the block is left."""
    try:
        yield
    finally:
        end([process], seconds=10)


@contextlib.contextmanager
def settings() -> Iterator[tuple[Path, dict[str, str]]]:
    """An empty, migrated database in a temporary folder, as environment variables."""
    with tempfile.TemporaryDirectory(prefix="backline-bench-") as folder:
        environment = os.environ | {
            "STATE_DIR": folder,
            "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "OMP_NUM_THREADS": "1",
            "LOG_LEVEL": "WARNING",
            "BACKLINE_SPOOL": f"{folder}/spool",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
        yield Path(folder), environment


@contextlib.contextmanager
def running() -> Iterator[Portal]:
    """A portal that answers on the loopback."""
    with settings() as (folder, environment):
        port = free_port()
        environment["PORT"] = str(port)
        made = subprocess.run(
            [sys.executable, "-c", PREPARE],
            cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        serve = ["uvicorn", "portal.asgi:application", "--port", str(port), "--log-level", "error"]
        server = subprocess.Popen([sys.executable, "-m", *serve], cwd=ROOT, env=environment)
        with ended(server):
            wait_for(f"http://127.0.0.1:{port}/api/v1/projects")
            url = f"http://127.0.0.1:{port}"
            yield Portal(url, made.stdout.strip(), environment, folder)

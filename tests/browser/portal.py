"""A whole portal of its own: `manage.py up` in a folder and at a port that nobody else has."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page

from tests.patience import LIMIT_SECONDS
from workers.demo import PASSWORD, PROJECT

ROOT = Path(__file__).parents[2]


@dataclass
class Portal:
    url: str
    process: subprocess.Popen[str] | None = None
    lines: list[str] = field(default_factory=list)

    def page(self, path: str = "") -> str:
        return f"{self.url}/projects/{PROJECT}/{path}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running(state: Path, *, seconds: float = LIMIT_SECONDS) -> Iterator[Portal]:
    """Start the portal, wait until it says where it answers, and stop it by Ctrl-C."""
    port = free_port()
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in {"DJANGO_SETTINGS_MODULE", "DJANGO_ALLOW_ASYNC_UNSAFE"}
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env={
            **environment,
            "STATE_DIR": str(state),
            "PORT": str(port),
            "PYTHONUNBUFFERED": "1",
            "DEMO_RUNS": "false",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    portal = Portal(url=f"http://127.0.0.1:{port}", process=process)
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                portal.lines.append(line)
                if "answers at" in line:
                    ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert ready.wait(seconds), "".join(portal.lines)
        assert process.poll() is None, "".join(portal.lines)
        yield portal
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(5)


def log_in(page: Page, portal: Portal, username: str) -> None:
    page.context.clear_cookies()
    page.goto(f"{portal.url}/account/login/")
    page.get_by_label("User name or e-mail").fill(username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{portal.url}/")

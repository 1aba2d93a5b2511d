"""`manage.py up`: run the whole portal on this machine, until Ctrl-C."""

import fcntl
import signal
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from portal import endings
from portal.http import outages
from portal.machine import private
from portal.models import User
from portal.processes import embedded
from portal.processes.supervisor import NotReady, Supervisor

# A process that ends is noticed at once; this is for a machine that is slow, or busy.
READY_SECONDS = 300.0


class Command(BaseCommand):
    help = "Migrates, then runs broker, worker, clock and web server until Ctrl-C."
    # The checks load every page's code, which the web server loads anyway; the tests run them.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen at.")
        parser.add_argument("--no-demo", action="store_true", help="Leave an empty database empty.")

    def handle(self, *_args: Any, **options: Any) -> None:
        began = time.monotonic()
        host, port = options["host"], settings.PORT
        supervisor = Supervisor(settings.STATE_DIR, report=self.say)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.stopping.set())
        try:
            with single_instance_lock(settings.STATE_DIR):
                closed = private.close_contents(settings.STATE_DIR)
                if closed:
                    self.say(f"Closed {closed} files and folders that others could have read.")
                ended = supervisor.end_leftovers()
                if ended:
                    self.say(f"Ended {ended} processes that an earlier start had left behind.")
                embedded.check_port(host, port)
                try:
                    demo_built = self.bring_up(supervisor, host, port, demo=not options["no_demo"])
                    if not supervisor.stopping.is_set():
                        self.welcome(host, port, time.monotonic() - began, logins=not demo_built)
                        supervisor.watch()
                finally:
                    if supervisor.children:
                        self.say("Stopping; runs that are under way go on.")
                    supervisor.stop()
        except (embedded.Refused, NotReady) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            if outages.outage_of(error) is None:
                raise
            raise CommandError(
                f"{settings.STATE_DIR} takes no files ({error.strerror}). Make room there, mount "
                "it for writing, or point STATE_DIR to another folder."
            ) from error
        self.say("Stopped.")

    def bring_up(self, supervisor: Supervisor, host: str, port: int, *, demo: bool) -> bool:
        """Start everything; return true if the demo world was built, which printed the log-ins."""
        socket = embedded.redis_socket()
        redis = embedded.redis(socket) if socket else None
        if redis:
            supervisor.start(redis)
        # Checked while Redis starts.
        must_migrate = has_pending_migrations()
        if redis:
            supervisor.wait_ready(redis, seconds=READY_SECONDS)
        if must_migrate:
            self.say("Migrating the database…")
            call_command("migrate", verbosity=0, interactive=False)
        if endings.behind():
            raise embedded.Refused(
                "The database is older than its journal of endings: what people ended since the "
                "back-up would be in force again. First: manage.py restored --by NAME. If this is "
                "to be a new portal, move the journal's folder away (ENDINGS_DIR)."
            )
        empty = not User.objects.exists()
        connections.close_all()
        children = [embedded.web(host, port), embedded.worker(), embedded.clock()]
        self.say("Starting web server, worker and clock…")
        for child in children:
            supervisor.start(child)
        for child in children:
            supervisor.wait_ready(child, seconds=READY_SECONDS)
        if demo and empty and not supervisor.stopping.is_set():
            self.build_demo(supervisor)
            return True
        return False

    def build_demo(self, supervisor: Supervisor) -> None:
        """Fill an empty database, all of it or nothing; the log-ins are stored for later starts."""
        code, lines = supervisor.run("demo", [sys.executable, "manage.py", "demo"])
        if supervisor.stopping.is_set():
            return
        if code != 0:
            raise NotReady("The demo world could not be built; the lines above say why.")
        logins = lines[lines.index("") + 1 :] if "" in lines else []
        logins_file().write_text("\n".join(logins) + "\n", encoding="utf-8")

    def welcome(self, host: str, port: int, seconds: float, *, logins: bool) -> None:
        shown_host = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
        self.say(
            f"\nBackline answers at http://{shown_host}:{port}/ ({seconds:.1f} s). Ctrl-C stops it."
        )
        if logins and logins_file().exists():
            self.say("Log-ins of the demo world (name, password, roles):")
            self.say(logins_file().read_text(encoding="utf-8").rstrip())
        self.say(f"Logs: {settings.STATE_DIR / 'logs'}\n")

    def say(self, line: str) -> None:
        try:
            self.stdout.write(line)
            self.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output is gone; the portal goes on.
            pass


def has_pending_migrations() -> bool:
    """Return whether `migrate` has anything to do; asking is quicker than a run for nothing."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def logins_file() -> Path:
    path: Path = settings.STATE_DIR / "demo.logins"
    return path


@contextmanager
def single_instance_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system releases it however this process ends."""
    with (folder / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise embedded.Refused(
                f"Backline already runs from {folder} ({file.read().strip() or 'starting'}). "
                "Stop it first, or point STATE_DIR to another folder."
            ) from error
        file.truncate(0)
        file.write(f"process {threading.get_native_id()}, port {settings.PORT}")
        file.flush()
        yield

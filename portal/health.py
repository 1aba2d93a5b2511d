"""Whether the machinery answers: database, broker, worker, storage, disks, the signed audit log."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from portal import endings, storage
from portal.celery import app
from portal.machine import disk_room, separation
from portal.models import AuditEvent, LogRoot

# What a broker that is down raises, whatever its transport.
BROKER_ERRORS = (OperationalError, RedisError, OSError)
# A root that is due may wait this long for the clock and for a busy worker.
ROOT_GRACE = timedelta(minutes=10)
# Checks that apps provide: a name, and a function that returns whether all is well.
APP_CHECKS = (("Content credentials", "audio_samples.credentials.chain.check_chain"),)


@dataclass(frozen=True)
class Check:
    name: str
    good: bool
    sentence: str


def database() -> Check:
    began = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return Check("Database", False, f"Does not answer: {error}")
    return Check(
        "Database", True, f"{connection.vendor}, answers in {_ms(began)}, migrated and open."
    )


def broker() -> Check:
    try:
        with app.connection_for_read() as link:
            link.ensure_connection(max_retries=1, timeout=1)
            waiting = cast("Any", link.default_channel).queue_declare("celery").message_count
    except BROKER_ERRORS as error:
        return Check("Broker", False, f"Does not answer: {error}. Rows wait; nothing is lost.")
    return Check("Broker", True, f"Answers; {waiting} messages wait.")


def workers() -> Check:
    try:
        # As many answers as workers listen; one that has been killed is waited for in vain.
        limit = _listening()
        answers = (limit and app.control.inspect(timeout=1.0, limit=limit).stats()) or {}
    except BROKER_ERRORS:
        answers = {}
    if not answers:
        return Check("Workers", False, "No worker answered within a second: runs wait.")
    done = sum(sum(answer.get("total", {}).values()) for answer in answers.values())
    names = ", ".join(sorted(answers))
    return Check("Workers", True, f"{len(answers)} answered ({names}); {done} tasks since start.")


def _listening() -> int:
    """Return how many workers are bound to the exchange that asks them all."""
    with app.connection_for_read() as link:
        link.ensure_connection(max_retries=1, timeout=1)
        channel = cast("Any", link.default_channel)
        try:
            return len(channel.get_table(cast("Any", app.control).mailbox.exchange.name))
        except KeyError:
            # What kombu's broker in memory says before anybody has listened.
            return 0


def store() -> Check:
    try:
        return Check("Storage", *storage.check_store())
    except OSError as error:
        return Check("Storage", False, f"Cannot be used: {error}")


def disks() -> Check:
    return Check("Room", *disk_room.check_room())


def audit_log() -> Check:
    """Check that roots are signed on time; `manage.py audit verify` checks the log itself."""
    try:
        root = LogRoot.objects.order_by("-size").first()
        unsigned = AuditEvent.objects.filter(seq__gt=root.size if root else 0).order_by("seq")
        oldest = unsigned.first()
    except DatabaseError as error:
        return Check("Audit log", False, f"Cannot be read: {error}")
    sentence = "No root is signed yet."
    if root is not None:
        sentence = f"{root.size} lines are under the root of {root.at:%Y-%m-%d %H:%M} UTC."
    due = timezone.now() - timedelta(minutes=settings.AUDIT_ROOT_MINUTES) - ROOT_GRACE
    if oldest is not None and oldest.at < due:
        return Check(
            "Audit log",
            False,
            f"{sentence} Line {oldest.seq} waits for one since {oldest.at:%Y-%m-%d %H:%M} UTC: "
            "`manage.py audit root` says why.",
        )
    return Check("Audit log", True, sentence)


def journal() -> Check:
    """Check that endings can be journaled, and that this database has all of the journal."""
    return Check("Journal of endings", *endings.look())


def own_programs() -> list[Check]:
    """Check how researchers' programs are separated, where they run on this machine."""
    if settings.CLUSTER != "local":
        return []
    current = separation.current()
    good = settings.LOCAL_PROGRAMS == "off" or not current.why_not
    return [Check("Own programs", good, current.words)]


def app_checks() -> list[Check]:
    return [Check(name, *import_string(path)()) for name, path in APP_CHECKS]


def checks() -> list[Check]:
    return [
        database(), broker(), workers(), store(), disks(), audit_log(), journal(),
        *own_programs(), *app_checks(),
    ]  # fmt: skip


def _ms(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:.1f} ms"

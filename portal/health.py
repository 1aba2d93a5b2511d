"""Whether the machinery answers: database, broker, worker, storage."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.db import DatabaseError, connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from portal.celery import app

# What a broker that is down raises, whatever its transport.
TROUBLE = (OperationalError, RedisError, OSError)
LOW_BYTES = 2_000_000_000


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
    except TROUBLE as error:
        return Check("Broker", False, f"Does not answer: {error}. Rows wait; nothing is lost.")
    return Check("Broker", True, f"Answers; {waiting} messages wait.")


def workers() -> Check:
    try:
        answers = app.control.inspect(timeout=1.0).stats() or {}
    except TROUBLE:
        answers = {}
    if not answers:
        return Check("Workers", False, "No worker answered within a second: runs wait.")
    done = sum(sum(answer.get("total", {}).values()) for answer in answers.values())
    names = ", ".join(sorted(answers))
    return Check("Workers", True, f"{len(answers)} answered ({names}); {done} tasks since start.")


def storage() -> Check:
    root: Path = settings.STORAGE_DIR
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    sentence = f"{free / 1e9:.1f} GB free where audio and checkpoints lie."
    if free < LOW_BYTES:
        sentence += " Make room: uploads and checkpoints will soon fail."
    return Check("Storage", free >= LOW_BYTES, sentence)


def checks() -> list[Check]:
    return [database(), broker(), workers(), storage()]


def _ms(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:.1f} ms"

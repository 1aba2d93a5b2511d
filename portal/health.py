"""Whether the machinery answers: database, broker, worker, storage."""

import time
from dataclasses import dataclass
from typing import Any, cast

from django.db import DatabaseError, connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from portal import storage
from portal.celery import app

# What a broker that is down raises, whatever its transport.
TROUBLE = (OperationalError, RedisError, OSError)


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


def store() -> Check:
    return Check("Storage", *storage.look())


def checks() -> list[Check]:
    return [database(), broker(), workers(), store()]


def _ms(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:.1f} ms"

"""What changes on the page of an open run, as one snapshot or as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.db.models import Avg, Count, F, Max, OuterRef, Subquery, Sum
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from experiments.deliveries import logs, terminal, undelivered
from experiments.models import ClusterEvent, LogChunk, MediaUse, Run, Series
from experiments.runs import outputs, quotas, runs

TICK = 1.0
# A connection ends after this many seconds and the browser reconnects: rights are checked anew.
LONGEST = 240.0
HEARTBEAT = 15.0
LOG_LINES = 20
# Assumed length of a run before any has finished: that of the demo's recipe.
USUAL_SECONDS = 180.0


@dataclass(frozen=True)
class Moment:
    """What a run's page shows at one moment. Equal moments look the same."""

    state: str
    words: str
    detail: str
    progress: float
    progress_words: str
    open: bool
    curve: int
    metrics: int
    log: int
    samples: int
    media: int
    # How many events the cluster has reported, repeats included.
    events: int
    warning: str


def read_moment(run: Run) -> Moment:
    """Read the present moment of a run from the database, by a handful of small queries."""
    numbers = _numbers(run)
    return Moment(
        state=run.state,
        words=str(run.get_state_display()),
        detail=detail(run),
        progress=round(run.progress, 3),
        progress_words=progress_words(run),
        open=run.is_open,
        curve=numbers["points"],
        metrics=numbers["metrics"],
        log=numbers["log"],
        samples=outputs.count(run),
        media=numbers["media"],
        events=numbers["events"],
        warning=" ".join(
            filter(None, (run.warning if run.is_open else "", undelivered.words(run)))
        ),
    )


def _numbers(run: Run) -> dict[str, int]:
    """Return how much there is of what the page draws anew: one query, asked each second."""
    series = Series.objects.filter(run=OuterRef("pk")).order_by().values("run")
    logs_of = LogChunk.objects.filter(run=OuterRef("pk")).order_by().values("run")
    events = ClusterEvent.objects.filter(attempt__run=OuterRef("pk")).order_by()
    wanted = {
        "points": series.annotate(found=Sum("count")),
        "metrics": series.annotate(found=Count("pk")),
        "log": logs_of.annotate(found=Max("pk")),
        "events": events.values("attempt__run").annotate(found=Sum("count")),
        "media": MediaUse.objects.filter(run=OuterRef("pk")).annotate(found=F("items")),
    }
    columns = {f"now_{name}": Subquery(rows.values("found")) for name, rows in wanted.items()}
    found = Run.objects.filter(pk=run.pk).annotate(**columns).values_list(*columns).first()
    return {
        name: int(value or 0)
        for name, value in zip(wanted, found or [0] * len(wanted), strict=True)
    }


def detail(run: Run) -> str:
    """Return the sentence beside the state: how long it waits, what it does, why it ended."""
    if run.state == Run.State.QUEUED:
        return f"{quotas.why_blocked(run) or place_words(run)} {run.state_reason}".strip()
    if run.state == Run.State.STARTING:
        return run.state_reason or run.stage
    if run.is_open:
        return silence_words(run) or run.stage or run.state_reason
    return run.state_reason


def silence_words(run: Run) -> str:
    """Return that its program is silent, and what follows from that; empty while it reports."""
    if (since := run.silent_since) is None:
        return ""
    words = f"Nothing was heard of its program since {since:%H:%M:%S} UTC."
    if run.origin == Run.Origin.CLIENT:
        return words
    return (
        f"{words} If its machine is gone, the cluster says so within about a minute, "
        "and the next attempt goes on from the last checkpoint."
    )


def place_words(run: Run) -> str:
    """Return how many runs start before it, and when its turn may come."""
    before = runs.queue_position(run) - 1
    wait = expected_wait(before)
    if before > 0:
        return f"{before} run{'' if before == 1 else 's'} before it, about {in_words(wait)}."
    return f"Next to start, in about {in_words(wait)}." if wait else "Next to start."


def expected_wait(before: int) -> float:
    """Estimate the seconds until a run starts: the shortest time left of the busy runs, plus the
    mean length of recent runs for each run before it."""
    now = timezone.now()
    busy = Run.objects.filter(state__in=runs.BUSY, origin=Run.Origin.PORTAL)
    remaining = [seconds for run in busy if (seconds := time_left(run, now)) is not None]
    ended = Run.objects.filter(state=Run.State.FINISHED, started_at__isnull=False)
    newest = ended.order_by("-queued_at").values("pk")[:10]
    mean = Run.objects.filter(pk__in=newest).aggregate(t=Avg(F("ended_at") - F("started_at")))["t"]
    usual = mean.total_seconds() if mean else USUAL_SECONDS
    return min(remaining, default=0.0) + usual * max(before, 0)


def progress_words(run: Run) -> str:
    """Return how far it is, and how much longer it takes: "42 %, about 1 min left"."""
    if run.state not in {Run.State.RUNNING, Run.State.STOPPING}:
        return ""
    share = f"{run.progress * 100:.0f} %"
    if run.state == Run.State.STOPPING:
        # It ends soon, and not at its end.
        return share
    remaining = time_left(run, timezone.now())
    return f"{share}, about {in_words(remaining)} left" if remaining is not None else share


def time_left(run: Run, now: datetime) -> float | None:
    """Estimate the seconds to the end at the pace so far; None before there is a pace."""
    if run.started_at is None or not 0.02 <= run.progress < 1:
        return None
    elapsed = ((run.progress_at or now) - run.started_at).total_seconds()
    remaining = elapsed * (1 - run.progress) / run.progress
    return max(0.0, remaining - (now - (run.progress_at or now)).total_seconds())


def in_words(seconds: float) -> str:
    """Return a duration in rounded words, as an estimate is not exact to the second."""
    if seconds < 50:
        return f"{max(5, round(seconds / 5) * 5)} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"


def log_html(run: Run) -> SafeString:
    """Return the tail of the console; where several processes write, each line has its rank."""
    lines = logs.tail(run, LOG_LINES)
    width = len(str(max((line.rank for line in lines), default=0))) if logs.ranks(run) else 0
    return mark_safe("\n".join(line_html(line, width) for line in lines))  # noqa: S308 - as below.


def line_html(line: logs.LogLine, width: int = 0) -> SafeString:
    """Return a line as a terminal shows it, safe to show; `width` of its rank, 0 for none."""
    rank = f"[{line.rank:>{width}}] " if width else ""
    return mark_safe(rank + terminal.as_html(line.text))  # noqa: S308 - escaped there.


def snapshot(run_id: UUID, *, log_from: int = -1) -> dict[str, object] | None:
    """The moment as JSON, with the log's tail if it grew since `log_from`; None without a run."""
    run = Run.objects.select_related("project").filter(pk=run_id).first()
    if run is None:
        return None
    now = read_moment(run)
    body: dict[str, object] = asdict(now)
    if now.log != log_from:
        body["log_html"] = log_html(run)
    return body


async def stream(
    run_id: UUID, *, tick: float = TICK, longest: float = LONGEST
) -> AsyncIterator[bytes]:
    """Server-sent events of one run: an event `change` with the fields that changed.

    A comment keeps a silent connection open; `end` comes when the run has ended, and after
    `longest` seconds the stream simply ends, so that the browser connects and is checked again.
    """
    yield b"retry: 2000\n\n"
    read = sync_to_async(_read_snapshot)
    known: dict[str, object] = {}
    silent = lived = 0.0
    while lived < longest:
        log_from = known.get("log", -1)
        now = await read(run_id, log_from if isinstance(log_from, int) else -1)
        if now is None:
            break
        changed = {key: value for key, value in now.items() if known.get(key, ...) != value}
        if changed:
            yield event("change", changed)
            silent = 0.0
        elif silent >= HEARTBEAT:
            yield b": still here\n\n"
            silent = 0.0
        known |= changed
        if not now["open"]:
            yield event("end", {"state": now["state"]})
            break
        await asyncio.sleep(tick)
        silent, lived = silent + tick, lived + tick


def _read_snapshot(run_id: UUID, log_from: int) -> dict[str, object] | None:
    """Return a snapshot and free the database connection: a page is watched for minutes, and a
    connection per viewer is more than a database has."""
    try:
        return snapshot(run_id, log_from=log_from)
    finally:
        close_old_connections()


def event(name: str, body: dict[str, object]) -> bytes:
    """Encode one server-sent event; JSON has line breaks in its strings only, escaped."""
    return f"event: {name}\ndata: {json.dumps(body)}\n\n".encode()

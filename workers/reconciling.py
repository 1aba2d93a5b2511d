"""Brings rows and cluster together: starts or stops what the rows want, stores what the cluster
reports.

Everything it needs is in the rows and in the cluster's answer, and each step is a compare-
and-set or idempotent by name. So it may be killed between any two lines, run twice at once, or
run late: the next reconcile pass continues from the current state.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from audio_samples import credit_statements
from experiments import policies
from experiments.clearance import permission
from experiments.metrics import metrics
from experiments.models import Attempt, Batch, Run
from experiments.runs import quotas, runs
from experiments.sweeps import passes
from portal import celery, endings, tokens
from rights.grants import lifecycle
from rights.withdrawal import cases
from workers import cluster_news, job_cleanup
from workers.cluster import PREEMPTED_CODE, Cluster, Job, JobStatus, Refused, Unavailable, manifests

log = logging.getLogger(__name__)

State = Run.State
STOPPED_CODES = (130, 143)
TOKEN_DAYS = 30
# A script may lose its network for a while; after an hour without a heartbeat its run is closed.
SILENT_AFTER = timedelta(hours=1)
COMPACTED_AT_ONCE = 10
# How long one pass goes on starting runs.
STARTING_SECONDS = 5.0
# Held by the thread that starts runs; a worker's other threads skip this step and do not wait.
_starting = threading.Lock()
# The client's system metric for the memory of the program and its children.
MEMORY = "system/memory_bytes"

Manifest = Callable[[Run, Attempt, str], Job]


def local_job(run: Run, attempt: Attempt, token: str) -> Job:
    """Return a job for this machine. All jobs share one spool, so the next one delivers what a
    killed one left."""
    return manifests.local(
        run=run,
        attempt=attempt,
        token=token,
        portal_url=settings.RUN_PORTAL_URL,
        spool=settings.LOCAL_JOBS_DIR / "spool",
        root=settings.BASE_DIR,
    )


def pod_job(run: Run, attempt: Attempt, token: str) -> Job:
    """Return a job for a pod: what it fetches and stores is on volumes that are deleted with it."""
    return manifests.in_image(
        run=run, attempt=attempt, token=token, portal_url=settings.RUN_PORTAL_URL
    )


def reconcile(cluster: Cluster, *, manifest: Manifest = local_job) -> None:
    """Run one reconcile pass. An error in one run is logged and does not stop the others."""
    with _log_errors("expiring grants"):
        lifecycle.expire_due()
    with _log_errors("withdrawn permissions"):
        permission.mark_affected_datasets()
        for run, hold in permission.runs_on_hold():
            runs.withhold(run, str(permission.refusal_of(hold)))
        for run, reason in permission.runs_of_retired():
            runs.withhold(run, reason)
    with _log_errors("withdrawal cases"):
        cases.refresh_cases()
    try:
        # The cluster is queried before the rows: every job that it lists then has a row.
        statuses = cluster.observe()
    except Unavailable as error:
        log.warning("%s", error)
        _note_waiting(str(error))
    else:
        news = cluster_news.ClusterEvents(cluster)
        for attempt in list(_open_attempts()):
            with _log_errors(attempt.job_name):
                _advance(attempt, statuses.get(attempt.job_name), cluster, manifest, news)
        with _log_errors("what the cluster says"):
            news.write()
        with _log_errors("jobs without an attempt"):
            _cancel_orphans(statuses, cluster)
        with _log_errors("the queue"):
            _start_waiting(cluster, manifest)
    for run in list(_stopping_without_attempt()):
        with _log_errors(str(run)):
            runs.settle(run)
    with _log_errors("sweeps"):
        passes.advance(timezone.now())
    with _log_errors("care"):
        policies.apply_policies(timezone.now())
    with _log_errors("what ended jobs leave"):
        job_cleanup.clean_up(cluster, timezone.now())
    with _log_errors("silent clients"):
        _close_silent()
    with _log_errors("compaction"):
        _compact()


@contextmanager
def _log_errors(task: str) -> Iterator[None]:
    """Log whatever fails in the block and go on: the outer edge of each part of a pass."""
    try:
        yield
    except Exception:
        log.exception("Reconciling %s failed; the next pass tries again.", task)


def _open_attempts() -> QuerySet[Attempt]:
    return Attempt.objects.filter(state__in=Attempt.OPEN_STATES).select_related(
        "run", "run__project", "run__submitted_by"
    )


def _stopping_without_attempt() -> QuerySet[Run]:
    stopping = Run.objects.filter(state=State.STOPPING, origin=Run.Origin.PORTAL)
    return stopping.exclude(attempts__state__in=Attempt.OPEN_STATES)


def _advance(
    attempt: Attempt,
    status: JobStatus | None,
    cluster: Cluster,
    manifest: Manifest,
    news: cluster_news.ClusterEvents,
) -> None:
    """Start one attempt, ask it to stop, or store how it ended."""
    stopping = attempt.run.state == State.STOPPING
    if status is None or status.phase == "pending":
        if attempt.state == Attempt.State.CLAIMED:
            if stopping:
                runs.mark_stopped(attempt, reason="Stopped before it started.", exit_code=None)
            else:
                _create(attempt, cluster, manifest)
        elif status is None:
            if _is_silent(attempt):
                runs.lose(attempt, reason="The cluster does not know its job any more.")
        else:
            if status.reason != attempt.run.state_reason and not stopping:
                news.waits(attempt, status.reason)
            if stopping:
                cluster.cancel(attempt.job_name, settings.STOP_GRACE_SECONDS)
            news.events(attempt)
        return
    if status.ended:
        news.events(attempt)
        _conclude(attempt, status, cluster)
        return
    known = (attempt.node, attempt.image) == (status.node[:100], status.image[:300])
    if attempt.state != Attempt.State.RUNNING or not known:
        runs.mark_created(attempt, node=status.node, image=status.image)
        runs.mark_started(attempt)
    news.events(attempt)
    if stopping:
        cluster.cancel(attempt.job_name, settings.STOP_GRACE_SECONDS)


def _create(attempt: Attempt, cluster: Cluster, manifest: Manifest) -> None:
    """Create the attempt's job; after a crash since its claim with the same name and a new token.

    An earlier token of the attempt stays valid until its end: the job may have been made with it.
    """
    run = attempt.run
    token, secret = tokens.issue(
        user=run.submitted_by,
        label=f"Run {run.number}, attempt {attempt.number}",
        scope=f"run:{run.id}",
        expires_at=timezone.now() + timedelta(days=TOKEN_DAYS),
    )
    open_rows = Attempt.objects.filter(pk=attempt.pk, state=Attempt.State.CLAIMED)
    if not open_rows.update(token=token):
        tokens.revoke(token)
        return
    try:
        cluster.create(manifest(run, attempt, secret))
    except Refused as refusal:
        runs.fail(attempt, reason=str(refusal), exit_code=None)
        return
    # False if another pass was faster (good) or if the attempt ended meanwhile: then the next
    # pass finds a job without an attempt and cancels it.
    runs.mark_created(attempt, look=cluster.look(attempt.job_name))


def _conclude(attempt: Attempt, status: JobStatus, cluster: Cluster) -> None:
    code, stopping = status.exit_code, attempt.run.state == State.STOPPING
    if status.phase == "succeeded":
        runs.finish(attempt)
    elif status.phase == "lost":
        runs.lose(attempt, reason=status.reason or "It was lost.", exit_code=code)
    elif stopping and code == PREEMPTED_CODE:
        # The cluster's signal came before the portal's request; the program cannot tell them apart.
        reason = "It saved a checkpoint and stopped when asked."
        runs.mark_stopped(attempt, reason=reason, exit_code=code)
    elif status.phase == "preempted" or code == PREEMPTED_CODE:
        reason = status.reason or "It had to make room and saved a checkpoint."
        runs.mark_preempted(attempt, reason=reason, exit_code=code)
    elif stopping or (code in STOPPED_CODES and not status.reason):
        default = (
            "It stopped when asked." if stopping else "Somebody else than the portal stopped it."
        )
        runs.mark_stopped(attempt, reason=status.reason or default, exit_code=code)
    else:
        runs.fail(attempt, reason=_why_it_failed(attempt, status, cluster), exit_code=code)
    cluster.forget(attempt.job_name)
    cluster_news.forget(attempt)


def _why_it_failed(attempt: Attempt, status: JobStatus, cluster: Cluster) -> str:
    if not status.reason:
        return _last_log_line(cluster, attempt.job_name, status.exit_code)
    peak = attempt.run.series.filter(name=MEMORY).values_list("maximum", flat=True).first()
    if status.reason.startswith("Out of memory") and peak:
        return f"{status.reason} The most that was measured is {peak / 2**30:.2f} GiB."
    return status.reason


def _last_log_line(cluster: Cluster, name: str, code: int | None) -> str:
    """Return the last line that the program printed: of a traceback that is the error itself."""
    if code == 137:
        return "The program was killed (signal 9), most often because memory ran out."
    lines = [line.strip() for line in cluster.logs(name) if line.strip()]
    return lines[-1][:500] if lines else f"The program ended with code {code} and no message."


def _is_silent(attempt: Attempt) -> bool:
    """Whether the attempt gave no sign of life for LOST_AFTER_SECONDS."""
    latest = max(filter(None, (attempt.claimed_at, attempt.started_at, attempt.run.heartbeat_at)))
    return timezone.now() - latest > timedelta(seconds=settings.LOST_AFTER_SECONDS)


def _cancel_orphans(statuses: dict[str, JobStatus], cluster: Cluster) -> None:
    """Cancel jobs without an open attempt: it ended while its job was being created."""
    open_names = set(_open_attempts().values_list("job_name", flat=True))
    for name in statuses.keys() - open_names:
        if statuses[name].ended:
            cluster.forget(name)
        else:
            cluster.cancel(name, settings.STOP_GRACE_SECONDS)


def _start_waiting(cluster: Cluster, manifest: Manifest) -> None:
    """Start runs in the order of experiments/runs/quotas.py while slots are free, after another
    check of consent.

    Where hundreds wait, the next pass starts the rest: ends are stored in between. The check of a
    hundred thousand recordings takes a while: other passes meanwhile do the other work, above all
    to stop what has lost a permission.
    """
    if endings.behind():
        log.warning(
            "No run is started: the database is older than its journal of endings, so what people "
            "ended since the back-up is in force again. First: manage.py restored --by NAME"
        )
        return
    if not _starting.acquire(blocking=False):
        return
    try:
        _start(cluster, manifest)
    finally:
        _starting.release()


def _start(cluster: Cluster, manifest: Manifest) -> None:
    began = time.monotonic()
    for run in quotas.next_in_line():
        if time.monotonic() - began > STARTING_SECONDS:
            celery.wake()
            return
        if cluster.slots is not None and _busy_count() >= cluster.slots:
            return
        with _log_errors(str(run)):
            try:
                permission.check_start(run)
                attempt = runs.claim(run, slots=cluster.slots)
                if attempt is not None:
                    _create(attempt, cluster, manifest)
            except (runs.NotAllowed, permission.NotUsable) as refusal:
                runs.withhold(run, str(refusal))
            except runs.NoSlot:
                return
            except Unavailable as error:
                # The other runs would find the same silence, one timeout after the other.
                log.warning("%s", error)
                return


def _busy_count() -> int:
    return Run.objects.filter(origin=Run.Origin.PORTAL, state__in=runs.BUSY).count()


def _note_waiting(reason: str) -> None:
    waiting = Run.objects.filter(state=State.QUEUED, origin=Run.Origin.PORTAL)
    waiting.exclude(state_reason=reason[:500]).update(state_reason=reason[:500])


def _close_silent() -> None:
    """Close client runs that have gone silent; otherwise such a run reports its own end."""
    before = timezone.now() - SILENT_AFTER
    silent = Run.objects.filter(
        origin=Run.Origin.CLIENT, state__in=(State.RUNNING, State.STOPPING), heartbeat_at__lt=before
    )
    for run in silent:
        reason = f"Nothing was heard of the program since {run.heartbeat_at:%Y-%m-%d %H:%M} UTC."
        runs.close_client_run(run, outcome="silent", reason=reason)


def _compact() -> None:
    ended = Batch.objects.exclude(run__state__in=Run.OPEN_STATES)
    ids = ended.values_list("run", flat=True).distinct()[:COMPACTED_AT_ONCE]
    for run in Run.objects.filter(pk__in=list(ids)):
        with _log_errors(f"the metrics of {run}"):
            metrics.compact(run)
            # The program's last usage report came after its last clips.
            credit_statements.update_statements(run)

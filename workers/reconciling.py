"""Brings rows and cluster together: what the rows want is started or stopped, what the cluster
tells is written down.

Everything it needs is in the rows and in the cluster's answer, and each step is a compare-
and-set or idempotent by name. So it may be killed between any two lines, run twice at once, or
run late: the next round goes on from what is there.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from audio_samples import samples
from experiments import metrics, permission, runs
from experiments.models import Attempt, Batch, Run
from portal import tokens
from rights import agreements
from workers import manifests
from workers.cluster import Cluster, Job, JobStatus, Unavailable

log = logging.getLogger(__name__)

State = Run.State
STOPPED_CODES = (130, 143)
PREEMPTED_CODE = 75
TOKEN_DAYS = 30
# A program outside may lose its network for a while; an hour without a word is the end.
SILENT_AFTER = timedelta(hours=1)
COMPACTED_AT_ONCE = 10

Manifest = Callable[[Run, Attempt, str], Job]


def local_job(run: Run, attempt: Attempt, token: str) -> Job:
    """One spool for all jobs of this machine: what a killed one left, the next delivers."""
    return manifests.local(
        run=run,
        attempt=attempt,
        token=token,
        portal_url=settings.RUN_PORTAL_URL,
        spool=settings.LOCAL_JOBS_DIR / "spool",
        root=settings.BASE_DIR,
    )


def pod_job(run: Run, attempt: Attempt, token: str) -> Job:
    """For a pod: what it fetches and keeps lies on volumes that go with it."""
    return manifests.in_image(
        run=run, attempt=attempt, token=token, portal_url=settings.RUN_PORTAL_URL
    )


def reconcile(cluster: Cluster, *, manifest: Manifest = local_job) -> None:
    """One round. What goes wrong with one run is logged and does not stop the others."""
    with _apart("expiring grants"):
        agreements.expire_due()
    with _apart("withdrawn permissions"):
        permission.taint_held()
        for run, hold in permission.runs_on_hold():
            runs.withhold(run, str(permission.refusal_of(hold)))
    try:
        # The cluster is asked before the rows: a job it names has a row by then.
        seen = cluster.observe()
    except Unavailable as error:
        log.warning("%s", error)
        _tell_waiting(str(error))
    else:
        for attempt in list(_open_attempts()):
            with _apart(attempt.job_name):
                _advance(attempt, seen.get(attempt.job_name), cluster, manifest)
        with _apart("jobs without an attempt"):
            _cancel_orphans(seen, cluster)
        with _apart("the queue"):
            _start_waiting(cluster, manifest)
    for run in list(_stopping_without_attempt()):
        with _apart(str(run)):
            runs.settle(run)
    with _apart("silent clients"):
        _close_silent()
    with _apart("compaction"):
        _compact()


@contextmanager
def _apart(what: str) -> Iterator[None]:
    """The outer edge: whatever fails in here is told and stays in here."""
    try:
        yield
    except Exception:
        log.exception("Reconciling %s failed; the next round tries again.", what)


def _open_attempts() -> QuerySet[Attempt]:
    return Attempt.objects.filter(state__in=Attempt.OPEN_STATES).select_related(
        "run", "run__project", "run__submitted_by"
    )


def _stopping_without_attempt() -> QuerySet[Run]:
    stopping = Run.objects.filter(state=State.STOPPING, origin=Run.Origin.PORTAL)
    return stopping.exclude(attempts__state__in=Attempt.OPEN_STATES)


def _advance(
    attempt: Attempt, status: JobStatus | None, cluster: Cluster, manifest: Manifest
) -> None:
    """One attempt: bring it up, ask it to stop, or write down how it ended."""
    stopping = attempt.run.state == State.STOPPING
    if status is None or status.phase == "pending":
        if attempt.state == Attempt.State.CLAIMED:
            if stopping:
                runs.stopped(attempt, reason="Stopped before it started.", exit_code=None)
            else:
                _create(attempt, cluster, manifest)
        elif status is None and _silent(attempt):
            runs.lose(attempt, reason="The cluster does not know its job any more.")
        return
    if status.ended:
        _conclude(attempt, status, cluster)
        return
    runs.created(attempt, node=status.node)
    runs.started(attempt)
    if stopping:
        cluster.cancel(attempt.job_name, settings.STOP_GRACE_SECONDS)


def _create(attempt: Attempt, cluster: Cluster, manifest: Manifest) -> None:
    """Also after a crash between claim and create: same attempt, same name, a new token.

    An earlier token of the attempt stays good until its end: the job may have been made with it.
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
    cluster.create(manifest(run, attempt, secret))
    # False if another round was faster (good) or if the attempt ended meanwhile: then the next
    # round finds a job without an attempt and cancels it.
    runs.created(attempt)


def _conclude(attempt: Attempt, status: JobStatus, cluster: Cluster) -> None:
    code = status.exit_code
    if status.phase == "succeeded":
        runs.finish(attempt)
    elif status.phase == "lost":
        runs.lose(attempt, reason=status.reason or "It was lost.")
    elif code == PREEMPTED_CODE:
        runs.lose(attempt, reason="It had to make room and saved a checkpoint.", exit_code=code)
    elif code in STOPPED_CODES or attempt.run.state == State.STOPPING:
        runs.stopped(attempt, reason=status.reason or "It stopped when asked.", exit_code=code)
    else:
        reason = _last_words(cluster, attempt.job_name, code)
        runs.fail(attempt, reason=reason, exit_code=code)
    cluster.forget(attempt.job_name)


def _last_words(cluster: Cluster, name: str, code: int | None) -> str:
    """The last line that the program printed: of a traceback that is the error itself."""
    if code == 137:
        return "The program was killed (signal 9), most often for want of memory."
    lines = [line.strip() for line in cluster.logs(name) if line.strip()]
    return lines[-1][:500] if lines else f"The program ended with code {code} and no word."


def _silent(attempt: Attempt) -> bool:
    """Whether nothing was heard of the attempt for LOST_AFTER_SECONDS."""
    heard = max(filter(None, (attempt.claimed_at, attempt.started_at, attempt.run.heartbeat_at)))
    return timezone.now() - heard > timedelta(seconds=settings.LOST_AFTER_SECONDS)


def _cancel_orphans(seen: dict[str, JobStatus], cluster: Cluster) -> None:
    """A job that no open attempt stands for: its row ended while it was being made."""
    wanted = set(_open_attempts().values_list("job_name", flat=True))
    for name in seen.keys() - wanted:
        if seen[name].ended:
            cluster.forget(name)
        else:
            cluster.cancel(name, settings.STOP_GRACE_SECONDS)


def _start_waiting(cluster: Cluster, manifest: Manifest) -> None:
    """First come, first served, while slots are free; consent is asked once more before."""
    waiting = Run.objects.filter(state=State.QUEUED, origin=Run.Origin.PORTAL)
    for run in waiting.order_by("queued_at", "pk").select_related("project", "dataset"):
        busy = Run.objects.filter(origin=Run.Origin.PORTAL, state__in=runs.BUSY).count()
        if cluster.slots is not None and busy >= cluster.slots:
            return
        with _apart(str(run)):
            try:
                permission.check_consent(
                    project=run.project, dataset=run.dataset, use=run.use, by=None
                )
                attempt = runs.claim(run, slots=cluster.slots)
            except runs.NotAllowed as refusal:
                runs.withhold(run, str(refusal))
            except runs.NoSlot:
                return
            else:
                if attempt is not None:
                    _create(attempt, cluster, manifest)


def _tell_waiting(reason: str) -> None:
    waiting = Run.objects.filter(state=State.QUEUED, origin=Run.Origin.PORTAL)
    waiting.exclude(state_reason=reason[:500]).update(state_reason=reason[:500])


def _close_silent() -> None:
    """Runs from outside end by their own word; where none comes, this says so."""
    before = timezone.now() - SILENT_AFTER
    outside = Run.objects.filter(
        origin=Run.Origin.CLIENT, state__in=(State.RUNNING, State.STOPPING), heartbeat_at__lt=before
    )
    for run in outside:
        reason = f"Nothing was heard of the program since {run.heartbeat_at:%Y-%m-%d %H:%M} UTC."
        runs.close_client_run(run, outcome="silent", reason=reason)


def _compact() -> None:
    ended = Batch.objects.filter(folded=False).exclude(run__state__in=Run.OPEN_STATES)
    ids = ended.values_list("run", flat=True).distinct()[:COMPACTED_AT_ONCE]
    for run in Run.objects.filter(pk__in=list(ids)):
        with _apart(f"the metrics of {run}"):
            metrics.compact(run)
            # What the program reported last came after its last clips.
            samples.settle_credits(run)

"""How much of the cluster a project may use, and in which order projects take their turns.

A project has two quotas, both without limit where empty: GPUs at once (a run beyond it waits) and
GPU-hours (a run is not queued if its hours at most, with those of running and waiting runs, exceed
it). The cluster decides on which node a run lands, and which run makes room for which: there is no
scheduler here beyond the order in which runs are submitted to it.

A project in the background takes what is left over: its runs start one at a time, and only while no
other run waits or works. One that works already is not stopped for others.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from experiments.clearance.permission import NotPermitted
from experiments.models import Project, Run
from experiments.runs import costs
from experiments.runs.resources import Resources
from experiments.runs.states import BUSY, State
from portal import audit
from portal.models import User

BATCH_SIZE = 50


class OverQuota(ValueError):
    """The project has no GPU-hours left for this run, or may never use so many GPUs at once."""

    code = "over_quota"

    def __init__(self, sentence: str, *, limit: int, taken: float, asked: float) -> None:
        self.limit, self.taken, self.asked = limit, taken, asked
        super().__init__(sentence)


@dataclass(frozen=True)
class Waiting:
    """A run in the queue. `quota` is its project's GPUs at once; None is no limit."""

    run: UUID
    project: int
    gpus: int
    quota: int | None
    since: datetime
    background: bool = False


@dataclass(frozen=True)
class QueueOrder:
    """The queue in order: `ready` may start. `blocked` wait for GPUs of their own project and,
    behind these, those in the background for all other runs."""

    ready: list[Waiting] = field(default_factory=list)
    blocked: list[Waiting] = field(default_factory=list)


# --- The order ------------------------------------------------------------------------------


def fair_order(waiting: Iterable[Waiting], busy: Mapping[int, int]) -> QueueOrder:
    """Return the order in which waiting runs start, given the GPUs that each project has at work.

    The next project is always the one with the fewest GPUs per quota; of equals, the one whose
    first run has waited longest. Within a project it is first come, first served. Each placed run
    counts as at work for the next choice. A project without a quota counts as one with the
    largest quota in line. Once a run is held because its project uses all its GPUs, that
    project's later GPU runs are held too: small ones do not starve a large one.
    """
    queues: dict[int, deque[Waiting]] = {}
    for entry in sorted(waiting, key=lambda entry: (entry.since, entry.run)):
        queues.setdefault(entry.project, deque()).append(entry)
    largest = (
        max((entry.quota or 0 for queue in queues.values() for entry in queue), default=0) or 1
    )
    at_work = dict(busy)
    blocked: set[int] = set()
    order = QueueOrder()

    def turn(project: int) -> tuple[float, datetime, UUID, int]:
        first = queues[project][0]
        share = at_work.get(project, 0) / (first.quota or largest)
        return share, first.since, first.run, project

    turns = [turn(project) for project in queues]
    heapq.heapify(turns)
    while turns:
        project = heapq.heappop(turns)[-1]
        entry = queues[project].popleft()
        gpus = at_work.get(project, 0) + entry.gpus
        if entry.gpus and (project in blocked or (entry.quota is not None and gpus > entry.quota)):
            blocked.add(project)
            order.blocked.append(entry)
        else:
            at_work[project] = gpus
            order.ready.append(entry)
        if queues[project]:
            heapq.heappush(turns, turn(project))
    order.blocked.sort(key=lambda entry: (entry.since, entry.run))
    return order


def with_background(
    waiting: Iterable[Waiting], busy: Mapping[int, int], *, at_work: bool
) -> QueueOrder:
    """Return the fair order of all runs, with those in the background behind all others. Of these
    one may start if nobody else waits and, as `at_work` says, no run works."""
    entries = list(waiting)
    order = fair_order((entry for entry in entries if not entry.background), busy)
    behind = fair_order((entry for entry in entries if entry.background), busy)
    may_start = 0 if at_work or order.ready or order.blocked else 1
    return QueueOrder(
        ready=order.ready + behind.ready[:may_start],
        blocked=order.blocked + behind.ready[may_start:] + behind.blocked,
    )


def current_queue() -> QueueOrder:
    """Return the queue as it is now."""
    rows = Run.objects.filter(state=State.QUEUED, origin=Run.Origin.PORTAL).values_list(
        "pk", "project", "resources", "project__gpu_quota", "queued_at", "project__background"
    )
    waiting = [
        Waiting(
            run=pk,
            project=project,
            gpus=_gpus(resources),
            quota=quota,
            since=since,
            background=background,
        )
        for pk, project, resources, quota, since, background in rows
    ]
    # The GPUs at work matter only if some run requests a GPU; whether anything is at work, only to
    # those in the background.
    gpus = busy_gpus() if any(entry.gpus for entry in waiting) else {}
    asks = any(entry.background for entry in waiting)
    return with_background(waiting, gpus, at_work=asks and _at_work())


def busy_gpus() -> dict[int, int]:
    """Return the GPUs that each project has at work, by its key."""
    rows = Run.objects.filter(state__in=BUSY, origin=Run.Origin.PORTAL)
    gpus: dict[int, int] = {}
    for project, resources in rows.values_list("project", "resources"):
        gpus[project] = gpus.get(project, 0) + _gpus(resources)
    return gpus


def next_in_line() -> Iterator[Run]:
    """Yield the runs that may start, in order, loaded in batches as they are needed."""
    ready = current_queue().ready
    for start in range(0, len(ready), BATCH_SIZE):
        batch = ready[start : start + BATCH_SIZE]
        runs = Run.objects.select_related("project", "dataset").in_bulk(
            [entry.run for entry in batch]
        )
        yield from (runs[entry.run] for entry in batch if entry.run in runs)


def position(run: Run) -> int:
    """Return 1 for the next to start; 0 if the run does not wait."""
    if run.state != State.QUEUED:
        return 0
    order = current_queue()
    waiting = [entry.run for entry in (*order.ready, *order.blocked)]
    # A run that was claimed since it was read has no place any more.
    return waiting.index(run.pk) + 1 if run.pk in waiting else 0


def why_blocked(run: Run) -> str:
    """Return why the run waits for its own project or, in the background, for all others, as a
    sentence; empty if it does not."""
    quota = run.project.gpu_quota
    if run.state != State.QUEUED:
        return ""
    if run.project.background and all(entry.run != run.pk for entry in current_queue().ready):
        return f"{run.project.name} is in the background: one starts while no other waits or works."
    if quota is None or not _gpus(run.resources):
        return ""
    if all(entry.run != run.pk for entry in current_queue().blocked):
        return ""
    busy = busy_gpus().get(run.project_id, 0)
    return f"{run.project.name} has {busy} of its {quota} GPUs at work and waits for its own runs."


def has_room(run: Run) -> bool:
    """Whether the project stays within its quota of GPUs with this run counted as at work and, in
    the background, whether it is alone."""
    if run.project.background and (_at_work(run) or _waits_in_front()):
        return False
    quota = run.project.gpu_quota
    gpus = Resources.of(run).all_gpus
    return not gpus or quota is None or busy_gpus().get(run.project_id, 0) <= quota


# --- The hours ------------------------------------------------------------------------------


def check(project: Project, resources: Resources) -> None:
    """Raise OverQuota, with the numbers, if `project` may not queue a run of these resources.

    Call it in the transaction that queues: it locks the project's row until then, so that two
    submits cannot both take the last hours.
    """
    project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    gpus, hours = resources.all_gpus, resources.gpu_hours
    if project.gpu_quota is not None and gpus > project.gpu_quota:
        raise OverQuota(
            f"{project.name} may have {_count(project.gpu_quota)} at work at once; this run asks "
            f"for {gpus}. Ask for fewer, or ask an owner of the project for more.",
            limit=project.gpu_quota,
            taken=0,
            asked=gpus,
        )
    if project.gpu_hour_quota is None or not hours:
        return
    taken = hours_taken(project)
    if taken + hours > project.gpu_hour_quota:
        free = max(project.gpu_hour_quota - taken, 0)
        raise OverQuota(
            f"{project.name} may have {project.gpu_hour_quota} GPU-hours running and waiting; "
            f"{taken:.1f} are taken, so {free:.1f} are left, and this run asks for {hours:.1f} "
            f"({_count(gpus)} for {resources.max_hours:g} hours at most). "
            "Ask for fewer hours or GPUs, or wait until others have ended.",
            limit=project.gpu_hour_quota,
            taken=taken,
            asked=hours,
        )


def remaining_hours_sentence(project: Project, resources: Resources) -> str:
    """Return, before queueing, a sentence on the GPU-hours left; empty if the run needs none."""
    if project.gpu_hour_quota is None or not resources.gpus:
        return ""
    free = max(project.gpu_hour_quota - hours_taken(project), 0)
    over = ": too many to be queued now" if resources.gpu_hours > free else ""
    return (
        f"{project.name} has {free:.1f} of its {project.gpu_hour_quota} GPU-hours left; "
        f"this run takes {resources.gpu_hours:.1f} at most{over}."
    )


def hours_taken(project: Project) -> float:
    """Return the GPU-hours that the project's open runs may still take, less those used already."""
    now = timezone.now()
    rows = project.runs.filter(state__in=Run.OPEN_STATES, origin=Run.Origin.PORTAL)
    total = 0.0
    for run in rows.prefetch_related("attempts"):
        resources = Resources.of(run)
        if resources.gpus:
            remaining = max(resources.max_hours - costs.hours_taken(run, now), 0)
            total += resources.all_gpus * remaining
    return total


# --- Setting them ---------------------------------------------------------------------------


def may_change(by: User, project: Project) -> bool:
    return project.is_owned_by(by)


def change(
    *,
    by: User,
    project: Project,
    gpu_quota: int | None,
    gpu_hour_quota: int | None,
    background: bool = False,
) -> Project:
    """Set both quotas, and whether the project is in the background; raise NotPermitted unless `by`
    owns the project or is an operator.

    Runs that run or wait already stay: a smaller quota is for later ones.
    """
    if not may_change(by, project):
        raise NotPermitted(f"Only an owner of {project.name} or an operator sets its quotas.")
    with transaction.atomic():
        project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        was = {"gpu_quota": project.gpu_quota, "gpu_hour_quota": project.gpu_hour_quota}
        now: dict[str, int | None] = {"gpu_quota": gpu_quota, "gpu_hour_quota": gpu_hour_quota}
        if background != project.background:
            was["background"], now["background"] = project.background, background
        if was != now:
            project.gpu_quota, project.gpu_hour_quota = gpu_quota, gpu_hour_quota
            project.background = background
            project.save(update_fields=["gpu_quota", "gpu_hour_quota", "background"])
            audit.record(by=by, verb="project.quota", subject=project, was=was, now=now)
    return project


def _at_work(but: Run | None = None) -> bool:
    """Whether any run works, this one left out."""
    rows = Run.objects.filter(state__in=BUSY, origin=Run.Origin.PORTAL)
    return (rows.exclude(pk=but.pk) if but else rows).exists()


def _waits_in_front() -> bool:
    """Whether any run waits that is not in the background."""
    waits = Run.objects.filter(state=State.QUEUED, origin=Run.Origin.PORTAL)
    return waits.filter(project__background=False).exists()


def _gpus(resources: object) -> int:
    """Return the GPUs over all nodes of a run's stored resources."""
    if not isinstance(resources, dict):
        return 0
    return int(resources.get("gpus", 0)) * int(resources.get("nodes", 1))


def _count(gpus: int) -> str:
    return f"{gpus} GPU{'' if gpus == 1 else 's'}"

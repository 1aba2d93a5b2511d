"""What a project may take of the cluster, and in which order projects take their turns.

Two quotas, both of a project and both without limit where empty: GPUs at once (a run beyond it
waits) and GPU-hours (a run is not queued whose hours at most would, with what runs and waits
already, go beyond it). Which node a run lands on, and who makes room for whom, is the cluster's
business: there is no scheduler here beyond the order in which runs are handed over.
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
from experiments.models import Membership, Project, Run
from experiments.runs import costs
from experiments.runs.resources import Resources
from experiments.runs.states import BUSY, State
from portal import audit
from portal.models import Role, User

AT_ONCE = 50


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


@dataclass(frozen=True)
class QueueOrder:
    """The queue in order: `ready` may start, `held` wait for GPUs of their own project."""

    ready: list[Waiting] = field(default_factory=list)
    held: list[Waiting] = field(default_factory=list)


# --- The order ------------------------------------------------------------------------------


def fair_order(waiting: Iterable[Waiting], busy: Mapping[int, int]) -> QueueOrder:
    """The order in which waiting runs start, given the GPUs that each project has at work.

    Next is always the project with the least GPUs per quota, and of equals the one whose first
    run has waited longest; within a project first come, first served. Each run that is placed
    counts as at work for the next choice. A project without a quota counts as one with the
    largest quota of those in line. Once a run is held because its project has its GPUs at work,
    so are that project's later GPU runs: small ones do not starve a large one.
    """
    queues: dict[int, deque[Waiting]] = {}
    for place in sorted(waiting, key=lambda one: (one.since, one.run)):
        queues.setdefault(place.project, deque()).append(place)
    largest = (
        max((place.quota or 0 for queue in queues.values() for place in queue), default=0) or 1
    )
    at_work = dict(busy)
    blocked: set[int] = set()
    line = QueueOrder()

    def turn(project: int) -> tuple[float, datetime, UUID, int]:
        first = queues[project][0]
        share = at_work.get(project, 0) / (first.quota or largest)
        return share, first.since, first.run, project

    turns = [turn(project) for project in queues]
    heapq.heapify(turns)
    while turns:
        project = heapq.heappop(turns)[-1]
        place = queues[project].popleft()
        gpus = at_work.get(project, 0) + place.gpus
        if place.gpus and (project in blocked or (place.quota is not None and gpus > place.quota)):
            blocked.add(project)
            line.held.append(place)
        else:
            at_work[project] = gpus
            line.ready.append(place)
        if queues[project]:
            heapq.heappush(turns, turn(project))
    line.held.sort(key=lambda one: (one.since, one.run))
    return line


def line() -> QueueOrder:
    """The queue as it is now."""
    rows = Run.objects.filter(state=State.QUEUED, origin=Run.Origin.PORTAL).values_list(
        "pk", "project", "resources", "project__gpu_quota", "queued_at"
    )
    waiting = [
        Waiting(run=pk, project=project, gpus=_gpus(asked), quota=quota, since=since)
        for pk, project, asked, quota, since in rows
    ]
    # Where no GPU is asked for, nobody's GPUs matter.
    return fair_order(waiting, busy_gpus() if any(place.gpus for place in waiting) else {})


def busy_gpus() -> dict[int, int]:
    """GPUs that each project has at work, by its key."""
    rows = Run.objects.filter(state__in=BUSY, origin=Run.Origin.PORTAL)
    found: dict[int, int] = {}
    for project, asked in rows.values_list("project", "resources"):
        found[project] = found.get(project, 0) + _gpus(asked)
    return found


def next_in_line() -> Iterator[Run]:
    """The runs that may start, in their order, read as they are needed."""
    ready = line().ready
    for start in range(0, len(ready), AT_ONCE):
        some = ready[start : start + AT_ONCE]
        known = Run.objects.select_related("project", "dataset").in_bulk(
            [place.run for place in some]
        )
        yield from (known[place.run] for place in some if place.run in known)


def position(run: Run) -> int:
    """1 for the next to start; 0 if the run does not wait."""
    if run.state != State.QUEUED:
        return 0
    now = line()
    places = [place.run for place in (*now.ready, *now.held)]
    # Claimed since it was read: it is on its way, no place is left to name.
    return places.index(run.pk) + 1 if run.pk in places else 0


def held_words(run: Run) -> str:
    """Why the run waits for its own project, as a sentence; empty if it does not."""
    quota = run.project.gpu_quota
    if run.state != State.QUEUED or quota is None or not _gpus(run.resources):
        return ""
    if all(place.run != run.pk for place in line().held):
        return ""
    busy = busy_gpus().get(run.project_id, 0)
    return f"{run.project.name} has {busy} of its {quota} GPUs at work and waits for its own runs."


def has_room(run: Run) -> bool:
    """Whether the project keeps to its GPUs at once with this run, which counts as at work."""
    quota = run.project.gpu_quota
    asked = Resources.of(run).all_gpus
    return not asked or quota is None or busy_gpus().get(run.project_id, 0) <= quota


# --- The hours ------------------------------------------------------------------------------


def check(project: Project, asked: Resources) -> None:
    """OverQuota, with the numbers, if `project` may not queue this.

    Call it in the transaction that queues: it holds the project's row until then, so that two
    submits cannot both take the last hours.
    """
    project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    gpus, hours = asked.all_gpus, asked.gpu_hours
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
        left = max(project.gpu_hour_quota - taken, 0)
        raise OverQuota(
            f"{project.name} may have {project.gpu_hour_quota} GPU-hours running and waiting; "
            f"{taken:.1f} are taken, so {left:.1f} are left, and this run asks for {hours:.1f} "
            f"({_count(gpus)} for {asked.max_hours:g} hours at most). "
            "Ask for fewer hours or GPUs, or wait until others have ended.",
            limit=project.gpu_hour_quota,
            taken=taken,
            asked=hours,
        )


def left_words(project: Project, asked: Resources) -> str:
    """Before queueing: how many GPU-hours the project has left, if that matters to this run."""
    if project.gpu_hour_quota is None or not asked.gpus:
        return ""
    left = max(project.gpu_hour_quota - hours_taken(project), 0)
    over = ": too many to be queued now" if asked.gpu_hours > left else ""
    return (
        f"{project.name} has {left:.1f} of its {project.gpu_hour_quota} GPU-hours left; "
        f"this run takes {asked.gpu_hours:.1f} at most{over}."
    )


def hours_taken(project: Project) -> float:
    """GPU-hours that the project's open runs may still take: of running ones what is left."""
    now = timezone.now()
    rows = project.runs.filter(state__in=Run.OPEN_STATES, origin=Run.Origin.PORTAL)
    total = 0.0
    for run in rows.prefetch_related("attempts"):
        asked = Resources.of(run)
        if asked.gpus:
            left = max(asked.max_hours - costs.hours_taken(run, now), 0)
            total += asked.all_gpus * left
    return total


# --- Setting them ---------------------------------------------------------------------------


def may_change(by: User, project: Project) -> bool:
    owners = project.memberships.filter(user=by, level=Membership.Level.OWNER)
    return by.has_role(Role.OPERATOR) or owners.exists()


def change(
    *, by: User, project: Project, gpu_quota: int | None, gpu_hour_quota: int | None
) -> Project:
    """Set both quotas; NotPermitted unless `by` owns the project or is an operator.

    What runs or waits already stays: a smaller quota is for what comes next.
    """
    if not may_change(by, project):
        raise NotPermitted(f"Only an owner of {project.name} or an operator sets its quotas.")
    with transaction.atomic():
        project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        was = {"gpu_quota": project.gpu_quota, "gpu_hour_quota": project.gpu_hour_quota}
        now = {"gpu_quota": gpu_quota, "gpu_hour_quota": gpu_hour_quota}
        if was != now:
            project.gpu_quota, project.gpu_hour_quota = gpu_quota, gpu_hour_quota
            project.save(update_fields=list(now))
            audit.record(by=by, verb="project.quota", subject=project, was=was, now=now)
    return project


def _gpus(asked: object) -> int:
    """GPUs over all nodes, of a run's stored resources."""
    if not isinstance(asked, dict):
        return 0
    return int(asked.get("gpus", 0)) * int(asked.get("nodes", 1))


def _count(gpus: int) -> str:
    return f"{gpus} GPU{'' if gpus == 1 else 's'}"

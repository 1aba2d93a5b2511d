"""After a restore: takes in attempts that the cluster has begun since the back-up."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from experiments.models import Attempt, Run
from experiments.runs import attempts
from portal import audit
from portal.models import User
from workers.cluster import Cluster

REASON = "It began after the back-up that the portal was restored from; what it did is not kept."
NAME = re.compile(r"run-([0-9a-f]{12})-(\d{1,6})")


def add_lost_attempts(cluster: Cluster, *, by: User) -> list[Attempt]:
    """Store the attempts that the cluster knows and the rows do not, as lost; return them.

    Their names are used up: the cluster would take a new attempt of the same number for one that
    it has started already, and nothing would run. They do not count against the run's maximum.
    A job that still runs has no open attempt, so reconcile ends it. Run again, it finds none.
    """
    lost: list[Attempt] = []
    # The cluster is queried before the transaction: no write waits for its answer.
    names = cluster.names()
    with transaction.atomic():
        for run, numbers in _unknown(names):
            lost += [_lost(run, number) for number in numbers]
            Run.objects.filter(pk=run.pk).update(max_attempts=F("max_attempts") + len(numbers))
            audit.record(by=by, verb="run.attempts_found", subject=run, attempts=numbers)
        audit.record(by=by, verb="portal.restored", subject=by, attempts=len(lost))
    return lost


def _lost(run: Run, number: int) -> Attempt:
    now = timezone.now()
    return Attempt.objects.create(
        run=run,
        number=number,
        job_name=attempts.job_name(run, number),
        state=Attempt.State.LOST,
        reason=REASON,
        claimed_at=now,
        ended_at=now,
    )


def _unknown(names: Iterable[str]) -> Iterator[tuple[Run, list[int]]]:
    """Yield runs that have a row, with the numbers of attempts newer than their last stored one."""
    started: dict[str, list[int]] = defaultdict(list)
    for name in names:
        if match := NAME.fullmatch(name):
            started[match[1]].append(int(match[2]))
    for run in Run.objects.filter(origin=Run.Origin.PORTAL).order_by("pk").iterator():
        if numbers := started.get(run.id.hex[:12]):
            last = run.attempts.aggregate(last=Max("number"))["last"] or 0
            if newer := sorted(number for number in numbers if number > last):
                yield run, newer

"""Run import jobs: one at a time, a part of rows in one transaction, in any worker.

A part first locks the job's row and checks that nobody else has done the part, and last records
how far the job has come. So a worker that dies leaves complete parts only, and two that both
believe to have the job enter each part once.
"""

import logging
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol, TypeVar

from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from portal import audit, storage
from portal.celery import wake
from portal.database import commit_order
from portal.http import outages
from rights.errors import Refused
from rights.exchange.importing import checking, jobs, planning, writing
from rights.exchange.importing.changes import Changes
from rights.exchange.importing.known import Known, Parties, PartyShadow
from rights.exchange.importing.participation import Answers, LineReader, ParticipationLine
from rights.exchange.importing.rows import BadFile, Problem, Row
from rights.identifiers import BadIdentifier
from rights.models import ImportJob, ImportProblem, NewParty
from rights.parties.similar_names import NameIndex, index_of_parties

State = ImportJob.State
# Rows per transaction: enough to share its cost, few enough to wait for.
PART = 200
# A worker that has been silent this long counts as dead, and another one continues.
SILENCE = timedelta(seconds=60)
# A task frees its worker after this many seconds; the next one continues.
TASK_SECONDS = 40.0
CLASH = (IntegrityError, Refused, BadIdentifier)
R = TypeVar("R", Row, ParticipationLine)

log = logging.getLogger(__name__)


class Stopped(Exception):
    """The job was stopped, or another worker has taken it."""


class Work(Protocol[R]):
    """How the rows of one kind of file are read, checked and entered."""

    def rows(self, after: int) -> Iterator[R]: ...

    def look(self, part: Sequence[R]) -> Counter[str]:
        """Count what entering the part would do; remember it for the next part. Writes nothing."""

    def enter(self, part: Sequence[R]) -> Counter[str]:
        """Enter the part, inside the caller's transaction."""

    def new_parties(self) -> list[NewParty]:
        """Return the parties that entering the part last looked at would add."""

    def reset(self) -> None:
        """Drop what was read or made for a part that was rolled back."""


class CatalogueWork:
    def __init__(self, job: ImportJob) -> None:
        self.job = job
        self.options = jobs.options_of(job)
        self.reset()
        self.known = Known(self.options.source, self.parties)
        self._names: NameIndex | None = None
        self._new_parties: list[NewParty] = []

    def rows(self, after: int) -> Iterator[Row]:
        for row in jobs.rows_of(self.job, after):
            yield checking.check(row)

    def look(self, part: Sequence[Row]) -> Counter[str]:
        self.known.load(part)
        changes = Changes()
        counts = self._plan(part, self.known, changes)
        self._new_parties = [self._new_party(shadow) for shadow in changes.parties]
        return counts

    def _new_party(self, shadow: PartyShadow) -> NewParty:
        """Return a party that would be added, with the names like its own: of the catalogue, and of
        rows before."""
        if self._names is None:
            self._names = index_of_parties()
        similar = [
            {"name": each.name} | ({"party": each.key} if each.key > 0 else {"row": -each.key})
            for each in self._names.similar(shadow.name)
        ]
        self._names.add(-shadow.row, shadow.name)
        return NewParty(
            job=self.job,
            name=shadow.name,
            kind=shadow.kind,
            row=shadow.row,
            similar=similar,
            similar_first=0 if similar else 1,
        )

    def new_parties(self) -> list[NewParty]:
        return self._new_parties

    def enter(self, part: Sequence[Row]) -> Counter[str]:
        known = Known(self.options.source, self.parties, self.entered)
        changes = Changes()
        known.load(part)
        counts = self._plan(part, known, changes)
        writing.write(self.job, known, changes)
        for name, pks in changes.entered().items():
            self.entered.setdefault(name, set()).update(pks)
        return counts

    def _plan(self, part: Sequence[Row], known: Known, changes: Changes) -> Counter[str]:
        return Counter(planning.plan(row, known, self.options, changes) for row in part)

    def reset(self) -> None:
        self.entered = jobs.entered_by(self.job)
        self.parties = Parties(same=jobs.same_parties(self.job), entered=self.entered)


class ParticipationWork:
    def __init__(self, job: ImportJob) -> None:
        self.job = job
        self.reset()

    def rows(self, after: int) -> Iterator[ParticipationLine]:
        with storage.open_blob(self.job.file_id) as file:
            yield from LineReader(file, jobs.reading_of(self.job)).rows(after)

    def look(self, part: Sequence[ParticipationLine]) -> Counter[str]:
        self.answers.load(part)
        return Counter(self.answers.answer(line, enter=False) for line in part)

    def new_parties(self) -> list[NewParty]:
        return []

    def enter(self, part: Sequence[ParticipationLine]) -> Counter[str]:
        self.answers.load(part)
        return Counter(self.answers.answer(line, enter=True) for line in part)

    def reset(self) -> None:
        self.answers = Answers(self.job)


def work_of(job: ImportJob) -> Any:
    if job.format == ImportJob.Format.PARTICIPATION:
        return ParticipationWork(job)
    return CatalogueWork(job)


# --- Finding work ---------------------------------------------------------------------------


def run_next(wanted: ImportJob | None = None, *, seconds: float = TASK_SECONDS) -> bool:
    """Work on a free job, or on the one wanted, for some seconds; return false without one."""
    job = claim(wanted=wanted)
    if job is None:
        time.sleep(1 if wanted else 0)
        return False
    try:
        if job.state == State.CHECKING:
            look_at(job)
        elif enter(job, seconds=seconds):
            ImportJob.objects.filter(pk=job.pk, state=State.RUNNING).update(beat_at=None)
    except Stopped:
        log.info("Import %s was stopped or taken over.", job.pk)
    except OperationalError:
        # The database was unreachable: the job's last beat grows old, and another worker continues.
        raise
    except BadFile as error:
        _fail(job, str(error))
    except FileNotFoundError:
        _fail(job, "The file is missing from storage.")
    except Exception as error:
        # A full disk or unreachable store passes, like a database outage: a worker continues then.
        if outages.outage_of(error) is None:
            _fail(job, "A mistake of the portal's stopped it; an operator finds it in the log.")
        raise
    wake(jobs.TASK)
    return True


def claim(now: datetime | None = None, *, wanted: ImportJob | None = None) -> ImportJob | None:
    """Claim the oldest free job, or the one wanted. While a job is at work, the others wait."""
    now = now or timezone.now()
    at_work = ImportJob.objects.filter(state__in=(State.CHECKING, State.RUNNING))
    if at_work.filter(beat_at__gte=now - SILENCE).exists():
        return None
    queue = ImportJob.objects.filter(state__in=(State.CHECKING, State.WAITING, State.RUNNING))
    if wanted:
        queue = queue.filter(pk=wanted.pk)
    for job in queue.order_by("created_at", "pk"):
        new = State.CHECKING if job.state == State.CHECKING else State.RUNNING
        # Compare-and-set on the beat too: of two workers that saw it silent, one gets it.
        unchanged = ImportJob.objects.filter(pk=job.pk, state=job.state, beat_at=job.beat_at)
        if unchanged.update(state=new, beat_at=now):
            job.refresh_from_db()
            return job
    return None


# --- Dry run ----------------------------------------------------------------------------------


def look_at(job: ImportJob) -> None:
    """Do the dry run: note every problem of every row, and count verdicts. Enters nothing."""
    job.problems.all().delete()
    job.new_parties.all().delete()
    work, counts, rows = work_of(job), Counter[str](), 0
    with _parts(work.rows(0)) as parts:
        for part in parts:
            counts += work.look(part)
            rows += len(part)
            with transaction.atomic():
                ImportProblem.objects.bulk_create(_problems(job, part))
                NewParty.objects.bulk_create(work.new_parties())
                _beat(job, State.CHECKING, rows=rows, **_tally(counts))
    with transaction.atomic():
        _beat(job, State.CHECKING, rows=rows, state=State.CHECKED, error="", **_tally(counts))
        ImportJob.objects.filter(pk=job.pk).update(beat_at=None)


def _beat(job: ImportJob, believed: State, **values: object) -> None:
    """Set the beat and these values. Raises Stopped where the state is not as believed."""
    unchanged = ImportJob.objects.filter(pk=job.pk, state=believed)
    if not unchanged.update(**({"beat_at": timezone.now()} | values)):
        raise Stopped


def _tally(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in ("added", "changed", "unchanged", "refused")}


# --- Entering ---------------------------------------------------------------------------------


def enter(job: ImportJob, *, seconds: float = TASK_SECONDS, most_parts: int | None = None) -> bool:
    """Enter part after part; return true if some are left when the time is up."""
    work, deadline = work_of(job), time.monotonic() + seconds
    with _parts(work.rows(job.done)) as parts:
        for number, part in enumerate(parts, start=1):
            enter_part(job, work, part)
            if time.monotonic() > deadline or number == most_parts:
                return True
    with transaction.atomic():
        commit_order.moment()
        _beat(
            job, State.RUNNING, state=State.FINISHED, ended_at=timezone.now(), rows=job.done,
        )  # fmt: skip
        audit.record(
            by=job.made_by, verb="import.finished", subject=job, rows=job.done, added=job.added,
            changed=job.changed, unchanged=job.unchanged, refused=job.refused,
        )  # fmt: skip
    return False


def enter_part(job: ImportJob, work: Work[R], part: Sequence[R]) -> None:
    """Enter these rows in one transaction; one by one where the catalogue changed meanwhile."""
    problem_counts = [len(row.problems) for row in part]
    try:
        _enter(job, work, part)
    except CLASH:
        work.reset()
        _drop_new_problems(part, problem_counts)
        for row, count in zip(part, problem_counts, strict=True):
            try:
                _enter(job, work, [row])
            except CLASH as error:
                work.reset()
                _drop_new_problems([row], [count])
                sentence = (
                    "The catalogue changed meanwhile; import the file again."
                    if isinstance(error, IntegrityError)
                    else str(error)
                )
                row.add_problem("", sentence)
                _enter(job, work, [row])
    except BaseException:
        work.reset()
        raise


def _drop_new_problems(part: Sequence[Any], problem_counts: Sequence[int]) -> None:
    for row, count in zip(part, problem_counts, strict=True):
        del row.problems[count:]


def _enter(job: ImportJob, work: Work[R], part: Sequence[R]) -> None:
    """Enter a part. Raises Stopped if the job was stopped or another worker did the part."""
    with transaction.atomic():
        # Take the turn before locking any row (portal/database/commit_order.py).
        commit_order.moment()
        row = ImportJob.objects.select_for_update(no_key=True).get(pk=job.pk)
        if row.state != State.RUNNING or row.done != job.done:
            raise Stopped
        counts = work.enter(part)
        ImportProblem.objects.bulk_create(_problems(job, part))
        row.done = part[-1].number
        row.rows = max(row.rows, row.done)
        for name, count in _tally(counts).items():
            setattr(row, name, getattr(row, name) + count)
        row.beat_at = timezone.now()
        row.save()
    job.refresh_from_db()


def _problems(job: ImportJob, part: Sequence[Any]) -> list[ImportProblem]:
    problems: list[Problem] = []
    for row in part:
        problems.extend(row.problems)
    return [
        ImportProblem(
            job=job,
            row=problem.row,
            field=_writable(problem.field)[:60],
            sentence=_writable(problem.sentence)[:400],
            warning=problem.warning,
        )
        for problem in problems
    ]


@contextmanager
def _parts(rows: Iterator[R]) -> Iterator[Iterator[list[R]]]:
    """Yield the rows in parts; the file behind them is closed however that ends."""
    try:
        yield iter(lambda: list(islice(rows, PART)), [])
    finally:
        if isinstance(rows, Generator):
            rows.close()


def _writable(text: str) -> str:
    """Replace lone surrogates and zeros, which a problem may quote and no database stores."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def _fail(job: ImportJob, sentence: str) -> None:
    with transaction.atomic():
        commit_order.moment()
        at_work = ImportJob.objects.filter(pk=job.pk, state__in=(State.CHECKING, State.RUNNING))
        if at_work.update(
            state=State.FAILED, error=_writable(sentence)[:500], ended_at=timezone.now()
        ):
            audit.record(by=job.made_by, verb="import.failed", subject=job, done=job.done)

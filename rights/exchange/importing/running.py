"""Jobs at work: one at a time, a part of rows in one transaction, whoever does it.

A part first takes the job's row and sees that nobody else has done it, and last says how far the
job has come. So a worker that dies leaves whole parts only, and two that believe to have the same
job enter each part once.
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
from rights.exchange.importing.known import Known, Parties
from rights.exchange.importing.participation import Answers, LineReader, ParticipationLine
from rights.exchange.importing.rows import BadFile, Problem, Row
from rights.identifiers import BadIdentifier
from rights.models import ImportJob, ImportProblem

State = ImportJob.State
# Rows of one transaction: long enough to share its cost, short enough to wait for.
PART = 200
# Who has been silent this long is dead, and somebody else goes on.
SILENCE = timedelta(seconds=60)
# A task gives its worker back after this many seconds; the next one goes on.
TURN = 40.0
CLASH = (IntegrityError, Refused, BadIdentifier)
R = TypeVar("R", Row, ParticipationLine)

log = logging.getLogger(__name__)


class Stopped(Exception):
    """The job was stopped, or somebody else has taken it."""


class Work(Protocol[R]):
    """What a kind of file does with its rows."""

    def rows(self, after: int) -> Iterator[R]: ...

    def look(self, part: Sequence[R]) -> Counter[str]:
        """What entering the part would do. Writes nothing, and remembers for the next part."""

    def enter(self, part: Sequence[R]) -> Counter[str]:
        """Do it, inside the caller's transaction."""

    def forget(self) -> None:
        """A part was rolled back: what was read or made meanwhile does not count."""


class CatalogueWork:
    def __init__(self, job: ImportJob) -> None:
        self.job = job
        self.options = jobs.options_of(job)
        self.parties = Parties()
        self.known = Known(self.options.source, self.parties)

    def rows(self, after: int) -> Iterator[Row]:
        for row in jobs.rows_of(self.job, after):
            yield checking.check(row)

    def look(self, part: Sequence[Row]) -> Counter[str]:
        self.known.load(part)
        return self._plan(part, self.known, Changes())

    def enter(self, part: Sequence[Row]) -> Counter[str]:
        known, changes = Known(self.options.source, self.parties), Changes()
        known.load(part)
        counts = self._plan(part, known, changes)
        writing.write(self.job, known, changes)
        return counts

    def _plan(self, part: Sequence[Row], known: Known, changes: Changes) -> Counter[str]:
        return Counter(planning.plan(row, known, self.options, changes) for row in part)

    def forget(self) -> None:
        self.parties = Parties()


class ParticipationWork:
    def __init__(self, job: ImportJob) -> None:
        self.job = job
        self.forget()

    def rows(self, after: int) -> Iterator[ParticipationLine]:
        with storage.open_blob(self.job.file_id) as file:
            yield from LineReader(file).rows(after)

    def look(self, part: Sequence[ParticipationLine]) -> Counter[str]:
        self.answers.load(part)
        return Counter(self.answers.answer(line, enter=False) for line in part)

    def enter(self, part: Sequence[ParticipationLine]) -> Counter[str]:
        self.answers.load(part)
        return Counter(self.answers.answer(line, enter=True) for line in part)

    def forget(self) -> None:
        self.answers = Answers(self.job)


def work_of(job: ImportJob) -> Any:
    if job.format == ImportJob.Format.PARTICIPATION:
        return ParticipationWork(job)
    return CatalogueWork(job)


# --- Finding work ---------------------------------------------------------------------------


def go_on(wanted: ImportJob | None = None, *, seconds: float = TURN) -> bool:
    """Take a job that wants work, or the one wanted, for some seconds; false if none does."""
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
        # The database was away: the job's last beat grows old, and somebody goes on.
        raise
    except BadFile as error:
        _fail(job, str(error))
    except FileNotFoundError:
        _fail(job, "The file is missing from storage.")
    except Exception as error:
        # A full disk or a store that is away passes, as a database does: somebody goes on then.
        if outages.outage_of(error) is None:
            _fail(job, "A mistake of the portal's stopped it; an operator finds it in the log.")
        raise
    wake(jobs.TASK)
    return True


def claim(now: datetime | None = None, *, wanted: ImportJob | None = None) -> ImportJob | None:
    """The oldest job that nobody is at work on, or the one wanted. While one is, others wait."""
    now = now or timezone.now()
    at_work = ImportJob.objects.filter(state__in=(State.CHECKING, State.RUNNING))
    if at_work.filter(beat_at__gte=now - SILENCE).exists():
        return None
    wanting = ImportJob.objects.filter(state__in=(State.CHECKING, State.WAITING, State.RUNNING))
    if wanted:
        wanting = wanting.filter(pk=wanted.pk)
    for job in wanting.order_by("created_at", "pk"):
        new = State.CHECKING if job.state == State.CHECKING else State.RUNNING
        # Compare-and-set on the beat too: of two who saw it silent, one gets it.
        same = ImportJob.objects.filter(pk=job.pk, state=job.state, beat_at=job.beat_at)
        if same.update(state=new, beat_at=now):
            job.refresh_from_db()
            return job
    return None


# --- Looking ----------------------------------------------------------------------------------


def look_at(job: ImportJob) -> None:
    """The dry run: every problem of every row, and what would come of them. Enters nothing."""
    job.problems.all().delete()
    work, counts, rows = work_of(job), Counter[str](), 0
    with _parts(work.rows(0)) as parts:
        for part in parts:
            counts += work.look(part)
            rows += len(part)
            with transaction.atomic():
                ImportProblem.objects.bulk_create(_problems(job, part))
                _beat(job, State.CHECKING, rows=rows, **_tally(counts))
    with transaction.atomic():
        _beat(job, State.CHECKING, rows=rows, state=State.CHECKED, error="", **_tally(counts))
        ImportJob.objects.filter(pk=job.pk).update(beat_at=None)


def _beat(job: ImportJob, believed: State, **values: object) -> None:
    """Stopped where the job is in another state than this worker believes."""
    same = ImportJob.objects.filter(pk=job.pk, state=believed)
    if not same.update(**({"beat_at": timezone.now()} | values)):
        raise Stopped


def _tally(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in ("added", "changed", "unchanged", "refused")}


# --- Entering ---------------------------------------------------------------------------------


def enter(job: ImportJob, *, seconds: float = TURN, most_parts: int | None = None) -> bool:
    """Enter part after part; true if some are left when the time is over."""
    work, until = work_of(job), time.monotonic() + seconds
    with _parts(work.rows(job.done)) as parts:
        for number, part in enumerate(parts, start=1):
            enter_part(job, work, part)
            if time.monotonic() > until or number == most_parts:
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
    """All of these rows in one transaction; where the catalogue changed under it, one by one."""
    before = [len(row.problems) for row in part]
    try:
        _enter(job, work, part)
    except CLASH:
        work.forget()
        _as_they_were(part, before)
        for row, count in zip(part, before, strict=True):
            try:
                _enter(job, work, [row])
            except CLASH as error:
                work.forget()
                _as_they_were([row], [count])
                sentence = (
                    "The catalogue changed meanwhile; import the file again."
                    if isinstance(error, IntegrityError)
                    else str(error)
                )
                row.wrong("", sentence)
                _enter(job, work, [row])
    except BaseException:
        work.forget()
        raise


def _as_they_were(part: Sequence[Any], before: Sequence[int]) -> None:
    for row, count in zip(part, before, strict=True):
        del row.problems[count:]


def _enter(job: ImportJob, work: Work[R], part: Sequence[R]) -> None:
    """Raises Stopped where the job was stopped, or the part is somebody else's by now."""
    with transaction.atomic():
        # The turn before any row (portal/database/commit_order.py).
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
    found: list[Problem] = []
    for row in part:
        found.extend(row.problems)
    return [
        ImportProblem(
            job=job,
            row=problem.row,
            field=problem.field[:60],
            sentence=_writable(problem.sentence)[:400],
            warning=problem.warning,
        )
        for problem in found
    ]


@contextmanager
def _parts(rows: Iterator[R]) -> Iterator[Iterator[list[R]]]:
    """Rows in parts; the file behind them is closed however that ends."""
    try:
        yield iter(lambda: list(islice(rows, PART)), [])
    finally:
        if isinstance(rows, Generator):
            rows.close()


def _writable(text: str) -> str:
    """Half characters and zeros of a file are told of, and no database keeps them."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def _fail(job: ImportJob, sentence: str) -> None:
    with transaction.atomic():
        commit_order.moment()
        at_work = ImportJob.objects.filter(pk=job.pk, state__in=(State.CHECKING, State.RUNNING))
        if at_work.update(state=State.FAILED, error=sentence[:500], ended_at=timezone.now()):
            audit.record(by=job.made_by, verb="import.failed", subject=job, done=job.done)

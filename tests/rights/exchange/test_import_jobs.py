"""Jobs at work: stopped and resumed, killed between and within parts, two workers at once."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from portal import audit, storage
from portal.models import AuditEvent, User
from rights.errors import Refused
from rights.exchange.importing import jobs, running
from rights.models import Credit, ImportJob, Recording, RecordingWork, SplitSheet
from tests.rights.exchange.importing import (
    checked,
    counts,
    imported,
    song,
    table,
    uploaded,
    work_off,
)

pytestmark = pytest.mark.django_db
State = ImportJob.State


def whole() -> bool:
    """Each recording has all that its row says: none is half there."""
    count = Recording.objects.count()
    return (
        RecordingWork.objects.count() == count
        and SplitSheet.objects.filter(recording__isnull=False).count() == count
        and Credit.objects.filter(recording__isnull=False).count() == count
    )


def started(by: User, rows: int) -> ImportJob:
    job = checked(by, table([song(number) for number in range(rows)]))
    jobs.start(job, by=by)
    claimed = running.claim()
    assert claimed == job
    return claimed


def test_two_thousand_rows_stop_and_go_on(rosa: User) -> None:
    job = started(rosa, 2_000)
    assert running.enter(job, most_parts=3)
    jobs.cancel(job, by=rosa)
    assert (job.state, job.done, Recording.objects.count()) == (State.CANCELLED, 600, 600)
    work_off()
    assert Recording.objects.count() == 600
    assert whole()
    jobs.resume(job, by=rosa)
    work_off()
    job.refresh_from_db()
    assert (job.state, job.done, job.added) == (State.FINISHED, 2_000, 2_000)
    assert Recording.objects.count() == 2_000
    assert whole()
    before = counts()
    again = imported(rosa, table([song(number) for number in range(2_000)]))
    assert (again.unchanged, again.added) == (2_000, 0)
    assert counts() == before
    assert list(audit.broken_lines()) == []


def test_stopping_in_the_middle_of_a_part_undoes_that_part(rosa: User) -> None:
    """The worker finds out when it takes the next part."""
    job = started(rosa, 600)
    work = running.work_of(job)
    with running._parts(work.rows(0)) as parts:
        running.enter_part(job, work, next(parts))
        jobs.cancel(ImportJob.objects.get(pk=job.pk), by=rosa)
        with pytest.raises(running.Stopped):
            running.enter_part(job, work, next(parts))
    assert Recording.objects.count() == 200


class Dying(running.CatalogueWork):
    """A worker that dies with everything of a part written, and nothing committed."""

    def enter(self, part: Any) -> Any:
        counts = super().enter(part)
        if part[0].number > 200:
            raise OperationalError("The power went.")
        return counts


def test_a_worker_that_dies_in_a_part_leaves_nothing_half(rosa: User) -> None:
    job = started(rosa, 600)
    work = Dying(job)
    with running._parts(work.rows(0)) as parts:
        running.enter_part(job, work, next(parts))
        with pytest.raises(OperationalError):
            running.enter_part(job, work, next(parts))
    assert Recording.objects.count() == 200
    assert whole()
    job.refresh_from_db()
    assert (job.state, job.done) == (State.RUNNING, 200)
    # As long as its beat is young nobody touches it; then the clock goes on.
    assert not running.run_next()
    ImportJob.objects.update(beat_at=timezone.now() - timedelta(minutes=2))
    work_off()
    job.refresh_from_db()
    assert (job.state, job.added) == (State.FINISHED, 600)
    assert Recording.objects.count() == 600
    assert whole()


def test_two_workers_enter_each_part_once(rosa: User) -> None:
    first = started(rosa, 600)
    second = ImportJob.objects.get(pk=first.pk)
    one, two = running.work_of(first), running.work_of(second)
    with running._parts(one.rows(0)) as mine, running._parts(two.rows(0)) as theirs:
        running.enter_part(first, one, next(mine))
        with pytest.raises(running.Stopped):
            running.enter_part(second, two, next(theirs))
    assert Recording.objects.count() == 200
    assert AuditEvent.objects.filter(verb="import.part").count() == 1


def test_one_job_is_claimed_once_and_one_runs_at_a_time(rosa: User) -> None:
    job = checked(rosa, table([song(1)]))
    other = uploaded(rosa, table([song(2)]), "other.csv")
    jobs.start(job, by=rosa)
    jobs.check(other, by=rosa, columns=other.columns)
    assert running.claim() == job
    assert running.claim() is None
    later = timezone.now() + timedelta(minutes=5)
    assert running.claim(later) == job


class Meddled(running.CatalogueWork):
    """Somebody enters one of the recordings after each part was read, and before it is written."""

    def _plan(self, part: Any, known: Any, changes: Any) -> Any:
        counts = super()._plan(part, known, changes)
        if any(row.isrc == "QZXYZ2600007" for row in part):
            by = self.job.made_by
            Recording.objects.create(title="Song 7", isrc="QZXYZ2600007", added_by=by)
        return counts


def test_a_part_whose_catalogue_changes_under_it_goes_row_by_row(rosa: User) -> None:
    job = started(rosa, 20)
    work = Meddled(job)
    with running._parts(work.rows(0)) as parts:
        running.enter_part(job, work, next(parts))
    assert (job.done, job.added, job.refused) == (20, 19, 1)
    assert "changed meanwhile" in job.problems.get().sentence
    # The nineteen, and the one that somebody else entered.
    assert Recording.objects.count() == 20
    assert RecordingWork.objects.count() == 19


def test_a_job_is_started_only_when_it_was_checked(rosa: User) -> None:
    job = uploaded(rosa, table([song(1)]))
    with pytest.raises(Refused):
        jobs.start(job, by=rosa)
    with pytest.raises(Refused):
        jobs.resume(job, by=rosa)
    with pytest.raises(Refused):
        jobs.cancel(job, by=rosa)


def test_a_part_has_one_line_with_the_digest_of_its_rows(rosa: User) -> None:
    imported(rosa, table([song(number) for number in range(250)]))
    lines = AuditEvent.objects.filter(verb="import.part").order_by("seq")
    assert [line.body["rows"] for line in lines] == [[1, 200], [201, 250]]
    assert all(len(line.body["digest"]) == 64 for line in lines)
    assert sum(len(line.body["recordings"]) for line in lines) == 250
    assert list(audit.broken_lines()) == []


def test_a_file_that_is_gone_fails_with_a_sentence(rosa: User) -> None:
    from portal import storage

    job = uploaded(rosa, table([song(1)]))
    storage.remove(job.file_id)
    jobs.check(job, by=rosa, columns=job.columns)
    work_off()
    job.refresh_from_db()
    assert (job.state, job.error) == (State.FAILED, "The file is missing from storage.")


def test_the_command_imports_and_exports(rosa: User, tmp_path: Path) -> None:
    file = tmp_path / "songs.csv"
    file.write_bytes(table([song(1), song(2, ISRC="no")]))
    said = io.StringIO()
    with pytest.raises(CommandError, match="no rights admin"):
        call_command("catalogue", "import", str(file), "--by", "nobody")
    call_command("catalogue", "import", str(file), "--by", "rosa", "--dry-run", stdout=said)
    assert "row 2, isrc (refused)" in said.getvalue()
    assert not Recording.objects.exists()
    call_command("catalogue", "import", str(file), "--by", "rosa", stdout=said)
    assert "1 added" in said.getvalue().splitlines()[-1]
    for name in ("out.csv", "out.json", "out.xml"):
        call_command("catalogue", "export", str(tmp_path / name), stdout=said)
        before = counts()
        call_command("catalogue", "import", str(tmp_path / name), "--by", "rosa", stdout=said)
        assert counts() == before
    assert "0 added, 0 changed, 1 unchanged, 0 refused" in said.getvalue().splitlines()[-1]


def test_a_store_that_is_away_fails_no_job(rosa: User, settings: LazySettings) -> None:
    """It is no mistake of the file's, nor of the portal's: the job goes on when it is back."""
    job = started(rosa, 20)
    ImportJob.objects.update(beat_at=timezone.now() - timedelta(minutes=2))
    settings.STORAGE_URL, settings.STORAGE_ENDPOINT = "s3://bucket/blobs", "http://127.0.0.1:1"
    settings.STORAGE_ACCESS_KEY = settings.STORAGE_SECRET_KEY = "test"
    settings.STORAGE_REGION = "us-east-1"
    with pytest.raises(storage.Unreachable):
        running.run_next()
    job.refresh_from_db()
    assert job.state == State.RUNNING
    settings.STORAGE_URL = ""
    ImportJob.objects.update(beat_at=timezone.now() - timedelta(minutes=2))
    work_off()
    job.refresh_from_db()
    assert (job.state, job.added) == (State.FINISHED, 20)

"""What ended local jobs leave goes after a while, and never before it was taken in."""

import fcntl
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.utils import timezone

from backline import lent
from backline.delivery.spool import Session, Spool
from experiments.models import Project, Run
from experiments.runs import runs
from experiments.runs.attempts import job_name
from portal.models import User
from workers import job_cleanup
from workers.cluster.fake import RecordingCluster
from workers.cluster.local import LocalCluster
from workers.reconciling import reconcile


@pytest.fixture
def local(settings: LazySettings) -> LocalCluster:
    settings.ENDED_JOBS_DAYS = 30
    return LocalCluster(settings.LOCAL_JOBS_DIR)


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.submit(by=ada, project=project, recipe="tone_check", config={})


def ended(local: LocalCluster, name: str, days: float) -> Path:
    """A job's folder as `forget` leaves it, so long ago."""
    folder = local.root / "ended" / name
    folder.mkdir(parents=True)
    for file in ("log", "pid.json", "exit.json"):
        (folder / file).write_text("{}")
    then = (timezone.now() - timedelta(days=days)).timestamp()
    os.utime(folder, (then, then))
    return folder


def spool_of(local: LocalCluster, run: Run) -> Spool:
    session = Session(
        url="http://127.0.0.1", token="t", run=str(run.pk), session="attempt-1",
        pid=os.getpid(), pid_started=0.0,
    )  # fmt: skip
    return Spool.create(local.root / "spool", session)


@pytest.mark.django_db
def test_music_goes_that_a_killed_job_was_lent_and_stays_while_somebody_uses_it(
    local: LocalCluster, settings: LazySettings
) -> None:
    """Also where the folders of ended jobs are kept for good."""
    settings.ENDED_JOBS_DAYS = 0
    left, used = (local.root / "spool" / "fetched" / name for name in ("r-1", "r-2"))
    for folder in (left, used):
        folder.mkdir(parents=True)
        (folder / ("ab" * 32)).touch()
    cache.delete("workers.job_cleanup")
    with lent.Folder(used):
        job_cleanup.clean_up(local, timezone.now())
        assert (left.exists(), used.exists()) == (False, True)


@pytest.mark.django_db
def test_folders_go_by_their_age(local: LocalCluster) -> None:
    old = ended(local, "run-0123456789ab-1", days=31)
    young = ended(local, "run-0123456789ab-2", days=29)
    assert job_cleanup.purge(local, timezone.now()) == [old.name]
    assert not old.exists()
    assert (young / "log").exists()


@pytest.mark.django_db
def test_nobody_clears_the_folders_in_which_a_delivery_is_going_on(local: LocalCluster) -> None:
    """A sandbox that is being made binds them."""
    folder = ended(local, "run-0123456789ab-1", days=31)
    (folder / "work").mkdir()
    (folder / "level.json").write_text('{"level": "sandbox", "user": null}')
    with (folder / "level.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert job_cleanup.purge(local, timezone.now()) == []
        assert (folder / "work").exists()
    job_cleanup.purge(local, timezone.now())
    assert not (folder / "work").exists()


def test_a_job_stays_while_something_of_its_run_waits_in_the_spool(
    local: LocalCluster, run: Run
) -> None:
    folder = ended(local, job_name(run, 1), days=99)
    spool = spool_of(local, run)
    spool.put("batch", b"points")
    assert job_cleanup.purge(local, timezone.now()) == []
    (waiting,) = spool.pending()
    spool.accepted(waiting)
    assert job_cleanup.purge(local, timezone.now()) == [folder.name]


def test_a_job_stays_while_an_attempt_of_its_run_is_open(local: LocalCluster, run: Run) -> None:
    """After a restore a row may count on a job that has ended since."""
    ended(local, job_name(run, 1), days=99)
    assert runs.claim(run) is not None
    assert job_cleanup.purge(local, timezone.now()) == []


def test_what_was_just_taken_in_is_young_however_long_ago_the_program_ended(
    local: LocalCluster, run: Run
) -> None:
    folder = ended(local, job_name(run, 1), days=99)
    (folder / "spec.json").write_text("{}")
    folder.rename(local.root / folder.name)
    local.forget(folder.name)
    assert job_cleanup.purge(local, timezone.now()) == []


@pytest.mark.django_db
@pytest.mark.parametrize(("days", "left"), [(30, False), (0, True)])
def test_a_round_does_it_once_an_hour_where_the_setting_says_so(
    local: LocalCluster, settings: LazySettings, days: int, left: bool
) -> None:
    settings.ENDED_JOBS_DAYS = days
    cache.clear()
    folder = ended(local, "run-0123456789ab-1", days=31)
    reconcile(local)
    assert folder.exists() == left
    again = ended(local, "run-0123456789ab-2", days=31)
    reconcile(local)
    assert again.exists()


@pytest.mark.django_db
def test_a_cluster_that_sees_to_it_by_itself_is_asked_nothing_more(local: LocalCluster) -> None:
    assert job_cleanup.purge(RecordingCluster(), timezone.now()) == []

"""The demo's second project: filled step by step, once, and never before a run of somebody else."""

import pytest
from django.conf import LazySettings
from django.utils import timezone

from experiments.models import Comment, Membership, Notice, Project, Report, Run, Sweep
from experiments.reports import pages
from experiments.run_table import saved_views
from portal.models import User
from workers import tasks
from workers.demo import night_shift, night_shift_project


@pytest.fixture
def night(ada: User, lou: User) -> Project:
    return night_shift_project.begin(researcher=ada, listener=lou)


def end(project: Project) -> None:
    project.runs.filter(state=Run.State.QUEUED).update(
        state=Run.State.FINISHED, started_at=timezone.now(), ended_at=timezone.now()
    )


def fill(project: Project) -> None:
    """Do every step, ending each run and the sweep in between."""
    for _ in night_shift.PLAN:
        assert night_shift.do_next()
        end(project)
        project.sweeps.update(state=Sweep.State.FINISHED)


def test_one_run_is_queued_at_a_time_and_the_next_when_it_has_ended(night: Project) -> None:
    assert night_shift.do_next()
    assert not night_shift.do_next()
    assert night.runs.count() == 1
    end(night)
    # The portal was killed and starts again: how far it is, is in the database.
    assert night_shift.do_next()
    assert night.runs.count() == 2


def test_every_rate_has_its_seeds_and_what_people_say_once(night: Project, ada: User) -> None:
    fill(night)
    assert not night_shift.do_next()
    configs = {(r.config["learning_rate"], r.config["seed"]) for r in night.runs.all()}
    assert len(configs) == night.runs.count() == night_shift.RUNS == 40
    assert night.sweeps.get().max_trials == night_shift.TRIALS
    assert night.runs.exclude(notes="").count() == 2
    assert Comment.objects.filter(project=night).count() == 2
    assert Notice.objects.filter(user=ada, kind=Notice.Kind.MENTION).count() == 1
    report = Report.objects.get(project=night)
    assert not report.is_draft
    assert report.frozen_blocks.count() == 1
    assert "block-error" not in pages.html(report.text, pages.reading_of(ada, report))
    views = saved_views.visible(user=ada, project=night)
    assert [view.name for view in views if view.shared] == ["By learning rate"]


def test_a_labs_own_project_of_that_name_is_left_alone(ada: User) -> None:
    own = Project.objects.create(slug=night_shift.SLUG, name="Ours")
    Membership.objects.create(project=own, user=ada, level=Membership.Level.OWNER)
    assert not night_shift.do_next()
    assert not own.runs.exists()


def test_the_setting_switches_it_off(night: Project, settings: LazySettings) -> None:
    settings.DEMO_RUNS = False
    tasks.demo()
    assert not night.runs.exists()
    settings.DEMO_RUNS = True
    tasks.demo()
    assert night.runs.count() == 1


def test_what_was_deleted_is_not_spoken_of_and_not_made_again(night: Project) -> None:
    for _ in night_shift.RATES:
        assert night_shift.do_next()
        end(night)
    night.runs.update(deleted_at=timezone.now())
    # The notes, the comments, the report, the sweep.
    for _ in range(5):
        assert night_shift.do_next()
    assert night.sweeps.exists()
    assert night.runs.count() == len(night_shift.RATES)
    assert not night.runs.exclude(notes="").exists()
    assert not Comment.objects.filter(project=night).exists()

"""A deleted run is gone from whatever else shows runs, and an archived one from what lists them."""

import pytest
from django.utils import timezone

from experiments.models import Project, Run
from experiments.runs import runs, shelving
from portal.models import User
from rights.models import Recording
from tests.catalogue import make_allowed

pytestmark = pytest.mark.django_db
State = Run.State


@pytest.fixture
def recordings(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 1)


def end(run: Run, state: str = State.FAILED) -> Run:
    Run.objects.filter(pk=run.pk).update(state=state, ended_at=timezone.now())
    run.refresh_from_db()
    return run


def test_a_run_deleted_in_another_tab_is_not_tried_again(ada: User, project: Project) -> None:
    run = end(runs.submit(by=ada, project=project, recipe="tone_check", config={}))
    seen = Run.objects.get(pk=run.pk)
    shelving.delete(run=run, by=ada)
    with pytest.raises(runs.NotPossible, match="Run 1 was deleted"):
        runs.retry(run=seen, by=ada)
    seen.refresh_from_db()
    assert seen.state == State.FAILED
    shelving.bring_back(run=run, by=ada)
    assert runs.retry(run=seen, by=ada).state == State.QUEUED

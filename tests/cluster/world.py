"""The portal's side of the cluster tests, as a process (tests/nursery.py).

Reads one JSON object from each line of its input, {"verb": name, ...}, and answers with one:
{"answer": ...} or {"error": sentence}. The environment says which database, storage, API server
and namespace. `reconcile` is the Celery task's own function; people's acts go through the web
server beside it, except where only the portal itself acts.
"""

import json
import sys
import traceback
from typing import Any

import django

django.setup()

from django.db import close_old_connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from experiments.models import Attempt, Dataset, Membership, Project, Run  # noqa: E402
from experiments.runs import datasets, runs  # noqa: E402
from portal import tokens  # noqa: E402
from portal.models import ApiToken, User  # noqa: E402
from rights.grants import lifecycle  # noqa: E402
from rights.models import Use  # noqa: E402
from tests.catalogue import make_allowed  # noqa: E402
from tests.cluster.lab import PASSWORD  # noqa: E402
from workers import tasks  # noqa: E402


def people() -> dict[str, Any]:
    """Ada with a project, two datasets and a token; Rosa who keeps the rights."""
    ada = User.objects.create_user("ada", password=PASSWORD, roles=["researcher"])
    project = Project.objects.create(slug="p", name="P")
    Membership.objects.create(project=project, user=ada, level=Membership.Level.OWNER)
    rosa = User.objects.create_user("rosa", roles=["rights_admin"])
    use = Use.TRAIN_GENERATIVE
    kept, doomed = (
        datasets.freeze(
            by=ada, project=project, name=name, recordings=make_allowed(rosa, 2), use=use
        )
        for name in ("kept", "doomed")
    )
    _, token = tokens.issue(ada, "tests")
    return {"token": token, "dataset": kept.pk, "doomed": doomed.pk}


def submit(
    recipe: str, config: dict[str, Any] | None = None, dataset: int | None = None, count: int = 1,
    **how: Any,
) -> list[str]:  # fmt: skip
    """As the web form does, for what the API's body has no word for; `count` times."""
    ada, project = User.objects.get(username="ada"), Project.objects.get()
    frozen = Dataset.objects.get(pk=dataset) if dataset else None
    made = [
        runs.submit(
            by=ada, project=project, recipe=recipe, config=config or {}, dataset=frozen, **how
        )
        for _ in range(count)
    ]
    return [str(run.pk) for run in made]


def reconcile() -> None:
    tasks.reconcile()


def attempts(run: str) -> list[dict[str, Any]]:
    rows = Attempt.objects.filter(run=run).order_by("number")
    return list(rows.values("number", "state", "reason", "exit_code", "job_name", "node"))


def open_runs() -> int:
    return Run.objects.filter(state__in=Run.OPEN_STATES).count()


def checkpoints(run: str) -> list[tuple[int, str]]:
    """Step and digest of each, the earliest first."""
    rows = Run.objects.get(pk=run).checkpoints.order_by("step")
    return list(rows.values_list("step", "blob_id"))


def withdraw(dataset: int) -> str:
    """The artist of the dataset's first recording opts out; answers its title."""
    recording = Dataset.objects.get(pk=dataset).items.earliest("pk").recording
    party = recording.credits.get(role="MainArtist").party
    rosa = User.objects.get(username="rosa")
    lifecycle.opt_out(recording, Use.TRAIN_GENERATIVE, party, rosa, "No more")
    return recording.title


def expire_tokens(run: str) -> int:
    rows = ApiToken.objects.filter(scope=f"run:{run}")
    return rows.update(expires_at=timezone.now())


def usable_tokens(run: str) -> int:
    return ApiToken.objects.usable().filter(scope=f"run:{run}").count()


def forget_runs() -> None:
    """Between tests: whatever an earlier one left open is no concern of the next."""
    Attempt.objects.filter(state__in=Attempt.OPEN_STATES).update(state=Attempt.State.LOST)
    Run.objects.filter(state__in=Run.OPEN_STATES).update(state=Run.State.FAILED)


VERBS = {
    verb.__name__: verb
    for verb in (
        people, submit, reconcile, attempts, open_runs, checkpoints, withdraw, expire_tokens,
        usable_tokens, forget_runs,
    )
}  # fmt: skip


def answer(line: str) -> dict[str, Any]:
    asked = json.loads(line)
    # As Celery does between tasks: a connection that is broken is not kept.
    close_old_connections()
    try:
        return {"answer": VERBS[asked.pop("verb")](**asked)}
    except Exception as error:  # noqa: BLE001 - the outer edge: told to the test, which fails.
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def main(_: object) -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(line), default=str) + "\n")
        sys.stdout.flush()

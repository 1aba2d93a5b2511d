"""What can be discussed: each kind says how one of it is found, by whom, and where it stands.

A subject is two words, a kind and a key, and belongs to a project; who sees the project may read
and write about it. Apps above this one register their kinds (`register`), and no table here knows
theirs: a foreign key to any row at all would need one more query for each kind to say a title, and
would still not know who may see the row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse

from experiments.models import Project, Run, Sweep
from portal.inputs import parameters
from portal.models import User


@dataclass(frozen=True)
class Subject:
    """Something that people talk about. `url` is its own page, `owner` who hears of comments."""

    kind: str
    key: str
    project: Project
    title: str
    url: str
    owner: User | None = None
    # Where the discussion is read; empty for the page that every subject has.
    discussion_url: str = ""

    @property
    def address(self) -> str:
        return self.discussion_url or reverse("discussion", args=[self.kind, self.key])


# Returns the subject of a key, if the user may see it.
Find = Callable[[User, str], Subject | None]
_kinds: dict[str, Find] = {}


def register(kind: str, find: Find) -> None:
    """Let things of this kind be discussed. `kind` is stored with each comment: at most 10
    characters, and for ever."""
    _kinds[kind] = find


def find(user: User, kind: str, key: str) -> Subject | None:
    """Return the subject if there is one and the user may see it."""
    finder = _kinds.get(kind)
    return finder(user, key) if finder else None


def of_run(run: Run) -> Subject:
    """Return a run as a subject; its project is fetched with it."""
    return Subject(
        kind="run",
        key=str(run.pk),
        project=run.project,
        title=f"{run.number} {run.name}",
        url=run.get_absolute_url(),
        owner=run.submitted_by,
        discussion_url=reverse("experiments:run_discussion", args=[run.project.slug, run.number]),
    )


def _find_run(user: User, key: str) -> Subject | None:
    try:
        pk = UUID(key)
    except ValueError:
        return None
    runs = Run.objects.visible_to(user).filter(pk=pk).select_related("project", "submitted_by")
    run = runs.first()
    return of_run(run) if run else None


def of_sweep(sweep: Sweep) -> Subject:
    """Return a sweep as a subject; its project is fetched with it."""
    return Subject(
        kind="sweep",
        key=str(sweep.pk),
        project=sweep.project,
        title=f"sweep {sweep.number} {sweep.name}",
        url=sweep.get_absolute_url(),
        owner=sweep.submitted_by,
    )


def _find_sweep(user: User, key: str) -> Subject | None:
    rows = Sweep.objects.visible_to(user).filter(pk=parameters.number(key) or 0)
    sweep = rows.select_related("project", "submitted_by").first()
    return of_sweep(sweep) if sweep else None


register("run", _find_run)
register("sweep", _find_sweep)

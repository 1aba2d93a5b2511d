"""Which runs a page of charts shows: those numbered in its address, or those its query finds."""

from dataclasses import dataclass, field

from django.db.models import QuerySet

from experiments.models import Project, Run
from experiments.run_table import compare, query
from portal.models import User

# Curves are drawn for this many runs; without a choice the newest of them.
MOST = 200
NEWEST = 40


@dataclass(frozen=True)
class Selection:
    """Runs by number, the newest last. `found` counts those that fit, of which `runs` are some;
    `note` says what is left out, `error` what is wrong with the query."""

    runs: list[Run] = field(default_factory=list)
    found: int = 0
    note: str = ""
    error: str = ""


def choose(
    *, user: User, project: Project, numbers: str, text: str, archived: bool = False
) -> Selection:
    """Return the runs of the numbers in an address (`3,5`); without any, what the query finds, as
    in the run table without archived runs unless they are asked for."""
    if numbers:
        choice = compare.choose(user=user, project=project, text=numbers, most=MOST)
        return Selection(choice.runs, len(choice.runs), choice.note)
    shown = Run.objects.visible_to(user).filter(project=project)
    rows: QuerySet[Run] = shown if archived else shown.listed()
    try:
        rows = query.apply(rows, text)
    except query.BadQuery as error:
        return Selection(error=str(error))
    most = MOST if text else NEWEST
    newest = list(rows.order_by("-number").values_list("number", flat=True)[: most + 1])
    found = len(newest) if len(newest) <= most else rows.count()
    chosen = Run.objects.filter(project=project, number__in=newest[:most])
    runs = list(chosen.select_related("submitted_by", "dataset", "project").order_by("number"))
    note = ""
    if found > most:
        what = "that the query finds" if text else "of this project"
        note = f"Shown are the newest {most} of the {found:,} runs {what}."
    return Selection(runs, found, note)

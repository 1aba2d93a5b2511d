"""Whether a published model still rests on permissions. Looked up each time: nothing has to run.

A permission that ends leaves a hold (rights/withdrawal/holds.py) where the agreed policy stops the
model, and only a case where it lets this version stay. Either way the party has left, and is named
no longer unless it wants to be.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import F, Min

from experiments.models import Checkpoint, DatasetItem, Run, ancestry
from experiments.models.ancestry import Link
from experiments.models.publishing import ModelPage
from rights.models import CaseItem, WithdrawalCase

WITHDRAWN, PUBLISHED = "Withdrawn", "Published"


@dataclass(frozen=True)
class PageStatus:
    words: str
    sentence: str
    since: datetime | None = None
    # Parties whose permission for something in it has ended.
    left: frozenset[int] = field(default_factory=frozenset)

    @property
    def withdrawn(self) -> bool:
        return self.words == WITHDRAWN


def line_of_page(page: ModelPage) -> list[Link]:
    return ancestry.line(page.run, page.checkpoint.step if page.checkpoint else None)


def lines_of_pages(pages: Iterable[ModelPage]) -> dict[int, list[Link]]:
    return ancestry.lines(
        {page.pk: (page.run, page.checkpoint.step if page.checkpoint else None) for page in pages}
    )


def statuses_of(pages: Iterable[ModelPage]) -> dict[int, PageStatus]:
    """Page number to its standing now. The number of queries does not grow with the pages."""
    rows = list(pages)
    behind, retired = _behind(rows)
    runs = {pk for some in behind.values() for pk in some}
    known = _Known(_held(runs), _cases(runs), _covered(rows), retired)
    return {page.pk: _standing(page, behind[page.pk], known) for page in rows}


def _behind(pages: Sequence[ModelPage]) -> tuple[dict[int, set[UUID]], dict[str, datetime]]:
    """Page number to the runs behind its model: its own, those that delivered the same bytes, and
    all with whose weights these began; and which of these bytes are retired since when."""
    delivered: dict[str, set[UUID]] = defaultdict(set)
    retired: dict[str, datetime] = {}
    digests = {page.checkpoint.digest for page in pages if page.checkpoint}
    rows = Checkpoint.every.filter(digest__in=digests)
    began = {page.run_id for page in pages if page.run.start_from_id is not None}
    for digest, run, before, at in rows.values_list(
        "digest", "run", "run__start_from", "retired_at"
    ):
        delivered[digest].add(run)
        began |= {run} if before is not None else set()
        if at is not None:
            retired[digest] = min(at, retired.get(digest, at))
    heads = {
        page.pk: {page.run_id, *(delivered[page.checkpoint.digest] if page.checkpoint else ())}
        for page in pages
    }
    behind = ancestry.behind(began)
    found = {pk: runs.union(*(behind[run] for run in runs & began)) for pk, runs in heads.items()}
    return found, retired


def left(run: Run) -> frozenset[int]:
    """Parties whose permission has ended for something that the run, or the runs whose weights it
    began with, learned from."""
    runs = ancestry.behind([run.pk])[run.pk]
    marks = [mark.party for some in _held(runs).values() for mark in some]
    return frozenset(marks).union(*_cases(runs).values())


@dataclass(frozen=True)
class _Mark:
    party: int
    case: int | None
    at: datetime


_Held = dict[UUID, list[_Mark]]


def _held(runs: set[UUID]) -> _Held:
    """Run to the marks of permissions that ended after its dataset was frozen."""
    rows = (
        DatasetItem.objects.filter(
            included=True,
            dataset__runs__in=runs,
            recording__holds__use=F("dataset__runs__use"),
            recording__holds__at__gt=F("dataset__frozen_at"),
        )
        .values_list("dataset__runs", "recording__holds__party", "recording__holds__case")
        .annotate(Min("recording__holds__at"))
        .order_by()
    )
    found: _Held = defaultdict(list)
    for run, party, case, at in rows:
        found[run].append(_Mark(party, case, at))
    return found


def _cases(runs: set[UUID]) -> dict[str, set[int]]:
    """Run, as cases name it, to the parties whose change of mind touches it."""
    rows = (
        WithdrawalCase.objects.exclude(status=WithdrawalCase.Status.REJECTED)
        .filter(items__kind="run", items__key__in=[str(run) for run in runs])
        .values_list("items__key", "party")
        .distinct()
        .order_by()
    )
    found: dict[str, set[int]] = defaultdict(set)
    for key, party in rows:
        found[key].add(party)
    return found


def _covered(pages: Sequence[ModelPage]) -> set[tuple[int, str, str]]:
    """(case, kind, key) of what a person has settled: the agreement lets this one stay."""
    rows = CaseItem.objects.filter(
        kind__in=("checkpoint", "run"),
        key__in=[_key(page)[1] for page in pages],
        outcome=CaseItem.Outcome.COVERED,
    )
    return set(rows.values_list("case", "kind", "key"))


def _key(page: ModelPage) -> tuple[str, str]:
    if page.checkpoint_id:
        return "checkpoint", str(page.checkpoint_id)
    return "run", str(page.run_id)


class _Known(NamedTuple):
    """What is looked up once for all pages."""

    held: _Held
    cases: dict[str, set[int]]
    covered: set[tuple[int, str, str]]
    retired: dict[str, datetime]


def _standing(page: ModelPage, runs: set[UUID], known: _Known) -> PageStatus:
    marks = [mark for run in runs for mark in known.held.get(run, ())]
    left = frozenset(
        {mark.party for mark in marks}.union(*(known.cases.get(str(run), ()) for run in runs))
    )
    stopping = [mark.at for mark in marks if (mark.case, *_key(page)) not in known.covered]
    if stopping:
        return PageStatus(
            WITHDRAWN,
            "A permission that this model rests on has ended. Nothing may be made with it, and "
            "it is to be trained anew without that music, or retired for good.",
            min(stopping),
            left,
        )
    if page.checkpoint and page.checkpoint.digest in known.retired:
        return PageStatus(
            WITHDRAWN,
            "This model is retired for good. Nothing may be made with it.",
            known.retired[page.checkpoint.digest],
            left,
        )
    if page.withdrawn_at:
        return PageStatus(WITHDRAWN, "The lab has withdrawn this model.", page.withdrawn_at, left)
    if left:
        one = len(left) == 1
        return PageStatus(
            PUBLISHED,
            f"{len(left)} of those who hold rights in what it learned from "
            f"{'has' if one else 'have'} ended a permission since. It was agreed that this "
            "version stays then, and that the next does not learn from their music.",
            None,
            left,
        )
    return PageStatus(PUBLISHED, "No permission that it rests on has ended.", None, left)

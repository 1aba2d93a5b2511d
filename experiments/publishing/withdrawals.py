"""Whether a published model still rests on permissions. Looked up each time: nothing has to run.

A permission that ends leaves a mark on the datasets that rested on it (DatasetHold). It withholds
where the agreed policy stops the model, and does not where it lets this version stay. Either way
the party has left, and is named no longer unless it wants to be.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models.functions import Coalesce

from experiments.models import Checkpoint, DatasetHold, Run, ancestry
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
    known = _Known(_marks(runs), _covered(rows), retired)
    return {page.pk: _status_of(page, behind[page.pk], known) for page in rows}


def _behind(pages: Sequence[ModelPage]) -> tuple[dict[int, set[UUID]], dict[str, datetime]]:
    """Page number to the runs behind its model: its own, those that delivered the same bytes, and
    all from whose weights these started; and which of these bytes are retired since when."""
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


def parties_who_left(run: Run) -> frozenset[int]:
    """Parties whose permission has ended for something that the run, or the runs whose weights it
    began with, learned from."""
    marks = _marks(ancestry.behind([run.pk])[run.pk])
    return frozenset(mark.party for some in marks.values() for mark in some)


class _Mark(NamedTuple):
    """That a party's permission for something that a run learned from has ended, or is in question;
    `since` when it withholds the run, None where it was agreed that this version stays."""

    party: int
    case: int | None
    since: datetime | None


_Marks = dict[UUID, list[_Mark]]


def _marks(runs: set[UUID]) -> _Marks:
    rows = (
        DatasetHold.objects.of_runs(runs)
        .exclude(case__status=WithdrawalCase.Status.REJECTED)
        .values_list("dataset__runs", Coalesce("case__party", "hold__party"), "case", "hold__at")
        .order_by()
    )
    found: _Marks = defaultdict(list)
    for run, *mark in rows:
        found[run].append(_Mark(*mark))
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

    marks: _Marks
    covered: set[tuple[int, str, str]]
    retired: dict[str, datetime]


def _status_of(page: ModelPage, runs: set[UUID], known: _Known) -> PageStatus:
    marks = [mark for run in runs for mark in known.marks.get(run, ())]
    left = frozenset(mark.party for mark in marks)
    stopping = [
        mark.since
        for mark in marks
        if mark.since is not None and (mark.case, *_key(page)) not in known.covered
    ]
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
        is_one = len(left) == 1
        return PageStatus(
            PUBLISHED,
            f"{len(left)} of those who hold rights in what it learned from "
            f"{'has' if is_one else 'have'} ended a permission since. It was agreed that this "
            "version stays then, and that the next does not learn from their music.",
            None,
            left,
        )
    return PageStatus(PUBLISHED, "No permission that it rests on has ended.", None, left)

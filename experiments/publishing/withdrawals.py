"""Whether a published model's permissions still stand. Looked up each time: no job has to run.

A permission that ends leaves a mark on the datasets that relied on it (DatasetHold). The mark
withholds the model where the agreed policy stops it, and does not where the policy lets this
version stay. Either way the party has left, and is no longer named unless it wants to be.
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
    departed: frozenset[int] = field(default_factory=frozenset)

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
    """Return each page's status now, by its key. The number of queries does not grow with them."""
    rows = list(pages)
    behind, retired = _behind(rows)
    runs = {pk for run_ids in behind.values() for pk in run_ids}
    lookups = _Lookups(_marks(runs), _covered(rows), retired)
    return {page.pk: _status_of(page, behind[page.pk], lookups) for page in rows}


def _behind(pages: Sequence[ModelPage]) -> tuple[dict[int, set[UUID]], dict[str, datetime]]:
    """Return the runs behind each page's model: its own, those that delivered the same bytes, and
    all from whose weights these started; and by digest since when these bytes are retired."""
    delivered: dict[str, set[UUID]] = defaultdict(set)
    retired: dict[str, datetime] = {}
    digests = {page.checkpoint.digest for page in pages if page.checkpoint}
    rows = Checkpoint.every.filter(digest__in=digests)
    continued = {page.run_id for page in pages if page.run.start_from_id is not None}
    for digest, run, start_from, at in rows.values_list(
        "digest", "run", "run__start_from", "retired_at"
    ):
        delivered[digest].add(run)
        continued |= {run} if start_from is not None else set()
        if at is not None:
            retired[digest] = min(at, retired.get(digest, at))
    heads = {
        page.pk: {page.run_id, *(delivered[page.checkpoint.digest] if page.checkpoint else ())}
        for page in pages
    }
    behind = ancestry.runs_behind(continued)
    published_behind = {
        pk: runs.union(*(behind[run] for run in runs & continued)) for pk, runs in heads.items()
    }
    return published_behind, retired


def parties_who_left(run: Run) -> frozenset[int]:
    """Return the parties whose permission has ended for something that the run, or a run whose
    weights it started from, learned from."""
    marks = _marks(ancestry.runs_behind([run.pk])[run.pk])
    return frozenset(mark.party for run_marks in marks.values() for mark in run_marks)


class _Mark(NamedTuple):
    """A party's permission for something that a run learned from has ended, or is in question;
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
    marks: _Marks = defaultdict(list)
    for run, *mark in rows:
        marks[run].append(_Mark(*mark))
    return marks


def _covered(pages: Sequence[ModelPage]) -> set[tuple[int, str, str]]:
    """Return (case, kind, key) of what a person settled as covered: the agreement lets it stay."""
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


class _Lookups(NamedTuple):
    """Rows that are looked up once for all pages."""

    marks: _Marks
    covered: set[tuple[int, str, str]]
    retired: dict[str, datetime]


def _status_of(page: ModelPage, runs: set[UUID], lookups: _Lookups) -> PageStatus:
    marks = [mark for run in runs for mark in lookups.marks.get(run, ())]
    departed = frozenset(mark.party for mark in marks)
    stopping = [
        mark.since
        for mark in marks
        if mark.since is not None and (mark.case, *_key(page)) not in lookups.covered
    ]
    if stopping:
        return PageStatus(
            WITHDRAWN,
            "A permission that this model rests on has ended. Nothing may be made with it, and "
            "it is to be trained anew without that music, or retired for good.",
            min(stopping),
            departed,
        )
    if page.checkpoint and page.checkpoint.digest in lookups.retired:
        return PageStatus(
            WITHDRAWN,
            "This model is retired for good. Nothing may be made with it.",
            lookups.retired[page.checkpoint.digest],
            departed,
        )
    if page.withdrawn_at:
        return PageStatus(
            WITHDRAWN, "The lab has withdrawn this model.", page.withdrawn_at, departed
        )
    if departed:
        is_one = len(departed) == 1
        return PageStatus(
            PUBLISHED,
            f"{len(departed)} of those who hold rights in what it learned from "
            f"{'has' if is_one else 'have'} ended a permission since. It was agreed that this "
            "version stays then, and that the next does not learn from their music.",
            None,
            departed,
        )
    return PageStatus(PUBLISHED, "No permission that it rests on has ended.", None, departed)

"""Listening tests: opened by a researcher, answered one clip at a time, closed for good.

Each answer is stored when it is given. A listener's order of the clips follows from the test's
seed and the listener, so it is the same after a break, and different for everybody.
"""

import hashlib
import math
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from audio_samples.models import Sample
from experiments.models import Project
from listening import clearance, hearing
from listening.models import Item, ListeningTest, Rating
from portal import audit
from portal.models import User

MAX_ITEMS = 200
CONFIDENCE = 0.95
CLOSED = "This test is closed and takes no more answers. Thank you for listening."


class BadTest(ValueError):
    """A test that cannot be opened; the text says what to change.

    `refusals` has a sentence for each sample that is not licensed for it.
    """

    def __init__(self, text: str, refused: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.refusals = list(refused)


class Closed(ValueError):
    """The test takes no more answers."""


class Withdrawn(ValueError):
    """The clip may no longer be heard, so it takes no more answers."""


class BadScore(ValueError):
    """Not a whole number from 1 to 5."""


def open_test(
    *,
    by: User,
    project: Project,
    title: str,
    question: str,
    samples: Iterable[Sample],
    low_label: str = "Bad",
    high_label: str = "Excellent",
    audience: str = ListeningTest.Audience.OUTSIDE,
) -> ListeningTest:
    """Open a test of these samples. Raises BadTest if there are none or too many, if some are
    withheld, or if not all holders behind them have licensed them for evaluation here."""
    chosen = list({sample.pk: sample for sample in samples})
    if not chosen:
        raise BadTest("Choose at least one sample to be rated.")
    if len(chosen) > MAX_ITEMS:
        raise BadTest(f"A test has at most {MAX_ITEMS} samples; {len(chosen)} are chosen.")
    audible = Sample.objects.of_project(project).audible().filter(pk__in=chosen)
    if (usable := audible.count()) != len(chosen):
        raise BadTest(
            f"{len(chosen) - usable} of the chosen samples are withheld or not of this project. "
            "Leave them out."
        )
    outside = audience == ListeningTest.Audience.OUTSIDE
    rows = audible.select_related("run__project").order_by("pk")
    if refused := clearance.refusals(project, rows, outside=outside):
        raise BadTest(" ".join(refused[:3]), refused)
    with transaction.atomic():
        test = ListeningTest.objects.create(
            project=project,
            title=title,
            question=question,
            low_label=low_label,
            high_label=high_label,
            audience=audience,
            seed=secrets.randbelow(2**62),
            created_by=by,
        )
        Item.objects.bulk_create([Item(test=test, sample_id=pk) for pk in chosen])
        audit.record(
            by=by, verb="listening.opened", subject=test, samples=chosen, audience=audience
        )
    return test


def close_test(test: ListeningTest, *, by: User) -> bool:
    """Take no more answers; False if it was closed already."""
    with transaction.atomic():
        updated = ListeningTest.objects.filter(pk=test.pk, closed_at=None).update(
            closed_at=timezone.now()
        )
        if updated:
            audit.record(by=by, verb="listening.closed", subject=test)
    return bool(updated)


def answer(*, item: Item, listener: User, score: int, measured: bool = False) -> Rating:
    """Store one answer now, with what was heard of the clip; another score replaces it and counts
    as a change, the same score again only brings along what was heard since.

    `measured`: the answer comes from a page that measures (listening/hearing.py).
    Raises BadScore, Closed, Withdrawn or hearing.NotHeard.
    """
    with transaction.atomic():
        # The row is locked, so that no answer slips in after the test was closed.
        test = ListeningTest.objects.select_for_update(no_key=True).get(pk=item.test_id)
        if test.closed_at is not None:
            raise Closed(CLOSED)
        if item.sample_id not in clearance.audible([item.sample_id], outside=test.is_outside):
            raise Withdrawn("This clip was withdrawn, so it is not rated any more.")
        if not 1 <= score <= 5:
            raise BadScore("A score is a whole number from 1 to 5.")
        heard = hearing.answer_fields(item=item, listener=listener, measured=measured)
        try:
            with transaction.atomic():
                return Rating.objects.create(item=item, listener=listener, score=score, **heard)
        except IntegrityError:
            before = Rating.objects.filter(item=item, listener=listener)
            before.exclude(score=score).update(
                score=score, changes=F("changes") + 1, answered_at=timezone.now()
            )
            before.update(**heard)
            return before.get()


@dataclass(frozen=True)
class ClipInOrder:
    """One clip in a listener's order; `score` is None until answered."""

    number: int
    item: Item
    score: int | None
    withdrawn: bool


def clip_order(test: ListeningTest, listener: User) -> list[ClipInOrder]:
    """Return all clips in this listener's own order; withdrawn ones keep their number."""
    items = list(test.items.all())
    audible = clearance.audible((item.sample_id for item in items), outside=test.is_outside)
    scores = dict(
        Rating.objects.filter(item__test=test, listener=listener).values_list("item", "score")
    )
    items.sort(key=lambda item: _rank(test.seed, listener.pk, item.pk))
    return [
        ClipInOrder(number, item, scores.get(item.pk), item.sample_id not in audible)
        for number, item in enumerate(items, start=1)
    ]


def _rank(seed: int, listener: int, item: int) -> bytes:
    return hashlib.sha256(f"{seed}:{listener}:{item}".encode()).digest()


@dataclass(frozen=True)
class Estimate:
    """A mean of n scores with its 95 % interval; no interval for fewer than two."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


def estimate(scores: Iterable[float]) -> Estimate:
    """Return the mean and Student's t interval, clipped to the scale of 1 to 5.

    It treats the scores as independent. Scores of one listener are not quite, so with few
    listeners the true interval is wider; the page says so.
    """
    values = list(scores)
    n = len(values)
    if n == 0:
        return Estimate(0, None, None, None)
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(1, mean, None, None)
    # Imported only when there are scores: only the results page needs it, and the import is slow.
    from scipy.special import stdtrit  # noqa: PLC0415

    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * math.sqrt(variance / n)
    return Estimate(n, mean, max(1.0, mean - half), min(5.0, mean + half))


@dataclass(frozen=True)
class ResultLine:
    """One line of the results: a sample or a run."""

    subject: object
    estimate: Estimate
    withheld: bool = False


@dataclass(frozen=True)
class HeardLine:
    """How many answers were given after hearing this much, of all answers of the test."""

    kind: Rating.Heard
    answers: int


@dataclass(frozen=True)
class Results:
    """The answers that count here; `left_out` of them were given without hearing the clip whole.

    `heard` counts all of them, left out or not.
    """

    listeners: int
    answers: int
    changes: int
    left_out: int
    heard: list[HeardLine]
    samples: list[ResultLine]
    runs: list[ResultLine]


def results(test: ListeningTest, *, whole_only: bool = False) -> Results:
    """Return all answers so far, by sample and by run; withheld samples are marked but included.

    `whole_only` leaves out answers by who had not heard the clip whole, or of whom nobody knows.
    """
    items = list(test.items.select_related("sample__run__project"))
    audible = clearance.audible((item.sample_id for item in items), outside=test.is_outside)
    everything = list(Rating.objects.filter(item__test=test))
    ratings = [one for one in everything if one.heard == Rating.Heard.WHOLE or not whole_only]
    by_item: dict[int, list[float]] = {item.pk: [] for item in items}
    by_run: dict[object, list[float]] = {item.sample.run: [] for item in items}
    run_of = {item.pk: item.sample.run for item in items}
    for rating in ratings:
        by_item[rating.item_id].append(rating.score)
        by_run[run_of[rating.item_id]].append(rating.score)
    lines = [
        ResultLine(item.sample, estimate(by_item[item.pk]), item.sample_id not in audible)
        for item in items
    ]
    counts = Counter(rating.heard for rating in everything)
    return Results(
        listeners=len({rating.listener_id for rating in ratings}),
        answers=len(ratings),
        changes=sum(rating.changes for rating in ratings),
        left_out=len(everything) - len(ratings),
        heard=[HeardLine(kind, counts[kind]) for kind in Rating.Heard if counts[kind]],
        samples=sorted(lines, key=_best_first),
        runs=sorted(
            (ResultLine(run, estimate(scores)) for run, scores in by_run.items()), key=_best_first
        ),
    )


def _best_first(line: ResultLine) -> float:
    return -(line.estimate.mean or 0)

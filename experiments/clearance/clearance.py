"""What may follow from a model: its cleared scope.

A run has learned from the recordings of its dataset, and from those behind the weights it started
from. What it made may be used in a context only where the holders of all of them allow that: for
the use under which it was made (`model`), and for each use that may follow. There are two scopes:
the one of when the run started, which is stored for good (`ClearedScope`), and the current one,
which is the stored one narrowed by every permission that has ended since. A scope never widens.

Weights are identified by their bytes: bytes that several runs delivered are cleared for what all of
these runs are cleared for.

The portal cannot see what a run outside of it used: the scope of such a run is unknown, and it is
cleared for nothing that needs one. The same holds for somebody's own program that was given neither
music nor weights that learned from any: other runs of its project may start from it, and it is
cleared for nothing else.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from experiments import recipes
from experiments.clearance.wording import Narrowing, describe_narrowings, union_in_words
from experiments.models import Checkpoint, Dataset, Run, ancestry
from experiments.models.cleared_scope import ClearedScope
from portal import audit
from portal.database import long_work
from rights.consent import allowances
from rights.consent.allowances import Allowance
from rights.consent.evaluator import Context
from rights.consent.reasons import in_words
from rights.models import Use

# The uses that may follow from a model; each needs the permission of every holder behind it.
FOLLOWING = tuple(use for use in Use if use.facts.follows_model)
UNKNOWN = (
    "It was started outside, or is a program that was given no dataset: the portal does not know "
    "what it learned from, so it is licensed for nothing outside its project."
)
INSIDE = "inside its own project alone: nobody knows what it learned from"


@dataclass(frozen=True)
class Scope:
    """Contexts in which a model may be used at all, and for each use that may follow from it."""

    model: Allowance = field(default_factory=Allowance)
    uses: dict[str, Allowance] = field(default_factory=dict)
    unknown: bool = False

    def for_use(self, use: str = "") -> Allowance:
        """Both at once: a use that may follow follows from a model that may be used."""
        return self.model.meet(self.uses[use]) if use else self.model

    def meet(self, other: "Scope") -> "Scope":
        """What both allow, for the uses that both know."""
        uses = {use: allowance.meet(other.uses[use]) for use, allowance in self.uses.items()
                if use in other.uses}  # fmt: skip
        return Scope(self.model.meet(other.model), uses, self.unknown or other.unknown)

    def within(self, other: "Scope") -> bool:
        """Whether nothing in it is wider than in the other."""
        return self.model.within(other.model) and all(
            allowance.within(other.uses[use]) for use, allowance in self.uses.items()
        )

    @property
    def free(self) -> bool:
        """Whether no recording of the catalogue is behind it."""
        return not (self.unknown or self.model.parts)

    def as_json(self) -> dict[str, Any]:
        return {
            "unknown": self.unknown,
            "model": self.model.as_json(),
            "uses": {use: allowance.as_json() for use, allowance in sorted(self.uses.items())},
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Scope":
        uses = {use: Allowance.from_json(allowance) for use, allowance in body["uses"].items()}
        return cls(Allowance.from_json(body["model"]), uses, body["unknown"])


# --- Stored, and current ---------------------------------------------------------------------


def stored_scope(run: Run) -> Scope:
    """Return the scope of when the run started; for a run older than stored scopes, today's."""
    row = ClearedScope.objects.filter(run=run).first()
    return Scope.from_json(row.body) if row else clear(run)


def clear(run: Run) -> Scope:
    """Compute the scope and store it for good; the first one that is stored stays."""
    at = timezone.now()
    scope = _compute(run, at)
    if run.start_from is not None:
        for before in delivered_by(run.start_from):
            scope = scope.meet(stored_scope(before))
    body = scope.as_json()
    with transaction.atomic():
        row, new = ClearedScope.objects.get_or_create(
            run=run, defaults={"body": body, "digest": digest(body), "at": at}
        )
        if new:
            audit.record(by=None, verb="scope.cleared", subject=run, digest=row.digest)
    return Scope.from_json(row.body)


def current_scope(run: Run, uses: Sequence[str] = FOLLOWING, *, same_version: bool = True) -> Scope:
    """Return the stored scope, narrowed by what has ended since, for these uses alone.

    With `same_version` a model stays usable if it learned from music whose withdrawal policy lets
    the version stay; a model that starts from its weights is the next version.
    """
    stored = stored_scope(run)
    wanted = Scope(stored.model, {use: stored.uses[use] for use in uses}, stored.unknown)
    return wanted.meet(_compute(run, timezone.now(), uses, same_version=same_version))


def of_weights(
    checkpoint: Checkpoint, uses: Sequence[str] = FOLLOWING, *, same_version: bool = True
) -> Scope:
    """Return what these bytes are cleared for now: what every run that delivered them is."""
    first, *others = delivered_by(checkpoint)
    scope = current_scope(first, uses, same_version=same_version)
    for other in others:
        scope = scope.meet(current_scope(other, uses, same_version=same_version))
    return scope


def delivered_by(checkpoint: Checkpoint) -> list[Run]:
    """Return the runs that delivered these very bytes, the checkpoint's own among them.

    A run of unknown origin that delivered them later has copied them: what was known of them before
    stays known.
    """
    same = Checkpoint.every.filter(digest=checkpoint.digest)
    rows = same.select_related("run__start_from", "run__dataset").order_by("created_at", "pk")
    return _not_copied(checkpoint, rows)


def _not_copied(checkpoint: Checkpoint, deliveries: Iterable[Checkpoint]) -> list[Run]:
    runs = {delivery.run_id: delivery.run for delivery in deliveries}
    return [
        run
        for number, run in enumerate(runs.values())
        if run.pk == checkpoint.run_id or number == 0 or not of_unknown_origin(run)
    ]


def of_unknown_origin(run: Run) -> bool:
    """Whether the portal cannot know what the run learned from: it was started outside, or is
    somebody's own program that was given neither music nor weights that learned from any."""
    if run.origin == Run.Origin.CLIENT:
        return True
    known = recipes.RECIPES.get(run.recipe)
    return known is not None and known.own and not _has_music(run)


def _has_music(run: Run) -> bool:
    """Whether a dataset is behind the run: its own, or that of a run whose weights it needed."""
    if run.dataset_id is not None:
        return True
    if run.start_from is None:
        return False
    # Starts at the weights, not at the run: the run may not be stored yet.
    same = Checkpoint.every.filter(digest=run.start_from.digest)
    behind = ancestry.runs_behind(set(same.values_list("run", flat=True)))
    runs = Run.objects.filter(pk__in=set().union(*behind.values()))
    return runs.exclude(dataset=None).exists()


def is_unknown(run: Run) -> bool:
    """Whether the origin of the run, or of any run behind its weights, is unknown."""
    return any(of_unknown_origin(behind) for behind in _line(run))


def digest(body: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON (sorted keys, no spaces)."""
    return hashlib.sha256(
        json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def _compute(
    run: Run, at: datetime, uses: Sequence[str] = FOLLOWING, *, same_version: bool = False
) -> Scope:
    """Compute the scope of the run and of all runs behind it from the permissions at `at`."""
    long_work.forbid_in_transaction("What a run is cleared for is worked out")
    scope = Scope(uses={str(use): Allowance() for use in uses})
    for behind in _line(run):
        scope = scope.meet(_own(behind, at, uses, same_version=same_version))
    return scope


def _line(run: Run) -> Iterator[Run]:
    """Yield the run and all whose weights are behind it, each once, without later copies of unknown
    origin (`delivered_by`)."""
    deliveries = ancestry.deliveries_behind(run.start_from) if run.start_from is not None else {}
    seen: set[UUID] = set()
    waiting = [run]
    while waiting:
        behind = waiting.pop()
        if behind.pk in seen:
            continue
        seen.add(behind.pk)
        yield behind
        if behind.start_from is not None:
            waiting += _not_copied(behind.start_from, deliveries[behind.start_from.digest])


def _own(run: Run, at: datetime, uses: Sequence[str], *, same_version: bool) -> Scope:
    """Return the scope of what the run itself used."""
    if run.origin == Run.Origin.CLIENT:
        nothing = Allowance(allowances.NONE)
        return Scope(nothing, {str(use): nothing for use in uses}, unknown=True)
    if run.dataset is None or not run.use:
        anything = {str(use): Allowance() for use in uses}
        return Scope(uses=anything, unknown=of_unknown_origin(run))
    ids = _included(run.dataset)
    made_at = run.dataset.frozen_at if same_version else None
    return Scope(
        allowances.allowance_of(ids, Use(run.use), at, made_at=made_at),
        {str(use): allowances.allowance_of(ids, Use(use), at) for use in uses},
    )


def _included(dataset: Dataset) -> set[int]:
    return set(dataset.items.filter(included=True).values_list("recording", flat=True))


# --- May it? ---------------------------------------------------------------------------------


def allows(scope: Scope, use: str, context: Context, *, inside: bool = False) -> list[Narrowing]:
    """Return why the model may not be used so, with names; empty where it may.

    Without a use: whether it may be used at all, to generate or as initial weights. `inside` the
    project that made it, an unknown origin does not prevent that; a known restriction does.
    """
    if scope.unknown and not (inside and scope.model.boxes):
        return [Narrowing(0, "", "", UNKNOWN)]
    allowance = scope.for_use(use)
    if allowance.covers(context):
        return []
    against = allowance.against(context)
    if not against:
        what = in_words(use) if use else "any use"
        return [Narrowing(0, "", "", f"No context of all its holders for {what} is left.")]
    return describe_narrowings(against, context)


@dataclass(frozen=True)
class ScopeLine:
    """One use of a scope as a page shows it."""

    use: str
    title: str
    words: str
    allowed_here: bool
    narrowest: Narrowing | None


def lines(scope: Scope, context: Context) -> list[ScopeLine]:
    """The model itself first, then each use that may follow; `here`: whether in this context."""
    found = []
    for use in ("", *scope.uses):
        allowance = scope.for_use(use)
        title = Use(use).label if use else "Generation, and training on from it"
        words = union_in_words(allowance.boxes) if allowance.boxes else "nobody may"
        leaves = use == Use.DISTRIBUTE.value
        if scope.unknown and allowance.boxes:
            words = "nobody may" if leaves else INSIDE
        narrow = [part for part in allowance.parts if part.boxes != allowances.ALL][:1]
        found.append(
            ScopeLine(
                use, str(title), words,
                allowance.covers(context) and not (scope.unknown and leaves),
                next(iter(describe_narrowings(narrow)), None),
            )
        )  # fmt: skip
    return found

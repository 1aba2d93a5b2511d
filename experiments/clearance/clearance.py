"""What may follow from a model: its cleared scope.

A run has learned from the recordings of its dataset, and from whatever those runs had whose weights
it began with. What it made may be used in a context only where the holders of all of them allow
that: for the use under which it was made (`model`), and for each use that may follow. The scope is
read twice: as it was when the run started (kept for good, `ClearedScope`), and as it is now, which
is the kept one narrowed by every permission that ended since. It never widens again.

Weights are their bytes: what several runs delivered is cleared for what all of them are.

A run that was started outside used what the portal never saw: nothing is known of its scope, and
it is cleared for nothing that needs one. Nor is it known of a program of somebody's own that was
given no music, nor weights that learned from any: inside its project it may be gone on with, and
it is cleared for nothing else.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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

# What may follow from a model, each asked of everybody behind it.
FOLLOWING = tuple(use for use in Use if use.facts.follows_model)
UNKNOWN = (
    "It was started outside, or is a program that was given no dataset: the portal does not know "
    "what it learned from, so it is cleared for nothing outside its project."
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


# --- Kept, and now ---------------------------------------------------------------------------


def stored_scope(run: Run) -> Scope:
    """As it was when the run started; of a run from before scopes were kept, as it is now."""
    row = ClearedScope.objects.filter(run=run).first()
    return Scope.from_json(row.body) if row else clear(run)


def clear(run: Run) -> Scope:
    """Work it out and keep it for good; the first one that is kept stays."""
    at = timezone.now()
    found = _made(run, at)
    if run.start_from is not None:
        for before in delivered_by(run.start_from):
            found = found.meet(stored_scope(before))
    body = found.as_json()
    with transaction.atomic():
        row, new = ClearedScope.objects.get_or_create(
            run=run, defaults={"body": body, "digest": digest(body), "at": at}
        )
        if new:
            audit.record(by=None, verb="scope.cleared", subject=run, digest=row.digest)
    return Scope.from_json(row.body)


def current_scope(run: Run, uses: Sequence[str] = FOLLOWING, *, same_version: bool = True) -> Scope:
    """The kept scope, narrowed by what has ended since; only the uses that are asked for.

    With `same_version` a model stays that learned from something whose agreed policy on
    withdrawal lets the version stay; what is trained on from it is the next version.
    """
    before = stored_scope(run)
    asked = Scope(before.model, {use: before.uses[use] for use in uses}, before.unknown)
    return asked.meet(_made(run, timezone.now(), uses, same_version=same_version))


def of_weights(
    checkpoint: Checkpoint, uses: Sequence[str] = FOLLOWING, *, same_version: bool = True
) -> Scope:
    """What these bytes are cleared for now: what every run that delivered them is."""
    first, *others = delivered_by(checkpoint)
    found = current_scope(first, uses, same_version=same_version)
    for other in others:
        found = found.meet(current_scope(other, uses, same_version=same_version))
    return found


def delivered_by(checkpoint: Checkpoint) -> list[Run]:
    """The runs that delivered these very bytes, the checkpoint's own among them.

    One of unknown origin that came with them later has copied them: it makes nothing unknown of
    what was known before.
    """
    same = Checkpoint.every.filter(
        digest__in=Checkpoint.every.filter(pk=checkpoint.pk).values("digest")
    )
    rows = list(same.select_related("run__start_from", "run__dataset").order_by("created_at", "pk"))
    runs = {row.run_id: row.run for row in rows}
    return [
        run
        for number, run in enumerate(runs.values())
        if run.pk == checkpoint.run_id or number == 0 or not of_unknown_origin(run)
    ]


def of_unknown_origin(run: Run) -> bool:
    """Whether the portal cannot know what the run learned from: it was started outside, or is a
    program of somebody's own that was given no music, nor weights that learned from any."""
    if run.origin == Run.Origin.CLIENT:
        return True
    known = recipes.RECIPES.get(run.recipe)
    return known is not None and known.own and not _has_music(run)


def _has_music(run: Run) -> bool:
    """Whether a dataset is behind the run: its own, or of any run whose bytes it started from."""
    if run.dataset_id is not None:
        return True
    if run.start_from is None:
        return False
    # Not from the run itself: one that is not kept yet is asked for as well.
    same = Checkpoint.every.filter(digest=run.start_from.digest)
    behind = ancestry.behind(set(same.values_list("run", flat=True)))
    runs = Run.objects.filter(pk__in=set().union(*behind.values()))
    return runs.exclude(dataset=None).exists()


def is_unknown(run: Run) -> bool:
    """The same of the run and all whose weights are behind it."""
    return any(of_unknown_origin(behind) for behind in _line(run))


def digest(body: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON (sorted keys, no spaces)."""
    return hashlib.sha256(
        json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def _made(
    run: Run, at: datetime, uses: Sequence[str] = FOLLOWING, *, same_version: bool = False
) -> Scope:
    """From what the permissions are at `at`, for this run and all before it."""
    long_work.outside("What a run is cleared for is worked out")
    found = Scope(uses={str(use): Allowance() for use in uses})
    for behind in _line(run):
        found = found.meet(_own(behind, at, uses, same_version=same_version))
    return found


def _line(run: Run) -> Iterator[Run]:
    """The run and all whose weights are behind it, each once."""
    seen: set[object] = set()
    waiting = [run]
    while waiting:
        behind = waiting.pop()
        if behind.pk in seen:
            continue
        seen.add(behind.pk)
        yield behind
        if behind.start_from is not None:
            waiting += delivered_by(behind.start_from)


def _own(run: Run, at: datetime, uses: Sequence[str], *, same_version: bool) -> Scope:
    """Of what the run itself used."""
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
    """Why the model may not be used so, with names; nothing where it may.

    Without a use: whether it may be used at all, to generate or to train on from. `inside` the
    project that made it, what is unknown of it does not stand in the way; what is known does.
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
    here: bool
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

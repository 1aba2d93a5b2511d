"""What would follow if permissions ended, before anybody withdraws. Nothing of it is stored."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Sum

from portal.database.bulk import among
from rights.models import (
    Grant,
    Party,
    Recording,
    UsageEvent,
    WithdrawalPolicy,
)
from rights.withdrawal import descendants, holds, losses
from rights.withdrawal.losses import Loss

NAMED = 20
# Columns of thousands of grants that nothing here needs.
DEFERRED = ("created_at", "activated_at", "ended_at", "end_reason", "version")
# Kinds of which a run in progress makes more.
GROWING = frozenset({"checkpoint", "sample"})


@dataclass(frozen=True)
class PastUse:
    """One source's use of some music until now. `node` is the source as a descendant."""

    source: str
    node: descendants.Node | None
    examples: int
    seconds: float


@dataclass(frozen=True)
class Effect:
    """What an ending would affect, before it is done. `lost` are the first few recordings."""

    count: int
    lost: list[Recording]
    levels: list[descendants.Level]
    used: list[PastUse]
    grants: list[Grant]
    # Whether all that was made with it stays, as agreed; None where nothing was made.
    all_made_stays: bool | None = None
    ids: tuple[int, ...] = ()

    def facts(self) -> list[object]:
        """Return what has to be the same when the ending is done: the grants with their agreed
        policies, the recordings, and what was frozen, run or made public. Samples and checkpoints
        come by themselves while a run is in progress, and end with it."""
        return [
            sorted((grant.pk, grant.status, grant.withdrawal_policy) for grant in self.grants),
            sorted(self.ids),
            sorted(
                (level.kind.name, node.key)
                for level in self.levels
                if level.kind.name not in GROWING
                for node in level.nodes
            ),
        ]

    @property
    def policies(self) -> list[str]:
        """The agreed withdrawal policies, in words."""
        return [str(WithdrawalPolicy(code).label) for code in dict.fromkeys(
            grant.withdrawal_policy for grant in self.grants
        )]  # fmt: skip

    @property
    def stays(self) -> bool:
        """Whether everything that was made with it stays, as agreed."""
        if self.all_made_stays is not None:
            return self.all_made_stays
        return {grant.withdrawal_policy for grant in self.grants} == {WithdrawalPolicy.NEXT_VERSION}

    @property
    def examples(self) -> int:
        return sum(usage.examples for usage in self.used)

    @property
    def seconds(self) -> float:
        return sum(usage.seconds for usage in self.used)


def of_ending(grants: Collection[Grant]) -> Effect:
    """Return what ending these grants at once would affect. One not in force affects nothing."""
    return _effect(grants, _lost([grant for grant in grants if grant.status in holds.STANDING]))


def of_opting_out(recording: Recording, by_party: Mapping[Party, Collection[Grant]]) -> Effect:
    """Return what these parties' opt-outs from one recording would affect, each with the grants by
    which its share is allowed."""
    grants = list({grant.pk: grant for group in by_party.values() for grant in group}.values())
    all_losses = []
    for party, group in by_party.items():
        if standing := [grant for grant in group if grant.status in holds.STANDING]:
            all_losses.append(losses.of_opt_out(party, recording, standing))
    return _effect(grants, all_losses)


def impact(grants: Iterable[Grant]) -> tuple[list[Recording], list[descendants.Level]]:
    """Return the recordings that lose a permission when these grants end at once, and all that was
    derived from them by that use."""
    all_losses = _lost(list(grants))
    lost = {pk for loss in all_losses for pk in loss.recordings}
    rows = Recording.objects.filter(pk__in=among(lost)).only("title")
    return list(rows), _levels(all_losses)


def of_party(party: Party) -> list[Grant]:
    """Return every grant that would end if the party left."""
    return list(party.grants.filter(status__in=holds.STANDING).defer(*DEFERRED).order_by())


def _lost(ending: list[Grant]) -> list[Loss]:
    groups: dict[tuple[int, str], list[Grant]] = defaultdict(list)
    for grant in ending:
        groups[grant.grantor_id, grant.use].append(grant)
    return [loss for loss in losses.of_each(list(groups.values()), ending=ending) if loss]


def _effect(grants: Collection[Grant], all_losses: Iterable[Loss]) -> Effect:
    all_losses = list(all_losses)
    levels, used = _levels(all_losses), dict[str, PastUse]()
    for loss in all_losses:
        used.update(_used(loss, levels))
    lost = sorted({pk for loss in all_losses for pk in loss.recordings})
    return Effect(
        count=len(lost),
        lost=list(Recording.objects.filter(pk__in=lost[:NAMED])),
        levels=levels,
        used=list(used.values()),
        grants=list(grants),
        ids=tuple(lost),
        all_made_stays=all(loss.stays for loss in all_losses if loss.affected) if levels else None,
    )


def _levels(all_losses: Iterable[Loss]) -> list[descendants.Level]:
    levels: dict[str, descendants.Level] = {}
    for loss in all_losses:
        for level in descendants.descendants(loss.sources, [loss.use]):
            merged = levels.setdefault(level.kind.name, descendants.Level(level.kind, []))
            keys = {node.key for node in merged.nodes}
            merged.nodes.extend(node for node in level.nodes if node.key not in keys)
    return list(levels.values())


def _used(loss: Loss, levels: Iterable[descendants.Level]) -> dict[str, PastUse]:
    """Return what each source used of the music. The ledger knows only run ids, as `run:<id>`."""
    sums = (
        UsageEvent.objects.filter(recording__in=among(loss.recordings), use=loss.use)
        .values_list("source")
        .annotate(Sum("examples"), Sum("seconds"))
        .order_by("source")
    )
    nodes = {f"{level.kind.name}:{node.key}": node for level in levels for node in level.nodes}
    return {row[0]: PastUse(row[0], nodes.get(row[0]), row[1], row[2]) for row in sums}

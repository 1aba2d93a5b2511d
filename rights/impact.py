"""What would follow if permissions ended, before anybody withdraws. Nothing is kept of it."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Sum

from rights import holds, lineage, relations
from rights.models import (
    Grant,
    Party,
    Recording,
    RecordingQuerySet,
    UsageEvent,
    WithdrawalPolicy,
)

NAMED = 20
# What nothing here asks of thousands of grants.
UNREAD = ("created_at", "activated_at", "ended_at", "end_reason", "version")
_IN_FORCE = (Grant.Status.ACTIVE, Grant.Status.SUSPENDED)


@dataclass(frozen=True)
class Used:
    """One source's use of some music until now. `node` is what the lab calls the source."""

    source: str
    node: lineage.Node | None
    examples: int
    seconds: float


@dataclass(frozen=True)
class Effect:
    """What an ending would touch, before it is done. `lost` are the first few recordings."""

    count: int
    lost: list[Recording]
    levels: list[lineage.Level]
    used: list[Used]
    grants: list[Grant]

    @property
    def policies(self) -> list[str]:
        """The agreed ways of ending, in words."""
        return [str(WithdrawalPolicy(code).label) for code in dict.fromkeys(
            grant.withdrawal_policy for grant in self.grants
        )]  # fmt: skip

    @property
    def stays(self) -> bool:
        """Whether everything that was made with it stays, as agreed."""
        return {grant.withdrawal_policy for grant in self.grants} == {WithdrawalPolicy.NEXT_VERSION}

    @property
    def examples(self) -> int:
        return sum(one.examples for one in self.used)

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.used)


def of_ending(grants: Collection[Grant]) -> Effect:
    """What ending these grants at once would touch. One that is not in force ends without any."""
    ending = [grant for grant in grants if grant.status in _IN_FORCE]
    levels: dict[str, lineage.Level] = {}
    used: dict[str, Used] = {}
    lost: set[int] = set()
    for rows, use in _lost(ending):
        lost.update(rows.values_list("pk", flat=True))
        _merge(levels, lineage.descendants(rows, [use]))
        used.update(_used(rows, use, levels))
    first = Recording.objects.filter(pk__in=sorted(lost)[:NAMED])
    return Effect(len(lost), list(first), list(levels.values()), list(used.values()), list(grants))


def of_opting_out(recording: Recording, use: str, grants: Collection[Grant]) -> Effect:
    """What leaving one recording out of these grants would touch."""
    if not any(grant.status in _IN_FORCE for grant in grants):
        return Effect(0, [], [], [], list(grants))
    rows = relations.reached_by(Recording.objects.filter(pk=recording.pk))
    levels = {level.kind.name: level for level in lineage.descendants(rows, [use])}
    used = _used(rows, use, levels)
    lost = list(rows[:NAMED])
    return Effect(rows.count(), lost, list(levels.values()), list(used.values()), list(grants))


def impact(grants: Iterable[Grant]) -> tuple[list[Recording], list[lineage.Level]]:
    """The recordings that lose a permission when these grants end at once, and all that came out
    of them by that use."""
    lost: dict[int, Recording] = {}
    levels: dict[str, lineage.Level] = {}
    for rows, use in _lost(list(grants)):
        lost.update((row.pk, row) for row in rows.only("title"))
        _merge(levels, lineage.descendants(rows, [use]))
    return list(lost.values()), list(levels.values())


def of_party(party: Party) -> list[Grant]:
    """Every grant that would end if the party left."""
    return list(party.grants.filter(status__in=_IN_FORCE).defer(*UNREAD).order_by())


def _lost(ending: list[Grant]) -> Iterable[tuple[RecordingQuerySet, str]]:
    groups: dict[tuple[int, str], list[Grant]] = defaultdict(list)
    for grant in ending:
        groups[grant.grantor_id, grant.use].append(grant)
    for (_, use), some in groups.items():
        yield relations.reached_by(holds.lost_together(some, ending=ending)), use


def _merge(levels: dict[str, lineage.Level], found: Iterable[lineage.Level]) -> None:
    for level in found:
        known = levels.setdefault(level.kind.name, lineage.Level(level.kind, []))
        keys = {node.key for node in known.nodes}
        known.nodes.extend(node for node in level.nodes if node.key not in keys)


def _used(rows: RecordingQuerySet, use: str, levels: dict[str, lineage.Level]) -> dict[str, Used]:
    """By source what it used of the music. The ledger knows runs by number only, as `run:<id>`."""
    sums = (
        UsageEvent.objects.filter(recording__in=rows.order_by().values("pk"), use=use)
        .values_list("source")
        .annotate(Sum("examples"), Sum("seconds"))
        .order_by("source")
    )
    nodes = {
        f"{level.kind.name}:{node.key}": node for level in levels.values() for node in level.nodes
    }
    return {row[0]: Used(row[0], nodes.get(row[0]), row[1], row[2]) for row in sums}

"""What would follow if permissions ended, or began, before anybody signs or withdraws. Nothing is
kept of it."""

from collections import defaultdict
from collections.abc import Iterable

from rights import holds, lineage
from rights.models import Grant, Party, Recording


def impact(grants: Iterable[Grant]) -> tuple[list[Recording], list[lineage.Level]]:
    """What ending these grants at once would touch: the recordings that lose a permission, and
    all that came out of them by that use. Nothing is kept."""
    ending = list(grants)
    groups: dict[tuple[int, str], list[Grant]] = defaultdict(list)
    for grant in ending:
        groups[grant.grantor_id, grant.use].append(grant)
    lost: dict[int, Recording] = {}
    levels: dict[str, lineage.Level] = {}
    for (_, use), some in groups.items():
        rows = holds.lost_together(some, ending=ending)
        lost.update((row.pk, row) for row in rows)
        _merge(levels, lineage.descendants(rows, [use]))
    return list(lost.values()), list(levels.values())


def _merge(levels: dict[str, lineage.Level], found: Iterable[lineage.Level]) -> None:
    for level in found:
        known = levels.setdefault(level.kind.name, lineage.Level(level.kind, []))
        keys = {node.key for node in known.nodes}
        known.nodes.extend(node for node in level.nodes if node.key not in keys)


def of_party(party: Party) -> list[Grant]:
    """Every grant that would end if the party left."""
    return list(party.grants.filter(status__in=(Grant.Status.ACTIVE, Grant.Status.SUSPENDED)))

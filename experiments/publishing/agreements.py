"""Under how many agreements a model learned, of whom, and what they say of a withdrawal.

Counts only: what an agreement says besides, and with whom, is between its parties.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.models.ancestry import Link
from experiments.publishing.training_credits import AT_ONCE, Exposures
from rights.models import DecisionLine, Grant, Party, Recording, WithdrawalPolicy


@dataclass(frozen=True)
class KindLine:
    """Rightsholders of one kind. A recording that two kinds allowed counts in both lines."""

    kind: str
    rightsholders: int
    agreements: int
    recordings: int
    hours: float


@dataclass(frozen=True)
class AgreementsSummary:
    agreements: int
    rightsholders: int
    kinds: list[KindLine]
    # The policies in words, each once, in the order of their sternness.
    policies: list[str]


@dataclass(frozen=True)
class _Signed:
    agreement: int
    grantor: int
    kind: str
    policy: str


def agreements_behind(line: Sequence[Link], used: Exposures) -> AgreementsSummary:
    """From the decisions that let the runs start: the grants of what was then used."""
    decisions = [link.run.decision_id for link in line if link.run.decision_id]
    grants: dict[int, set[int]] = defaultdict(set)
    lines = DecisionLine.objects.filter(decision__in=decisions).values_list("recording", "grants")
    for recording, ids in lines.iterator(chunk_size=AT_ONCE):
        if recording in used:
            grants[recording].update(ids)
    signed = _signed(set().union(*grants.values()))
    lengths = _lengths(decisions)
    known = [signed[pk] for ids in grants.values() for pk in ids if pk in signed]
    policies = {grant.policy for grant in known}
    return AgreementsSummary(
        agreements=len({grant.agreement for grant in known}),
        rightsholders=len({grant.grantor for grant in known}),
        kinds=[
            _kind(kind, grants, signed, lengths)
            for kind in Party.Kind
            if any(grant.kind == kind for grant in known)
        ],
        policies=[str(policy.label) for policy in WithdrawalPolicy if policy.value in policies],
    )


def _signed(ids: Iterable[int]) -> dict[int, _Signed]:
    wanted = sorted(ids)
    found: dict[int, _Signed] = {}
    for start in range(0, len(wanted), AT_ONCE):
        rows = Grant.objects.filter(pk__in=wanted[start : start + AT_ONCE]).values_list(
            "pk", "agreement", "grantor", "grantor__kind", "withdrawal_policy"
        )
        found |= {row[0]: _Signed(row[1], row[2], row[3], row[4]) for row in rows}
    return found


def _lengths(decisions: list[int]) -> dict[int, float]:
    """Recording to its length in seconds."""
    lines = DecisionLine.objects.filter(decision__in=decisions)
    rows = Recording.objects.filter(pk__in=lines.values("recording"))
    return dict(rows.values_list("pk", "duration"))


def _kind(
    kind: Party.Kind,
    grants: Mapping[int, set[int]],
    signed: Mapping[int, _Signed],
    lengths: Mapping[int, float],
) -> KindLine:
    theirs = {
        recording: [signed[pk] for pk in ids if pk in signed and signed[pk].kind == kind]
        for recording, ids in grants.items()
    }
    theirs = {recording: found for recording, found in theirs.items() if found}
    every = [grant for found in theirs.values() for grant in found]
    return KindLine(
        kind=str(kind.label),
        rightsholders=len({grant.grantor for grant in every}),
        agreements=len({grant.agreement for grant in every}),
        recordings=len(theirs),
        hours=sum(lengths[pk] for pk in theirs) / 3600,
    )

"""How many agreements are behind a model, with which holders, and their withdrawal policies.

Only counts are given: the rest of an agreement, and with whom it is, is between its parties.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.models.ancestry import Link
from experiments.publishing.training_credits import BATCH_SIZE, Exposures
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
    # The withdrawal policies in words, each once, the strictest first.
    policies: list[str]


@dataclass(frozen=True)
class _Signed:
    agreement: int
    grantor: int
    kind: str
    policy: str


def agreements_behind(line: Sequence[Link], used: Exposures) -> AgreementsSummary:
    """Count the grants of the used recordings, from the decisions that let the runs start."""
    decisions = [link.run.decision_id for link in line if link.run.decision_id]
    grants: dict[int, set[int]] = defaultdict(set)
    lines = DecisionLine.objects.filter(decision__in=decisions).values_list("recording", "grants")
    for recording, ids in lines.iterator(chunk_size=BATCH_SIZE):
        if recording in used:
            grants[recording].update(ids)
    signed = _signed(set().union(*grants.values()))
    lengths = _lengths(decisions)
    used_grants = [signed[pk] for ids in grants.values() for pk in ids if pk in signed]
    policies = {grant.policy for grant in used_grants}
    return AgreementsSummary(
        agreements=len({grant.agreement for grant in used_grants}),
        rightsholders=len({grant.grantor for grant in used_grants}),
        kinds=[
            _kind(kind, grants, signed, lengths)
            for kind in Party.Kind
            if any(grant.kind == kind for grant in used_grants)
        ],
        policies=[str(policy.label) for policy in WithdrawalPolicy if policy.value in policies],
    )


def _signed(ids: Iterable[int]) -> dict[int, _Signed]:
    wanted = sorted(ids)
    signed: dict[int, _Signed] = {}
    for start in range(0, len(wanted), BATCH_SIZE):
        rows = Grant.objects.filter(pk__in=wanted[start : start + BATCH_SIZE]).values_list(
            "pk", "agreement", "grantor", "grantor__kind", "withdrawal_policy"
        )
        signed |= {row[0]: _Signed(row[1], row[2], row[3], row[4]) for row in rows}
    return signed


def _lengths(decisions: list[int]) -> dict[int, float]:
    """Return the length of each recording in seconds."""
    lines = DecisionLine.objects.filter(decision__in=decisions)
    rows = Recording.objects.filter(pk__in=lines.values("recording"))
    return dict(rows.values_list("pk", "duration"))


def _kind(
    kind: Party.Kind,
    grants: Mapping[int, set[int]],
    signed: Mapping[int, _Signed],
    lengths: Mapping[int, float],
) -> KindLine:
    by_recording = {
        recording: [signed[pk] for pk in ids if pk in signed and signed[pk].kind == kind]
        for recording, ids in grants.items()
    }
    by_recording = {recording: matches for recording, matches in by_recording.items() if matches}
    all_grants = [grant for matches in by_recording.values() for grant in matches]
    return KindLine(
        kind=str(kind.label),
        rightsholders=len({grant.grantor for grant in all_grants}),
        agreements=len({grant.agreement for grant in all_grants}),
        recordings=len(by_recording),
        hours=sum(lengths[pk] for pk in by_recording) / 3600,
    )

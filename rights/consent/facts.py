"""The facts that an answer on consent rests on, as values in memory; snapshot.py reads them.

Plain tuples instead of model objects: a hundred thousand recordings have three hundred thousand
shares.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from rights.models import RightType, Use, WithdrawalPolicy


class Share(NamedTuple):
    sheet: int
    party: int
    ppm: int
    confirmed: bool
    disputed: bool


class Terms(NamedTuple):
    """A grant: what it permits, and the time in which it was in force, as far as was known."""

    pk: int
    grantor: int
    right: str
    recording: int | None
    work: int | None
    purposes: Sequence[str]
    territories: Sequence[str]
    products: Sequence[str]
    channels: Sequence[str]
    family: str
    first_version: int | None
    last_version: int | None
    condition: str
    starts_on: date
    ends_on: date | None
    activated_at: datetime | None
    ended_at: datetime | None
    expired: bool
    # What follows when it ends, and which version it replaces: not part of the answer's digest.
    policy: str = WithdrawalPolicy.RECALL
    remedy_days: int = 90
    replaces: int | None = None


# How many fields of Terms an answer rests on.
DIGESTED_FIELDS = Terms._fields.index("policy")


class MandateTerms(NamedTuple):
    """A mandate: the agent's grants also cover the shares of the holder."""

    pk: int
    holder: int
    agent: int
    rights: Sequence[str]
    territories: Sequence[str]
    starts_on: date
    ends_on: date | None
    approved_at: datetime
    revoked_at: datetime | None


class Artist(NamedTuple):
    """A credited party whom a use of a person asks; `main` marks a main artist of the recording."""

    party: int
    main: bool


class Group(NamedTuple):
    """A party that is not a person: the members who speak for it, and whether these are all."""

    complete: bool
    members: Sequence[int]


class Music(NamedTuple):
    pk: int
    title: str
    audio: str | None


@dataclass
class Facts:
    """What is known about some recordings for one use. Shares are by recording and by work."""

    use: Use
    known_at: datetime
    # The moment of the use, where it differs from `known_at`.
    at: datetime | None = None
    recordings: list[Music] = field(default_factory=list)
    # The recordings that each derived one comes from, over any number of steps; and those of them
    # that are not asked about themselves.
    sources: dict[int, list[int]] = field(default_factory=dict)
    source_recordings: dict[int, Music] = field(default_factory=dict)
    # The recordings, sources included, with an open question about their sound.
    questioned: set[int] = field(default_factory=set)
    works: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    masters: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    compositions: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    # Only for uses of a person. Those of its parties that are not persons are in `groups`.
    artists: dict[int, list[Artist]] = field(default_factory=lambda: defaultdict(list))
    groups: dict[int, Group] = field(default_factory=dict)
    # By grantor, right and subject: ("w", 0) is the whole catalogue.
    grants: dict[tuple[int, str, str, int], list[Terms]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # By a grant's id, the version that replaces it, approved and not ended.
    replaced: dict[int, Terms] = field(default_factory=dict)
    mandates: dict[int, list[MandateTerms]] = field(default_factory=lambda: defaultdict(list))
    # By grant: since and until; None means still suspended.
    suspended: dict[int, list[tuple[datetime, datetime | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # By party and recording, the moments of its opt-outs, oldest first. Those of party 0 are
    # signals read from the recording itself (signals.py): they count for everybody.
    opted_out: dict[tuple[int, int], list[datetime]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def parties(self) -> set[int]:
        """Return the parties whose permission is needed: holders, artists and members of groups."""
        share_lists = (*self.masters.values(), *self.compositions.values())
        parties = {share.party for shares in share_lists for share in shares}
        parties.update(artist.party for artists in self.artists.values() for artist in artists)
        parties.update(member for group in self.groups.values() for member in group.members)
        return parties

    def canonical(self) -> Iterator[bytes]:
        """Yield the facts as canonical JSON in lines; the same facts give the same bytes."""
        for rows in (
            self.recordings,
            [self.source_recordings[pk] for pk in sorted(self.source_recordings)],
        ):
            yield _json([
                [music.pk, music.audio, self.works.get(music.pk, []),
                 self.masters.get(music.pk, []), self.artists.get(music.pk, [])]
                for music in rows
            ])  # fmt: skip
        yield _json(sorted(self.sources.items()))
        yield _json(sorted(self.questioned))
        yield _json(sorted(self.compositions.items()))
        yield _json(sorted(self.groups.items()))
        grants = (grant[:DIGESTED_FIELDS] for rows in self.grants.values() for grant in rows)
        yield _json(sorted(grants, key=_first))
        yield _json(
            sorted((mandate for rows in self.mandates.values() for mandate in rows), key=_first)
        )
        yield _json(sorted(self.suspended.items()))
        yield _json(sorted((*key, moments) for key, moments in self.opted_out.items()))

    def candidate_grants(
        self, party: int, right: RightType, recording: int, work: int | None
    ) -> Iterator[Terms]:
        """Yield the party's grants that could cover this right in this recording, nearest first."""
        yield from self.grants.get((party, right, "r", recording), ())
        if work is not None:
            yield from self.grants.get((party, right, "w", work), ())
        yield from self.grants.get((party, right, "w", 0), ())


def _first(row: Sequence[Any]) -> Any:
    return row[0]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=_text, ensure_ascii=False).encode()


def _text(value: object) -> str:
    assert isinstance(value, date | Mapping)  # noqa: S101 - dates and times are all there is
    return value.isoformat() if isinstance(value, date) else str(value)

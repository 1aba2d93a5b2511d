"""Whom a model learned from, in the words that each party chose, and in which shares.

Shares are exact: seconds of audio in training, from the ledger. Recordings are grouped by those
of their main artists who are named; unnamed artists are only counted. A title is listed only where
the artists allow it and nobody who is credited on the recording, or holds a share of it, is
unnamed: a title leads to the names.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from django.db.models import QuerySet

from experiments.models import DatasetItem
from experiments.models.ancestry import Link
from experiments.publishing.withdrawals import PageStatus
from portal.database import long_work
from rights.models import (
    Credit,
    Party,
    Purpose,
    Recording,
    RoleCode,
    SplitLine,
    UsageEvent,
    Use,
)
from rights.usage import ledger

BASIS = "seconds of audio used in training, from the ledger of use"
BATCH_SIZE = 5_000
UNNAMED = "[a name that is not shown]"
# Shorter names would match too many common words.
SHORTEST = 3
Exposures = dict[int, tuple[int, float]]


@dataclass(frozen=True)
class CreditLine:
    """One credit line. A line without names is for artists who are only counted."""

    names: tuple[str, ...]
    recordings: int
    examples: int
    seconds: float
    share: float
    titles: tuple[str, ...] = ()

    @property
    def unlisted(self) -> int:
        return self.recordings - len(self.titles)


@dataclass(frozen=True)
class Veil:
    """Hides the names of unnamed parties in texts that others wrote."""

    names: tuple[str, ...] = ()

    def redact(self, text: str) -> str:
        return self._pattern.sub(UNNAMED, text) if self.names else text

    def hides(self, text: str) -> bool:
        return bool(self.names) and self._pattern.search(text) is not None

    @property
    def _pattern(self) -> re.Pattern[str]:
        # Longest first: of “Ann” and “Ann Lee” the whole name is hidden.
        names = sorted(self.names, key=len, reverse=True)
        return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, names)) + r")(?!\w)")


@dataclass(frozen=True)
class TrainingCredits:
    lines: list[CreditLine]
    # Recordings of artists who chose not to be named, of artists who left, and without an artist.
    unnamed: CreditLine
    departed: CreditLine
    uncredited: CreditLine
    # How many artists: named, unnamed by choice, left.
    named_artists: int
    unnamed_artists: int
    left_artists: int
    recordings: int
    examples: int
    seconds: float
    # Length of the recordings in seconds, each counted once.
    duration: float
    uses: list[str]
    other_uses: list[str]
    purposes: list[str]
    # Recordings of the frozen datasets: included but never used; requested but not permitted.
    unheard: int
    left_out: int
    veil: Veil = field(default_factory=Veil)
    used: Exposures = field(default_factory=dict)
    basis: str = BASIS


def exposures(line: Sequence[Link]) -> Exposures:
    """Return recording id to (examples, seconds), over all runs that the model learned in."""
    long_work.forbid_in_transaction("What a model learned from is added up")
    totals: Exposures = {}
    for link in line:
        for pk, (examples, seconds) in ledger.exposures(link.source, link.up_to).items():
            previous = totals.get(pk, (0, 0.0))
            totals[pk] = (previous[0] + examples, previous[1] + seconds)
    return {pk: total for pk, total in totals.items() if total[0] or total[1]}


def load_credits(line: Sequence[Link], status: PageStatus) -> TrainingCredits:
    """Load all that the page says about the music. Its queries do not grow with the recordings."""
    used = exposures(line)
    events = UsageEvent.objects.filter(source__in=[link.source for link in line])
    rows = Recording.objects.filter(pk__in=events.values("recording"))
    recordings = {pk: (title, length) for pk, title, length in _rows(rows) if pk in used}
    artists, people = _people(events)
    parties = _parties(set().union(*people.values()) if people else set())
    public_names = {pk: _name(party, status) for pk, party in parties.items()}
    veil = Veil(tuple(_hidden_names(parties, public_names)))
    public_names = {
        pk: veil.redact(name) if parties[pk].public_credit == "wording" else name
        for pk, name in public_names.items()
    }
    groups: dict[tuple[str, frozenset[int]], list[int]] = defaultdict(list)
    for pk in recordings:
        groups[_group(artists.get(pk, frozenset()), public_names, status)].append(pk)

    def listed(pk: int) -> bool:
        return (
            all(parties[artist].public_titles for artist in artists.get(pk, ()))
            and all(public_names[party] for party in people.get(pk, ()))
            and not veil.hides(recordings[pk][0])
        )

    total = sum(seconds for _, seconds in used.values())

    def line_of(kind: str, artist_ids: frozenset[int] = frozenset()) -> CreditLine:
        keys = groups.get((kind, artist_ids), [])
        seconds = sum(used[pk][1] for pk in keys)
        return CreditLine(
            names=tuple(sorted((public_names[party] for party in artist_ids), key=str.casefold)),
            recordings=len(keys),
            examples=sum(used[pk][0] for pk in keys),
            seconds=seconds,
            share=seconds / total if total else 0.0,
            titles=tuple(sorted(recordings[pk][0] for pk in keys if artist_ids and listed(pk))),
        )

    main_artists = {artist for pk in recordings for artist in artists.get(pk, ())}
    hidden = {artist for artist in main_artists if not public_names[artist]}
    lines = [line_of(*key) for key in groups if key[1]]
    return TrainingCredits(
        lines=sorted(lines, key=lambda line: (-line.seconds, line.names)),
        unnamed=line_of("unnamed"),
        departed=line_of("left"),
        uncredited=line_of("uncredited"),
        named_artists=len(main_artists - hidden),
        unnamed_artists=len(hidden - status.departed),
        left_artists=len(hidden & status.departed),
        recordings=len(used),
        examples=sum(examples for examples, _ in used.values()),
        seconds=total,
        duration=sum(length for _, length in recordings.values()),
        veil=veil,
        used=used,
        **_scope(line, set(used)),
    )


def people_of(line: Sequence[Link]) -> list[Party]:
    """Return every party that is credited on what the runs used, or holds a share of it."""
    events = UsageEvent.objects.filter(source__in=[link.source for link in line])
    _, people = _people(events)
    return list(_parties(set().union(*people.values()) if people else set()).values())


def hidden_in(line: Sequence[Link], status: PageStatus) -> Veil:
    """Return the names that no text about the model may contain."""
    long_work.forbid_in_transaction("Everybody whom a model learned from is asked for")
    parties = {party.pk: party for party in people_of(line)}
    public_names = {pk: _name(party, status) for pk, party in parties.items()}
    return Veil(tuple(_hidden_names(parties, public_names)))


def _rows(rows: QuerySet[Recording]) -> Iterable[tuple[int, str, float]]:
    return rows.values_list("pk", "title", "duration").iterator(chunk_size=BATCH_SIZE)


def _people(
    events: QuerySet[UsageEvent],
) -> tuple[dict[int, frozenset[int]], dict[int, set[int]]]:
    """Return, by recording, its main artists, and all whose names its title leads to."""
    ids = events.values("recording")
    artists: dict[int, set[int]] = defaultdict(set)
    people: dict[int, set[int]] = defaultdict(set)
    credits_of = Credit.objects.filter(recording__in=ids)
    for pk, party, role in credits_of.values_list("recording", "party", "role"):
        people[pk].add(party)
        if role == RoleCode.MAIN_ARTIST:
            artists[pk].add(party)
    holders = SplitLine.objects.current()
    for rows in (
        Credit.objects.filter(work__recordings__in=ids).values_list("work__recordings", "party"),
        holders.filter(sheet__recording__in=ids).values_list("sheet__recording", "party"),
        holders.filter(sheet__work__recordings__in=ids).values_list(
            "sheet__work__recordings", "party"
        ),
    ):
        for pk, party in rows:
            people[pk].add(party)
    return {pk: frozenset(parties) for pk, parties in artists.items()}, people


def _parties(ids: set[int]) -> dict[int, Party]:
    wanted = sorted(ids)
    parties: dict[int, Party] = {}
    for start in range(0, len(wanted), BATCH_SIZE):
        parties |= Party.objects.in_bulk(wanted[start : start + BATCH_SIZE])
    return parties


def _name(party: Party, status: PageStatus) -> str:
    """Return the public name of a party now. A party that has left is named only on a model that
    stays by agreement, and only if it chose to be."""
    if party.pk in status.departed and (status.withdrawn or not party.public_after):
        return ""
    return party.public_name


def _hidden_names(parties: dict[int, Party], public_names: dict[int, str]) -> Iterable[str]:
    open_names = {name for name in public_names.values() if name}
    for pk, party in parties.items():
        if public_names[pk]:
            continue
        for name in (party.name, party.credited_as, party.public_wording):
            if len(name) >= SHORTEST and name not in open_names:
                yield name


def _group(
    artists: frozenset[int], public_names: dict[int, str], status: PageStatus
) -> tuple[str, frozenset[int]]:
    named = frozenset(party for party in artists if public_names[party])
    if named:
        return "named", named
    if not artists:
        return "uncredited", named
    return ("left" if artists & status.departed else "unnamed"), named


class _Scope(TypedDict):
    uses: list[str]
    other_uses: list[str]
    purposes: list[str]
    unheard: int
    left_out: int


def _scope(line: Sequence[Link], used: set[int]) -> _Scope:
    uses = {use for link in line if (use := link.run.use)}
    purposes = {
        str(link.run.decision.context["purpose"] if link.run.decision else link.run.project.purpose)
        for link in line
    }
    datasets = {link.run.dataset_id for link in line} - {None}
    items = DatasetItem.objects.filter(dataset__in=datasets)
    included = set(items.filter(included=True).values_list("recording", flat=True))
    excluded = set(items.filter(included=False).values_list("recording", flat=True))
    return {
        "uses": [str(use.label) for use in Use if use.value in uses],
        "other_uses": [str(use.label) for use in Use if use.value not in uses],
        "purposes": [str(purpose.label) for purpose in Purpose if purpose.value in purposes],
        "unheard": len(included - used),
        "left_out": len(excluded - included),
    }

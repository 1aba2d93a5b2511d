"""Whom a model learned from, in the words that each party chose, and by how much.

Shares are exact: seconds of audio in training, from the ledger. Recordings are grouped by those
of their main artists who are named; who is not named is a number. A title is listed only where
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

BASIS = "seconds of audio heard in training, from the ledger of use"
AT_ONCE = 5_000
UNNAMED = "[a name that is not shown]"
# Shorter names would be found in half of all words.
SHORTEST = 3
Exposures = dict[int, tuple[int, float]]


@dataclass(frozen=True)
class CreditLine:
    """One credit line. Without names it is those who are counted only."""

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
    """Takes the names of unnamed parties out of texts that others wrote."""

    names: tuple[str, ...] = ()

    def over(self, text: str) -> str:
        return self._pattern.sub(UNNAMED, text) if self.names else text

    def hides(self, text: str) -> bool:
        return bool(self.names) and self._pattern.search(text) is not None

    @property
    def _pattern(self) -> re.Pattern[str]:
        # Longest first: of “Ann” and “Ann Lee” the whole name goes.
        names = sorted(self.names, key=len, reverse=True)
        return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, names)) + r")(?!\w)")


@dataclass(frozen=True)
class TrainingCredits:
    lines: list[CreditLine]
    # Recordings of artists who chose not to be named, who have left, and without an artist.
    unnamed: CreditLine
    left: CreditLine
    uncredited: CreditLine
    # How many artists: named, unnamed by choice, left.
    named_artists: int
    unnamed_artists: int
    left_artists: int
    recordings: int
    examples: int
    seconds: float
    # Seconds of the recordings themselves, each once.
    duration: float
    uses: list[str]
    other_uses: list[str]
    purposes: list[str]
    # Of the frozen datasets: in them and never heard, and asked for but not permitted.
    unheard: int
    left_out: int
    veil: Veil = field(default_factory=Veil)
    used: Exposures = field(default_factory=dict)
    basis: str = BASIS


def exposures(line: Sequence[Link]) -> Exposures:
    """Recording id to (examples, seconds), over all the runs that the model learned in."""
    long_work.outside("What a model learned from is added up")
    found: Exposures = {}
    for link in line:
        for pk, (examples, seconds) in ledger.exposures(link.source, link.up_to).items():
            before = found.get(pk, (0, 0.0))
            found[pk] = (before[0] + examples, before[1] + seconds)
    return {pk: credited for pk, credited in found.items() if credited[0] or credited[1]}


def load_credits(line: Sequence[Link], standing: PageStatus) -> TrainingCredits:
    """Everything the page says of the music. As many queries for ten recordings as for two."""
    used = exposures(line)
    heard = UsageEvent.objects.filter(source__in=[link.source for link in line])
    rows = Recording.objects.filter(pk__in=heard.values("recording"))
    recordings = {pk: (title, length) for pk, title, length in _rows(rows) if pk in used}
    artists, everybody = _people(heard)
    parties = _parties(set().union(*everybody.values()) if everybody else set())
    shown = {pk: _name(party, standing) for pk, party in parties.items()}
    veil = Veil(tuple(_hidden_names(parties, shown)))
    shown = {
        pk: veil.over(name) if parties[pk].public_credit == "wording" else name
        for pk, name in shown.items()
    }
    groups: dict[tuple[str, frozenset[int]], list[int]] = defaultdict(list)
    for pk in recordings:
        groups[_group(artists.get(pk, frozenset()), shown, standing)].append(pk)

    def listed(pk: int) -> bool:
        return (
            all(parties[artist].public_titles for artist in artists.get(pk, ()))
            and all(shown[party] for party in everybody.get(pk, ()))
            and not veil.hides(recordings[pk][0])
        )

    total = sum(seconds for _, seconds in used.values())

    def line_of(kind: str, who: frozenset[int] = frozenset()) -> CreditLine:
        keys = groups.get((kind, who), [])
        seconds = sum(used[pk][1] for pk in keys)
        return CreditLine(
            names=tuple(sorted((shown[party] for party in who), key=str.casefold)),
            recordings=len(keys),
            examples=sum(used[pk][0] for pk in keys),
            seconds=seconds,
            share=seconds / total if total else 0.0,
            titles=tuple(sorted(recordings[pk][0] for pk in keys if who and listed(pk))),
        )

    main = {artist for pk in recordings for artist in artists.get(pk, ())}
    hidden = {artist for artist in main if not shown[artist]}
    lines = [line_of(*key) for key in groups if key[1]]
    return TrainingCredits(
        lines=sorted(lines, key=lambda line: (-line.seconds, line.names)),
        unnamed=line_of("unnamed"),
        left=line_of("left"),
        uncredited=line_of("uncredited"),
        named_artists=len(main - hidden),
        unnamed_artists=len(hidden - standing.left),
        left_artists=len(hidden & standing.left),
        recordings=len(used),
        examples=sum(examples for examples, _ in used.values()),
        seconds=total,
        duration=sum(length for _, length in recordings.values()),
        veil=veil,
        used=used,
        **_scope(line, set(used)),
    )


def people_of(line: Sequence[Link]) -> list[Party]:
    """Every party that is credited on what the runs used, or holds a share of it."""
    heard = UsageEvent.objects.filter(source__in=[link.source for link in line])
    _, everybody = _people(heard)
    return list(_parties(set().union(*everybody.values()) if everybody else set()).values())


def hidden_in(line: Sequence[Link], standing: PageStatus) -> Veil:
    """The names that no text about the model may have in it."""
    long_work.outside("Everybody whom a model learned from is asked for")
    parties = {party.pk: party for party in people_of(line)}
    shown = {pk: _name(party, standing) for pk, party in parties.items()}
    return Veil(tuple(_hidden_names(parties, shown)))


def _rows(rows: QuerySet[Recording]) -> Iterable[tuple[int, str, float]]:
    return rows.values_list("pk", "title", "duration").iterator(chunk_size=AT_ONCE)


def _people(
    heard: QuerySet[UsageEvent],
) -> tuple[dict[int, frozenset[int]], dict[int, set[int]]]:
    """Recording to its main artists, and to all whose name its title leads to."""
    ids = heard.values("recording")
    artists: dict[int, set[int]] = defaultdict(set)
    everybody: dict[int, set[int]] = defaultdict(set)
    credits_of = Credit.objects.filter(recording__in=ids)
    for pk, party, role in credits_of.values_list("recording", "party", "role"):
        everybody[pk].add(party)
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
            everybody[pk].add(party)
    return {pk: frozenset(who) for pk, who in artists.items()}, everybody


def _parties(ids: set[int]) -> dict[int, Party]:
    wanted = sorted(ids)
    found: dict[int, Party] = {}
    for start in range(0, len(wanted), AT_ONCE):
        found |= Party.objects.in_bulk(wanted[start : start + AT_ONCE])
    return found


def _name(party: Party, standing: PageStatus) -> str:
    """The words for a party now. One that has left is named only on a model that stays by
    agreement, and only if it has said that it wants to be."""
    if party.pk in standing.left and (standing.withdrawn or not party.public_after):
        return ""
    return party.public_name


def _hidden_names(parties: dict[int, Party], shown: dict[int, str]) -> Iterable[str]:
    open_names = {name for name in shown.values() if name}
    for pk, party in parties.items():
        if shown[pk]:
            continue
        for name in (party.name, party.credited_as, party.public_wording):
            if len(name) >= SHORTEST and name not in open_names:
                yield name


def _group(
    who: frozenset[int], shown: dict[int, str], standing: PageStatus
) -> tuple[str, frozenset[int]]:
    named = frozenset(party for party in who if shown[party])
    if named:
        return "named", named
    if not who:
        return "uncredited", named
    return ("left" if who & standing.left else "unnamed"), named


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
    inside = set(items.filter(included=True).values_list("recording", flat=True))
    outside = set(items.filter(included=False).values_list("recording", flat=True))
    return {
        "uses": [str(use.label) for use in Use if use.value in uses],
        "other_uses": [str(use.label) for use in Use if use.value not in uses],
        "purposes": [str(purpose.label) for purpose in Purpose if purpose.value in purposes],
        "unheard": len(inside - used),
        "left_out": len(outside - inside),
    }

"""All rows that an answer on consent rests on, as they were known at one moment.

Plain tuples instead of model objects: a hundred thousand recordings are three hundred thousand
shares. Queries go by parts of AT_ONCE recordings, so their number grows by one for each part.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from rights.models import (
    Credit,
    Grant,
    GrantExclusion,
    GrantSuspension,
    Mandate,
    Recording,
    RecordingWork,
    RightType,
    RoleCode,
    SplitAnswer,
    SplitLine,
    Use,
)

PERSONA_USES = frozenset({Use.VOICE, Use.LIKENESS_NAME, Use.STYLE_NAMED})
# Databases take so many values in one statement without complaint.
AT_ONCE = 5_000


class Share(NamedTuple):
    sheet: int
    party: int
    ppm: int
    confirmed: bool
    disputed: bool


class Terms(NamedTuple):
    """A grant: what it permits, and from when to when it was in force as far as was known."""

    pk: int
    grantor: int
    right: str
    recording: int | None
    work: int | None
    purposes: Sequence[str]
    territories: Sequence[str]
    family: str
    first_version: int | None
    last_version: int | None
    products: Sequence[str]
    channels: Sequence[str]
    condition: str
    starts_on: date
    ends_on: date | None
    activated_at: datetime | None
    ended_at: datetime | None
    expired: bool


class Sign(NamedTuple):
    """A mandate: whose shares the agent's grants cover too."""

    pk: int
    holder: int
    agent: int
    rights: Sequence[str]
    territories: Sequence[str]
    starts_on: date
    ends_on: date | None
    approved_at: datetime
    revoked_at: datetime | None


class Music(NamedTuple):
    pk: int
    title: str
    audio: str | None


@dataclass
class Facts:
    """What is known of some recordings for one use. Shares are by recording and by work."""

    use: Use
    known_at: datetime
    recordings: list[Music] = field(default_factory=list)
    works: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    masters: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    compositions: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    artists: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    # By grantor, right and subject: ("", 0) is the whole catalogue.
    grants: dict[tuple[int, str, str, int], list[Terms]] = field(
        default_factory=lambda: defaultdict(list)
    )
    signs: dict[int, list[Sign]] = field(default_factory=lambda: defaultdict(list))
    suspended: dict[int, datetime] = field(default_factory=dict)
    excluded: dict[tuple[int, int], datetime] = field(default_factory=dict)

    def parties(self) -> set[int]:
        """Whose word is needed, and who signs for them."""
        shares = (*self.masters.values(), *self.compositions.values())
        found = {share.party for shared in shares for share in shared}
        found.update(party for parties in self.artists.values() for party in parties)
        return found

    def canonical(self) -> Iterator[bytes]:
        """The facts as canonical JSON in lines; the same facts are the same bytes."""
        for music in self.recordings:
            pk = music.pk
            yield _json([pk, music.audio, self.works.get(pk, []), self.masters.get(pk, []),
                         self.artists.get(pk, [])])  # fmt: skip
        yield _json(sorted(self.compositions.items()))
        yield _json(sorted((one for some in self.grants.values() for one in some), key=_first))
        yield _json(sorted((one for some in self.signs.values() for one in some), key=_first))
        yield _json(sorted(self.suspended.items()))
        yield _json(sorted((*key, at) for key, at in self.excluded.items()))


def gather(ids: Iterable[int], use: Use, known_at: datetime, *, now: bool) -> Facts:
    """What was known of these recordings at `known_at`; `now` says that this is the present,
    where the answers on splits stand in their lines."""
    facts = Facts(use, known_at)
    wanted = sorted(set(ids))
    for some in parts(wanted):
        _recordings(facts, some)
        _shares(facts, some, now=now)
        if use in PERSONA_USES:
            _artists(facts, some)
    parties = sorted(facts.parties())
    for some in parts(parties):
        _mandates(facts, some)
    agents = {sign.agent for signs in facts.signs.values() for sign in signs}
    for some in parts(sorted(agents.union(parties))):
        _grants(facts, Grant.objects.filter(grantor__in=some, recording=None, use=use))
    for some in parts(wanted):
        _grants(facts, Grant.objects.filter(recording__in=some, use=use))
        _exclusions(facts, some)
    # Few at a time, whatever the size of the catalogue.
    paused = GrantSuspension.objects.filter(grant__use=use, since__lte=known_at)
    paused = paused.filter(Q(until=None) | Q(until__gt=known_at))
    facts.suspended.update(paused.values_list("grant", "since"))
    return facts


def parts(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    return (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))


def _recordings(facts: Facts, ids: Sequence[int]) -> None:
    known = facts.known_at
    rows = Recording.objects.filter(pk__in=ids, created_at__lte=known).order_by("pk")
    for pk, title, audio, audio_at in rows.values_list("pk", "title", "audio", "audio_at"):
        facts.recordings.append(Music(pk, title, audio if audio_at and audio_at <= known else None))
    links = RecordingWork.objects.filter(recording__in=ids, created_at__lte=known)
    for recording, work in links.order_by("work").values_list("recording", "work"):
        facts.works[recording].append(work)


def _shares(facts: Facts, ids: Sequence[int], *, now: bool) -> None:
    for recording, share in _lines("recording", ids, facts.known_at, now=now):
        facts.masters[recording].append(share)
    works = sorted({work for pk in ids for work in facts.works.get(pk, ())})
    for some in parts([work for work in works if work not in facts.compositions]):
        for work, share in _lines("work", some, facts.known_at, now=now):
            facts.compositions[work].append(share)


def _lines(
    subject: str, ids: Sequence[int], known_at: datetime, *, now: bool
) -> Iterator[tuple[int, Share]]:
    rows = SplitLine.objects.filter(**{f"sheet__{subject}__in": ids})
    if now:
        rows = rows.filter(sheet__superseded_at=None)
    else:
        rows = rows.filter(sheet__created_at__lte=known_at).filter(
            Q(sheet__superseded_at=None) | Q(sheet__superseded_at__gt=known_at)
        )
    rows = rows.order_by("pk")
    columns = (f"sheet__{subject}", "sheet", "party", "ppm", "pk", "confirmed_at", "disputed_at")
    found = list(rows.values_list(*columns))
    said = {} if now else _answers([row[4] for row in found], known_at)
    for about, sheet, party, ppm, pk, confirmed_at, disputed_at in found:
        if now:
            yes, no = confirmed_at is not None, disputed_at is not None
        else:
            yes, no = said.get(pk) is True, said.get(pk) is False
        yield about, Share(sheet, party, ppm, confirmed=yes, disputed=no)


def _answers(lines: Sequence[int], known_at: datetime) -> dict[int, bool]:
    """By line what its party had said last."""
    found: dict[int, bool] = {}
    for some in parts(lines):
        rows = SplitAnswer.objects.filter(line__in=some, at__lte=known_at).order_by("at", "pk")
        found.update(rows.values_list("line", "confirmed"))
    return found


def _artists(facts: Facts, ids: Sequence[int]) -> None:
    rows = Credit.objects.filter(
        recording__in=ids, role=RoleCode.MAIN_ARTIST, created_at__lte=facts.known_at
    )
    for recording, party in rows.order_by("party").values_list("recording", "party"):
        if recording is not None and party not in facts.artists[recording]:
            facts.artists[recording].append(party)


def _mandates(facts: Facts, parties: Sequence[int]) -> None:
    known = facts.known_at
    rows = Mandate.objects.filter(holder__in=parties, approved_at__lte=known).order_by("pk")
    columns = ("pk", "holder", "agent", "right_types", "territories", "starts_on", "ends_on",
               "approved_at", "revoked_at")  # fmt: skip
    for row in rows.values_list(*columns):
        sign = Sign(*row)
        if sign.revoked_at and sign.revoked_at > known:
            sign = sign._replace(revoked_at=None)
        facts.signs[sign.holder].append(sign)


def _grants(facts: Facts, rows: QuerySet[Grant]) -> None:
    known = facts.known_at
    columns = ("pk", "grantor", "right_type", "recording", "work", "purposes", "territories",
               "model_family", "first_version", "last_version", "products", "channels",
               "condition", "starts_on", "ends_on", "activated_at", "ended_at")  # fmt: skip
    expired = Q(status=Grant.Status.EXPIRED)
    rows = rows.filter(created_at__lte=known).order_by("pk")
    for row in rows.values_list(*columns, ExpressionWrapper(expired, BooleanField())):
        terms = Terms(*row)
        if terms.activated_at and terms.activated_at > known:
            terms = terms._replace(activated_at=None)
        if terms.ended_at is None or terms.ended_at > known:
            terms = terms._replace(ended_at=None, expired=False)
        about = ("r", terms.recording) if terms.recording else ("w", terms.work or 0)
        facts.grants[terms.grantor, terms.right, *about].append(terms)


def _exclusions(facts: Facts, ids: Sequence[int]) -> None:
    rows = GrantExclusion.objects.filter(
        recording__in=ids, grant__use=facts.use, created_at__lte=facts.known_at
    )
    for grant, recording, at in rows.values_list("grant", "recording", "created_at"):
        facts.excluded[grant, recording] = at


def speaking(
    facts: Facts, party: int, right: RightType, recording: int, work: int | None
) -> Iterator[Terms]:
    """The party's grants that could speak for this right in this recording, nearest first."""
    yield from facts.grants.get((party, right, "r", recording), ())
    if work is not None:
        yield from facts.grants.get((party, right, "w", work), ())
    yield from facts.grants.get((party, right, "w", 0), ())


def _first(row: Sequence[Any]) -> Any:
    return row[0]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=_text, ensure_ascii=False).encode()


def _text(value: object) -> str:
    assert isinstance(value, date | Mapping)  # noqa: S101 - dates and times are all there is
    return value.isoformat() if isinstance(value, date) else str(value)

"""May these recordings be used so? A conjunction, denied by default.

A use of a recording is allowed if every right it needs is covered:
1. the master: a confirmed split sheet, and a grant in force from each holder on it;
2. the composition of each work in it: the same;
3. for uses of a person (voice, name, style): a grant of that person's own, from each main artist.
A grant covers if use, right, subject, purpose, territory, model family and day all fit.
Anything missing, unconfirmed, disputed or unknown denies, with a reason that names the holder.

Grants are read as they stood at the moment asked about, splits and credits as they stand now.
The number of queries does not depend on the number of recordings.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TypedDict

from django.db import models, transaction
from django.utils import timezone

from portal import audit
from portal.models import User
from rights import territories
from rights.models import (
    PPM,
    Credit,
    Decision,
    DecisionLine,
    Grant,
    GrantExclusion,
    Party,
    Purpose,
    Recording,
    RightType,
    SplitLine,
    SplitSheet,
    Use,
    Work,
)

POLICY_VERSION = "2026-11"
ENDED = frozenset({Grant.Status.WITHDRAWN, Grant.Status.EXPIRED, Grant.Status.SUPERSEDED})
PERSONA_USES = frozenset({Use.VOICE, Use.LIKENESS_NAME, Use.STYLE_NAMED})


@dataclass(frozen=True)
class Context:
    """The scope that is asked for; a project carries one."""

    purpose: Purpose
    territory: str
    model_family: str


class Reason(TypedDict):
    code: str
    sentence: str
    party: str
    right: str


@dataclass(frozen=True)
class Line:
    """One recording's answer. `grant_ids` are the grants that cover it, also where others lack."""

    allowed: bool
    reasons: list[Reason]
    grant_ids: list[int]


class Verdict(dict[int, Line]):
    """Recording id to line, in the order asked."""

    def __init__(self, lines: dict[int, Line], *, at: datetime, input_digest: str) -> None:
        super().__init__(lines)
        self.at = at
        self.input_digest = input_digest

    @property
    def allowed(self) -> bool:
        """Nothing asked for is nothing allowed."""
        return bool(self) and all(line.allowed for line in self.values())


def check(
    recordings: Iterable[Recording],
    use: Use,
    context: Context,
    at: datetime | None = None,
    by: User | None = None,
) -> Decision:
    """Evaluate and keep the answer for good, with its audit line.

    Inside a transaction the recordings stay locked until its end: a permission that ends at
    the same time is either seen here or put on hold with a later time than this decision.
    """
    recordings = list(recordings)
    with transaction.atomic():
        list(
            Recording.objects.select_for_update()
            .filter(pk__in=[recording.pk for recording in recordings])
            .order_by("pk")
            .values_list("pk")
        )
        verdict = evaluate(recordings, use, context, at)
        decision = Decision.objects.create(
            use=use,
            context=asdict(context),
            as_of=verdict.at,
            allowed=verdict.allowed,
            policy_version=POLICY_VERSION,
            input_digest=verdict.input_digest,
            made_by=by,
        )
        DecisionLine.objects.bulk_create(
            DecisionLine(
                decision=decision,
                recording_id=pk,
                allowed=line.allowed,
                reasons=line.reasons,
                grants=line.grant_ids,
            )
            for pk, line in verdict.items()
        )
        audit.record(
            by=by,
            verb="consent.decided",
            subject=decision,
            use=str(use),
            context=asdict(context),
            allowed=decision.allowed,
            recordings=len(verdict),
            denied=[pk for pk, line in verdict.items() if not line.allowed],
            input_digest=decision.input_digest,
        )
    return decision


def evaluate(
    recordings: Iterable[Recording], use: Use, context: Context, at: datetime | None = None
) -> Verdict:
    """The same answer without keeping it."""
    at = at or timezone.now()
    use = Use(use)
    facts = _gather(list(recordings), use)
    lines = {recording.pk: _judge(recording, facts, context, at) for recording in facts.recordings}
    digest = hashlib.sha256(
        json.dumps(
            [POLICY_VERSION, use.value, asdict(context), at.isoformat(), facts.canonical()],
            sort_keys=True,
            separators=(",", ":"),
            default=str,
        ).encode()
    ).hexdigest()
    return Verdict(lines, at=at, input_digest=digest)


@dataclass
class _Facts:
    """All rows that the answer rests on, fetched at once."""

    use: Use
    recordings: list[Recording]
    works: dict[int, list[Work]] = field(default_factory=lambda: defaultdict(list))
    masters: dict[int, list[SplitLine]] = field(default_factory=lambda: defaultdict(list))
    compositions: dict[int, list[SplitLine]] = field(default_factory=lambda: defaultdict(list))
    artists: dict[int, list[Party]] = field(default_factory=lambda: defaultdict(list))
    grants: dict[tuple[int, str], list[Grant]] = field(default_factory=lambda: defaultdict(list))
    excluded: dict[tuple[int, int], datetime] = field(default_factory=dict)

    def canonical(self) -> list[object]:
        splits = [
            [line.sheet_id, line.sheet.status, line.party_id, line.ppm, line.confirmed_at]
            for lines in [*self.masters.values(), *self.compositions.values()]
            for line in lines
        ]
        grants = [
            [
                *(grant.pk, grant.status, grant.recording_id, grant.work_id),
                *(grant.purposes, grant.territories, grant.model_family),
                *(grant.starts_on, grant.ends_on, grant.activated_at, grant.ended_at),
            ]
            for grants in self.grants.values()
            for grant in grants
        ]
        return [
            sorted((recording.pk, recording.audio_id) for recording in self.recordings),
            sorted((pk, sorted(work.pk for work in works)) for pk, works in self.works.items()),
            sorted(splits, key=str),
            sorted((pk, sorted(party.pk for party in found)) for pk, found in self.artists.items()),
            sorted(grants, key=str),
            sorted((list(key), when) for key, when in self.excluded.items()),
        ]


def _gather(recordings: list[Recording], use: Use) -> _Facts:
    facts = _Facts(use=use, recordings=recordings)
    ids = [recording.pk for recording in recordings]
    for link in Recording.works.through.objects.filter(recording__in=ids).select_related("work"):
        facts.works[link.recording_id].append(link.work)
    current = SplitLine.objects.exclude(sheet__status=SplitSheet.Status.SUPERSEDED)
    current = current.select_related("sheet", "party").order_by("pk")
    parties = set()
    for line in current.filter(sheet__recording__in=ids):
        facts.masters[line.sheet.recording_id or 0].append(line)
        parties.add(line.party_id)
    works = {work.pk for found in facts.works.values() for work in found}
    for line in current.filter(sheet__work__in=works):
        facts.compositions[line.sheet.work_id or 0].append(line)
        parties.add(line.party_id)
    if use in PERSONA_USES:
        for credit in Credit.objects.filter(
            recording__in=ids, role=Credit.RoleCode.MAIN_ARTIST
        ).select_related("party"):
            facts.artists[credit.recording_id or 0].append(credit.party)
            parties.add(credit.party_id)
    for grant in (
        Grant.objects.filter(use=use, grantor__in=parties)
        .filter(models.Q(recording=None) | models.Q(recording__in=ids))
        .order_by("pk")
    ):
        facts.grants[grant.grantor_id, grant.right_type].append(grant)
    for row in GrantExclusion.objects.filter(recording__in=ids, grant__use=use):
        facts.excluded[row.grant_id, row.recording_id] = row.created_at
    return facts


def _judge(recording: Recording, facts: _Facts, context: Context, at: datetime) -> Line:
    reasons: list[Reason] = []
    covering: set[int] = set()
    for party, right, work, share in _needs(recording, facts, reasons):
        grants = [
            grant for grant in facts.grants[party.pk, right] if _speaks_for(grant, recording, work)
        ]
        problems = [_problem(grant, recording, facts, context, at) for grant in grants]
        fitting = [
            grant.pk for grant, (rank, _, _) in zip(grants, problems, strict=True) if not rank
        ]
        if fitting:
            covering.add(fitting[0])
            continue
        _, code, words = min(problems, default=(99, "no_grant", "has not allowed {use}"))
        who = f"{party.name} ({share}{_of_what(right, recording, work)})"
        reasons.append(
            Reason(
                code=code,
                sentence=f"{who} {words.format(use=in_words(facts.use))}.",
                party=party.name,
                right=right,
            )
        )
    return Line(allowed=not reasons, reasons=reasons, grant_ids=sorted(covering))


_Need = tuple[Party, RightType, Work | None, str]


def _needs(recording: Recording, facts: _Facts, reasons: list[Reason]) -> Iterator[_Need]:
    """Each party whose grant is needed; what is wrong with the splits goes to `reasons`."""
    for line in _sound(facts.masters[recording.pk], RightType.MASTER, recording, None, reasons):
        yield line.party, RightType.MASTER, None, f"{line.ppm / 10_000:g} % of "
    if not facts.works[recording.pk]:
        reasons.append(
            Reason(
                code="no_work",
                sentence=f"“{recording}” names no work, so nobody can allow its composition.",
                party="",
                right=RightType.COMPOSITION,
            )
        )
    for work in facts.works[recording.pk]:
        lines = facts.compositions[work.pk]
        for line in _sound(lines, RightType.COMPOSITION, recording, work, reasons):
            yield line.party, RightType.COMPOSITION, work, f"{line.ppm / 10_000:g} % of "
    if facts.use not in PERSONA_USES:
        return
    if not facts.artists[recording.pk]:
        reasons.append(
            Reason(
                code="no_artist",
                sentence=f"“{recording}” credits no main artist, so nobody can allow "
                f"{in_words(facts.use)}.",
                party="",
                right=RightType.PERSONA,
            )
        )
    for party in facts.artists[recording.pk]:
        yield party, RightType.PERSONA, None, ""


def _sound(
    lines: list[SplitLine],
    right: RightType,
    recording: Recording,
    work: Work | None,
    reasons: list[Reason],
) -> list[SplitLine]:
    """The lines if they are confirmed and whole. If not, they still say whose grant is needed."""
    what = _of_what(right, recording, work)
    before = len(reasons)

    def add(code: str, sentence: str, party: str = "") -> None:
        reasons.append(Reason(code=code, sentence=sentence, party=party, right=right))

    if not lines:
        add("no_split", f"Nobody has stated who holds {what}: it has no split sheet.")
    for line in lines:
        if line.disputed_at:
            add("split_disputed", f"{line.party} disputes the split of {what}.", line.party.name)
        elif not line.confirmed_at:
            add(
                "split_unconfirmed",
                f"{line.party} has not confirmed the split of {what}.",
                line.party.name,
            )
    if lines and sum(line.ppm for line in lines) != PPM:
        add("split_incomplete", f"The split of {what} does not make 100 %.")
    elif lines and lines[0].sheet.status != SplitSheet.Status.CONFIRMED and len(reasons) == before:
        add("split_unconfirmed", f"The split of {what} is not confirmed.")
    return lines


def _of_what(right: RightType, recording: Recording, work: Work | None) -> str:
    if right == RightType.MASTER:
        return f"the master “{recording}”"
    if right == RightType.COMPOSITION:
        return f"the composition “{work}”"
    return f"main artist of “{recording}”"


def _speaks_for(grant: Grant, recording: Recording, work: Work | None) -> bool:
    """A grant with no subject speaks for the whole catalogue; a work only for compositions."""
    if grant.recording_id is not None:
        return grant.recording_id == recording.pk
    if grant.work_id is not None:
        return work is not None and grant.work_id == work.pk
    return True


def _problem(
    grant: Grant, recording: Recording, facts: _Facts, context: Context, at: datetime
) -> tuple[int, str, str]:
    """Rank 0 where the grant covers; else how near it came (lowest nearest), code and words."""
    ended = grant.ended_at <= at if grant.ended_at else grant.status in ENDED
    opted_out = facts.excluded.get((grant.pk, recording.pk))
    place = territories.names().get(context.territory, "an unknown territory")
    day = at.date()
    tests: list[tuple[bool, str, str]] = [
        (
            grant.activated_at is None or grant.activated_at > at,
            "grant_not_active",
            "was asked for {use} and the grant is not in force",
        ),
        (
            ended and grant.status != Grant.Status.EXPIRED,
            "grant_withdrawn",
            f"withdrew the permission for {{use}} on {_day(grant.ended_at)}",
        ),
        (
            ended or (grant.ends_on is not None and grant.ends_on < day),
            "grant_expired",
            f"allowed {{use}} only until {grant.ends_on}",
        ),
        (grant.starts_on > day, "grant_not_started", f"allows {{use}} only from {grant.starts_on}"),
        (
            context.purpose not in grant.purposes,
            "purpose",
            f"has not allowed {{use}} for {Purpose(context.purpose).label.lower()}",
        ),
        (
            not territories.covers(grant.territories, context.territory),
            "territory",
            f"has not allowed {{use}} in {place}",
        ),
        (
            grant.model_family not in {"", context.model_family},
            "model_family",
            f"has allowed {{use}} for another model family than “{_plain(context.model_family)}”",
        ),
        (
            opted_out is not None and opted_out <= at,
            "opted_out",
            f"opted this recording out of {{use}} on {_day(opted_out)}",
        ),
    ]
    for rank, (fails, code, words) in enumerate(tests):
        if fails:
            return len(tests) - rank, code, words
    return 0, "", ""


def _plain(text: str) -> str:
    """Text that goes through str.format unharmed."""
    return text.replace("{", "(").replace("}", ")")


def _day(moment: datetime | None) -> str:
    return moment.date().isoformat() if moment else "an unknown day"


def in_words(use: str) -> str:
    """The use as it stands inside a sentence."""
    label = str(Use(use).label)
    return label[0].lower() + label[1:]

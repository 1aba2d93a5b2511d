"""The credit statement: who made the music behind something, and by whose leave it was used.

A statement is plain JSON, kept by the SHA-256 of its canonical form: the same facts give the
same digest on every machine.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from portal.bulk import among
from rights.models import Credit, Decision, Grant, Recording, Use

Exposures = Mapping[int, tuple[int, float]]


class Contributor(TypedDict):
    name: str
    role: str
    instrument: str
    on: str


class GrantLine(TypedDict):
    id: int
    grantor: str
    right: str
    use: str
    agreement: str


class RecordingLine(TypedDict):
    id: int
    title: str
    isrc: str
    artists: list[str]
    works: list[dict[str, str]]
    contributors: list[Contributor]
    grants: list[GrantLine]
    examples: int
    seconds: float
    share: float


class Statement(TypedDict):
    version: int
    use: str
    decision: int | None
    basis: str
    examples: int
    seconds: float
    recordings: list[RecordingLine]
    # Reference audio, as the program declared it: what was heard itself, and not only learned from.
    references: NotRequired[list[RecordingLine]]
    # Of one that was cut short for a page: how many recordings it does not list.
    more: NotRequired[int]


def statement(
    exposures: Exposures,
    use: Use | str,
    decision: Decision | None,
    *,
    older: Sequence[Decision] = (),
    origin: str = "",
    references: Exposures | None = None,
    reference_decision: Decision | None = None,
    top: int | None = None,
) -> Statement:
    """The statement's body; `share` is each recording's part of the seconds heard in training.

    `older` are the decisions behind the weights that training began with, `origin` says in the
    basis which runs these were. `references` were reference audio by `reference_decision`; their
    basis is that they were declared. Before the first use is reported the share is even, and
    `basis` says so. Sorted by share, then title. A constant number of queries. `top` lists only so
    many of the greatest shares, for a page: such a statement is not kept.
    """
    total = sum(seconds for _, seconds in exposures.values())
    body = Statement(
        version=1,
        use=str(Use(use).value),
        decision=decision.pk if decision else None,
        basis=("seconds of audio used in training" + origin) if total
        else "even: no use is reported yet",
        examples=sum(examples for examples, _ in exposures.values()),
        seconds=round(total, 6),
        recordings=_lines(exposures, total, [one for one in (decision, *older) if one], top),
    )  # fmt: skip
    if top is not None and len(exposures) > top:
        body["more"] = len(exposures) - top
    if references:
        heard = sum(seconds for _, seconds in references.values())
        asked = [reference_decision] if reference_decision else []
        body["references"] = _lines(references, heard, asked)
    return body


def _lines(
    exposures: Exposures, total: float, decisions: list[Decision], top: int | None = None
) -> list[RecordingLine]:
    chosen = sorted(exposures, key=lambda pk: (-exposures[pk][1], pk))[:top]
    recordings = Recording.objects.filter(pk__in=among(chosen)).prefetch_related(
        "works__credits__party", "credits__party"
    )
    grants = _grants(decisions, chosen)
    lines = [
        _line(recording, exposures[recording.pk], total, len(exposures), grants[recording.pk])
        for recording in recordings
    ]
    return sorted(lines, key=lambda line: (-line["share"], line["title"], line["id"]))


def canonical(body: Statement | Mapping[str, object]) -> bytes:
    """Sorted keys, no spaces, UTF-8."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest(body: Statement | Mapping[str, object]) -> str:
    """SHA-256 over the canonical JSON."""
    return hashlib.sha256(canonical(body)).hexdigest()


def _line(
    recording: Recording,
    exposure: tuple[int, float],
    total: float,
    count: int,
    grants: list[GrantLine],
) -> RecordingLine:
    examples, seconds = exposure
    credits_of = list(recording.credits.all())
    works = sorted(recording.works.all(), key=lambda work: work.pk)
    contributors = [_contributor(credit, "recording") for credit in credits_of]
    contributors += [
        _contributor(credit, "composition") for work in works for credit in work.credits.all()
    ]
    return RecordingLine(
        id=recording.pk,
        title=recording.title,
        isrc=recording.isrc,
        artists=sorted(
            credit.party.credit_name
            for credit in credits_of
            if credit.role in {Credit.RoleCode.MAIN_ARTIST, Credit.RoleCode.FEATURED_ARTIST}
        ),
        works=[{"title": work.title, "iswc": work.iswc} for work in works],
        contributors=sorted(
            contributors, key=lambda one: (one["name"], one["role"], one["instrument"], one["on"])
        ),
        grants=grants,
        examples=examples,
        seconds=round(seconds, 6),
        # Twelve places: the same on every machine, and finer than any share that is paid.
        share=round(seconds / total if total else 1 / count, 12),
    )


def _contributor(credit: Credit, on: str) -> Contributor:
    return Contributor(
        name=credit.party.credit_name,
        role=str(credit.get_role_display()),
        instrument=credit.instrument,
        on=on,
    )


def _grants(decisions: list[Decision], recordings: list[int]) -> dict[int, list[GrantLine]]:
    """Recording id to the grants that the decisions rested on."""
    found: dict[int, list[GrantLine]] = defaultdict(list)
    lines = [
        line
        for decision in decisions
        for line in decision.lines.filter(recording__in=among(recordings)).order_by("pk")
    ]
    wanted = {pk for line in lines for pk in line.grants}
    grants = {
        grant.pk: GrantLine(
            id=grant.pk,
            grantor=grant.grantor.credit_name,
            right=str(grant.get_right_type_display()),
            use=str(grant.get_use_display()),
            agreement=grant.agreement.title,
        )
        for grant in Grant.objects.filter(pk__in=among(wanted)).select_related(
            "grantor", "agreement"
        )
    }
    for line in lines:
        known = found[line.recording_id]
        known += [grants[pk] for pk in line.grants if pk in grants and grants[pk] not in known]
    return found

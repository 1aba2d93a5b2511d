"""Everything that the portal stores about a rightsholder, for them to download (GDPR, Article 15).

One JSON document, written row by row, so that ten thousand recordings need no memory. It names
nobody else but those who share a sheet or a mandate with them: people of the lab are "the lab",
other holders "another holder". Audit lines come with their hashes, so that a proof can be asked
for each; their contents are in the other sections.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Count, Model, QuerySet
from django.utils import timezone

from portal.models import AuditEvent, User
from rights.models import (
    Agreement,
    Credit,
    DecisionLine,
    Grant,
    Hold,
    Mandate,
    OptOut,
    Party,
    Recording,
    RecordingWork,
    SplitAnswer,
    SplitLine,
    UsageEvent,
    WithdrawalCase,
)
from rights.rightsholder import overview, registries

Row = Mapping[str, object]
_ENCODER = DjangoJSONEncoder(ensure_ascii=False, allow_nan=False)
BATCH_SIZE = 500
# Of a decision's context, what names a project: that is internal to the lab.
PROJECTS = frozenset({"product", "model_family"})


@dataclass
class _About:
    """Whose document it is, with their parties and recordings."""

    user: User
    parties: Sequence[Party]
    recordings: Sequence[int] = ()
    people: frozenset[int] = frozenset()
    ids: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def of(cls, user: User) -> "_About":
        parties = overview.parties_of(user)
        own = frozenset(pk for party in parties for pk in party.people.values_list("pk", flat=True))
        recordings = list(overview.repertoire(parties).order_by("pk").values_list("pk", flat=True))
        return cls(user, parties, recordings, own, frozenset(party.pk for party in parties))

    def name_of(self, user_id: int | None) -> str:
        if user_id is None:
            return "the portal"
        return (
            "you" if user_id == self.user.pk else "yours" if user_id in self.people else "the lab"
        )

    def parts(self) -> Iterator[Sequence[int]]:
        for start in range(0, len(self.recordings), BATCH_SIZE):
            yield self.recordings[start : start + BATCH_SIZE]


def document(user: User) -> Iterator[str]:
    """Yield the JSON text, piece by piece."""
    about = _About.of(user)
    head = {"version": 1, "made_at": timezone.now(), "for": user.username}
    yield _json(head)[:-1]
    for name, section in SECTIONS.items():
        yield from _list(name, section(about))
    for name, rows in registries.sections().items():
        yield from _list(name, rows(about.parties))
    yield "\n}\n"


def _list(name: str, rows: Iterator[Row]) -> Iterator[str]:
    yield f",\n{json.dumps(name)}: ["
    first = True
    for row in rows:
        yield ("\n" if first else ",\n") + _json(row)
        first = False
    yield "]"


def _json(value: object) -> str:
    return _ENCODER.encode(value)


def _parties(about: _About) -> Iterator[Row]:
    for party in about.parties:
        yield {
            "id": party.pk,
            "name": party.name,
            "kind": party.kind,
            "credited_as": party.credited_as,
            "contact": party.contact,
            "identifiers": {
                identifier.scheme: identifier.value for identifier in party.identifiers.all()
            },
            "belongs_to": [
                {
                    "group": membership.group.name,
                    "joined_on": membership.joined_on,
                    "left_on": membership.left_on,
                }
                for membership in party.member_of.select_related("group")
            ],
            "members": [member.member.name for member in party.members.select_related("member")],
            "people": [person.display_name for person in party.people.all()],
            "entered_at": party.created_at,
        }


def _mandates(about: _About) -> Iterator[Row]:
    rows = Mandate.objects.filter(holder__in=about.ids) | Mandate.objects.filter(
        agent__in=about.ids
    )
    for row in rows.select_related("holder", "agent").order_by("pk"):
        yield {
            "id": row.pk,
            "holder": row.holder.name,
            "signs": row.agent.name,
            "rights": row.right_types,
            "territories": row.territories,
            "starts_on": row.starts_on,
            "ends_on": row.ends_on,
            "approved_at": row.approved_at,
            "revoked_at": row.revoked_at,
            "revoke_reason": row.revoke_reason,
        }


def _recordings(about: _About) -> Iterator[Row]:
    for chunk in about.parts():
        credited: dict[int | None, list[str]] = defaultdict(list)
        own = Credit.objects.filter(recording__in=chunk, party__in=about.ids)
        for pk, role in own.values_list("recording", "role"):
            credited[pk].append(role)
        works: dict[int, list[dict[str, str]]] = defaultdict(list)
        links = RecordingWork.objects.filter(recording__in=chunk).order_by("work")
        for pk, title, iswc in links.values_list("recording", "work__title", "work__iswc"):
            works[pk].append({"title": title, "iswc": iswc})
        for row in Recording.objects.filter(pk__in=chunk).order_by("pk"):
            yield {
                "id": row.pk,
                "title": row.title,
                "isrc": row.isrc,
                "works": works[row.pk],
                "your_credits": credited[row.pk],
                "seconds": row.duration,
                "audio_sha256": row.audio_id,
                "tags": row.tags,
                "entered_at": row.created_at,
            }


def _splits(about: _About) -> Iterator[Row]:
    lines = SplitLine.objects.filter(party__in=about.ids).order_by("pk")
    keys = list(lines.values_list("pk", flat=True))
    for start in range(0, len(keys), BATCH_SIZE):
        yield from _sheets(about, lines.filter(pk__in=keys[start : start + BATCH_SIZE]))


def _sheets(about: _About, lines: QuerySet[SplitLine]) -> Iterator[Row]:
    """Yield these lines with the answers to them, and who else is on their sheets."""
    answers: dict[int, list[Row]] = defaultdict(list)
    rows = SplitAnswer.objects.filter(line__in=lines.order_by().values("pk")).order_by("pk")
    for pk, confirmed, at, reason, by in rows.values_list(
        "line", "confirmed", "at", "reason", "made_by"
    ):
        answers[pk].append({"yes": confirmed, "at": at, "reason": reason, "by": about.name_of(by)})
    beside: dict[int, list[Row]] = defaultdict(list)
    others = SplitLine.objects.filter(sheet__in=lines.order_by().values("sheet"))
    others = others.exclude(party__in=about.ids).order_by("pk")
    for sheet_id, name, ppm in others.values_list("sheet", "party__name", "ppm"):
        beside[sheet_id].append({"name": name, "ppm": ppm})
    for line in lines.select_related("party", "sheet__recording", "sheet__work"):
        sheet = line.sheet
        yield {
            "party": line.party.name,
            "of": str(sheet.recording or sheet.work),
            "right": sheet.right_type,
            "version": sheet.version,
            "status": sheet.status,
            "ppm": line.ppm,
            "made_at": sheet.created_at,
            "superseded_at": sheet.superseded_at,
            "answers": answers[line.pk],
            # A sheet that is no longer in force shows only the party's own share.
            "beside": beside[sheet.pk] if sheet.superseded_at is None else [],
        }


def _agreements(about: _About) -> Iterator[Row]:
    for row in Agreement.objects.filter(counterparty__in=about.ids).order_by("pk"):
        yield {
            "id": row.pk,
            "title": row.title,
            "signed_on": row.signed_on,
            "ends_on": row.ends_on,
            "terms": row.terms,
            "withdrawal_policy": row.withdrawal_policy,
            "remedy_days": row.remedy_days,
            "document_sha256": row.document_id,
            "entered_at": row.created_at,
        }


SCOPE = (
    "right_type", "use", "purposes", "territories", "model_family", "first_version",
    "last_version", "products", "channels", "condition", "withdrawal_policy", "remedy_days",
    "starts_on", "ends_on", "status", "version", "activated_at", "ended_at", "end_reason",
)  # fmt: skip


def _grants(about: _About) -> Iterator[Row]:
    rows = Grant.objects.filter(grantor__in=about.ids).select_related("grantor")
    rows = rows.prefetch_related("suspensions").order_by("pk")
    for row in rows.iterator(chunk_size=BATCH_SIZE):
        yield {
            "id": row.pk,
            "agreement": row.agreement_id,
            "grantor": row.grantor.name,
            "recording": row.recording_id,
            "work": row.work_id,
            "replaces": row.replaces_id,
            **{name: getattr(row, name) for name in SCOPE},
            "drafted_by": about.name_of(row.drafted_by_id),
            "drafted_at": row.created_at,
            "approved_by": about.name_of(row.approved_by_id) if row.approved_by_id else None,
            "paused": [
                {"since": suspension.since, "until": suspension.until, "reason": suspension.reason}
                for suspension in row.suspensions.all()
            ],
        }


def _opt_outs(about: _About) -> Iterator[Row]:
    rows = OptOut.objects.filter(party__in=about.ids).select_related("party").order_by("pk")
    for row in rows.iterator(chunk_size=BATCH_SIZE):
        yield {
            "party": row.party.name,
            "recording": row.recording_id,
            "use": row.use,
            "at": row.at,
            "by": about.name_of(row.made_by_id) if row.made_by_id else None,
            "reason": row.reason,
        }


def _decisions(about: _About) -> Iterator[Row]:
    for chunk in about.parts():
        rows = DecisionLine.objects.filter(recording__in=chunk).select_related("decision")
        for line in rows.order_by("pk").iterator(chunk_size=BATCH_SIZE):
            decision = line.decision
            context: dict[str, Any] = decision.context
            yield {
                "decision": decision.pk,
                "recording": line.recording_id,
                "use": decision.use,
                "context": {key: context[key] for key in sorted(context) if key not in PROJECTS},
                "at": decision.as_of,
                "allowed": line.allowed,
                "reasons": [
                    reason.sentence
                    for reason in overview.visible_reasons(line.reasons, about.ids, about.ids)
                ],
            }


def _cases(about: _About) -> Iterator[Row]:
    rows = WithdrawalCase.objects.filter(party__in=about.ids).prefetch_related("steps")
    for row in rows.order_by("pk"):
        counts = row.items.order_by().values_list("kind", "outcome").annotate(Count("pk"))
        yield {
            "id": row.pk,
            "use": row.use,
            "reason": row.reason,
            "policy": row.policy,
            "status": row.status,
            "opened_at": row.opened_at,
            "due_at": row.due_at,
            "closed_at": row.closed_at,
            "steps": [
                {"rung": step.rung, "due_at": step.due_at, "done_at": step.done_at}
                for step in row.steps.all()
            ],
            "what_came_of_it": [
                {"kind": kind, "outcome": outcome, "number": number}
                for kind, outcome, number in sorted(counts)
            ],
        }


def _holds(about: _About) -> Iterator[Row]:
    for chunk in about.parts():
        for row in Hold.objects.filter(recording__in=chunk).order_by("pk"):
            own = row.party_id in about.ids
            yield {
                "recording": row.recording_id,
                "use": row.use,
                "at": row.at,
                "lifted_at": row.lifted_at,
                "by": "you" if own else "another holder",
                "reason": row.reason if own else "",
            }


def _usage(about: _About) -> Iterator[Row]:
    for chunk in about.parts():
        rows = UsageEvent.objects.filter(recording__in=chunk).order_by("pk")
        sources = registries.names(rows.order_by().values_list("source", flat=True).distinct())
        for row in rows.iterator(chunk_size=BATCH_SIZE):
            yield {
                "recording": row.recording_id,
                "use": row.use,
                "model": sources[row.source].title,
                "reference": sources[row.source].reference,
                "step": row.step,
                "examples": row.examples,
                "seconds": row.seconds,
                "at": row.at,
            }


def _audit(about: _About) -> Iterator[Row]:
    yield from _lines(about, Party.objects.filter(pk__in=about.ids))
    yield from _lines(about, Agreement.objects.filter(counterparty__in=about.ids))
    yield from _lines(about, Grant.objects.filter(grantor__in=about.ids))
    yield from _lines(about, WithdrawalCase.objects.filter(party__in=about.ids))
    for chunk in about.parts():
        yield from _lines(about, Recording.objects.filter(pk__in=chunk))


def _lines(about: _About, rows: QuerySet[Any]) -> Iterator[Row]:
    model: type[Model] = rows.model
    keys = [str(pk) for pk in rows.order_by("pk").values_list("pk", flat=True)]
    for start in range(0, len(keys), BATCH_SIZE):
        events = AuditEvent.objects.filter(
            subject_type=model._meta.label_lower, subject_id__in=keys[start : start + BATCH_SIZE]
        )
        for event in events.order_by("seq").iterator(chunk_size=BATCH_SIZE):
            yield {
                "seq": event.seq,
                "at": event.at,
                "verb": event.verb,
                "subject": [event.subject_type, event.subject_id],
                "by": about.name_of(event.actor_id),
                "hash": event.hash,
            }


SECTIONS: dict[str, Callable[[_About], Iterator[Row]]] = {
    "parties": _parties,
    "mandates": _mandates,
    "repertoire": _recordings,
    "splits": _splits,
    "agreements": _agreements,
    "grants": _grants,
    "opt_outs": _opt_outs,
    "decisions": _decisions,
    "cases": _cases,
    "holds": _holds,
    "usage": _usage,
    "audit": _audit,
}

"""Acts of the rights app that end permissions for good, ready to be previewed and confirmed.

Each pairs a verb of another module with what its page shows (portal/confirmation.py). A verb
fetches its rows itself, as it runs twice: once for the preview, and again for real.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from portal.confirmation import REHEARSAL_REASON, Act
from portal.database.bulk import among
from portal.database.rehearsal import rehearsed
from portal.models import AuditEvent, User
from rights.catalogue import catalogue
from rights.errors import Refused
from rights.grants import lifecycle, offers
from rights.models import (
    CaseItem,
    Credit,
    Grant,
    Mandate,
    Party,
    Recording,
    SplitSheet,
    Use,
    WithdrawalCase,
    Work,
)
from rights.parties import parties, splits
from rights.withdrawal import cases, descendants, impact, losses, withdraw_party
from rights.withdrawal.impact import Effect

NAMED = 20
# What each verb of the audit log says about a grant, in words.
VERB_LABELS = {
    "grant.withdrawn": "ends",
    "grant.superseded": "ends",
    "grant.declined": "is taken off the table",
    "grant.suspended": "is paused",
    "grant.resumed": "is in force again",
    "grant.excluded": "leaves this recording out",
}

FOR_GOOD = frozenset({VERB_LABELS["grant.withdrawn"], VERB_LABELS["grant.excluded"]})

GrantVerb = Callable[[Grant, User, str], Grant]


@dataclass(frozen=True)
class Ends:
    """What an act would end, read from its audit lines; of many only the first few."""

    grants: list[tuple[Grant, str]]
    more_grants: int
    recordings: list[Recording]
    count: int
    uses: list[Use]

    @property
    def anything(self) -> bool:
        return bool(self.grants or self.count)

    @property
    def for_good(self) -> bool:
        """Whether anything ends for good; a pause or a declined offer does not count."""
        return bool(self.count) or any(words in FOR_GOOD for _, words in self.grants)


def describe_endings(lines: Collection[AuditEvent]) -> Ends:
    """Return the grants and recordings that these audit lines are about, for a page."""
    label = Grant._meta.label_lower
    words_by_grant = {
        int(line.subject_id): VERB_LABELS[line.verb]
        for line in lines
        if line.subject_type == label and line.verb in VERB_LABELS
    }
    grants = Grant.objects.filter(pk__in=list(words_by_grant)[:NAMED]).select_related(
        "grantor", "recording", "work"
    )
    hold_bodies = [line.body for line in lines if line.verb == "hold.placed"]
    recordings = {pk for body in hold_bodies for pk in body["recordings"]}
    uses = {use for body in hold_bodies for use in body["uses"]}
    return Ends(
        [(grant, words_by_grant[grant.pk]) for grant in grants.order_by("pk")],
        max(0, len(words_by_grant) - NAMED),
        list(Recording.objects.filter(pk__in=sorted(recordings)[:NAMED])),
        len(recordings),
        [use for use in Use if use in uses],
    )


def withdrawing(grant: Grant, *, by: User, reason: str = REHEARSAL_REASON) -> Act[Effect, Grant]:
    pk = grant.pk
    return Act(
        by=by,
        name=f"grant.withdraw:{pk}",
        look=lambda: impact.of_ending([_grant(pk)]),
        facts=Effect.facts,
        verb=lambda: lifecycle.withdraw(_grant(pk), by, reason),
    )


def answering(
    grant: Grant, verb: GrantVerb, *, by: User, reason: str = REHEARSAL_REASON
) -> Act[list[object], Grant]:
    """Return the act that suspends, resumes or declines a grant. The number of its suspensions is
    bound, so that an old page cannot repeat the act."""
    pk = grant.pk

    def look() -> list[object]:
        row = _grant(pk)
        return [row.status, row.suspensions.count()]

    return Act(
        by=by,
        name=f"grant.{verb.__name__}:{pk}",
        look=look,
        facts=lambda shown: shown,
        verb=lambda: verb(_grant(pk), by, reason),
    )


def activating(grant: Grant, *, by: User) -> Act[Effect | None, Grant]:
    """Return the act that puts an offer in force, which ends the version that it replaces. Its
    effect is that of this ending; None where nothing is replaced."""
    pk = grant.pk
    return Act(
        by=by,
        name=f"grant.activate:{pk}",
        look=lambda: _of_replacing(_grant(pk)),
        facts=lambda effect: effect.facts() if effect else None,
        verb=lambda: lifecycle.activate(_grant(pk), by),
    )


def replaces_open(grant: Grant) -> bool:
    """Return whether putting the grant in force ends another one."""
    return grant.replaces is not None and grant.replaces.status in Grant.OPEN_STATUSES


def _of_replacing(grant: Grant) -> Effect | None:
    old = grant.replaces
    if old is None or not replaces_open(grant):
        return None
    with rehearsed():
        # With the new version in force, only what it does not cover is lost.
        offered = Grant.objects.filter(pk=grant.pk, status=Grant.Status.OFFERED)
        offered.update(status=Grant.Status.ACTIVE, activated_at=timezone.now())
        return impact.of_ending([old])


def opting_out(
    recording: Recording,
    use: Use,
    holders: Collection[Party],
    *,
    by: User,
    reason: str = REHEARSAL_REASON,
) -> Act[Effect, None]:
    """Return the act by which these parties, one by one, opt a recording out of one use."""
    pks = sorted(party.pk for party in holders)

    def parties() -> QuerySet[Party]:
        return Party.objects.filter(pk__in=pks).order_by("pk")

    def look() -> Effect:
        speaking = {party: lifecycle.covering(recording, use, party) for party in parties()}
        return impact.of_opting_out(recording, speaking)

    def verb() -> None:
        opting_out = list(parties())
        if not opting_out:
            raise Refused("nothing_granted", "Nothing is allowed here, so nothing is to end.")
        with transaction.atomic():
            for party in opting_out:
                lifecycle.opt_out(recording, use, party, by, reason)

    return Act(
        by=by,
        name=f"recording.opt_out:{recording.pk}",
        look=look,
        facts=lambda effect: [str(use), pks, effect.facts()],
        verb=verb,
    )


def ending_use(
    party: Party, use: Use, *, by: User, reason: str = REHEARSAL_REASON
) -> Act[Effect, int]:
    """Return the act that ends all that a party allows or offers for one use."""

    def look() -> Effect:
        return impact.of_ending(list(offers.open_grants(party, use).select_related("grantor")))

    def verb() -> int:
        return offers.end_everywhere(by=by, party=party, use=use, reason=reason)

    name = f"party.end_use:{party.pk}:{use}"
    return Act(by=by, name=name, look=look, facts=Effect.facts, verb=verb)


def leaving_with_all(
    party: Party, *, by: User, reason: str = REHEARSAL_REASON
) -> Act[Effect, list[WithdrawalCase]]:
    return Act(
        by=by,
        name=f"party.leave:{party.pk}",
        look=lambda: impact.of_ending(withdraw_party.ending(party)),
        facts=Effect.facts,
        verb=lambda: withdraw_party.leave(party, by=by, reason=reason),
    )


def revoking(
    mandate: Mandate, *, by: User, reason: str = REHEARSAL_REASON
) -> Act[dict[str, list[Recording]], Mandate]:
    pk = mandate.pk
    return Act(
        by=by,
        name=f"mandate.revoke:{pk}",
        look=lambda: permitted_through(Mandate.objects.get(pk=pk)),
        facts=lambda recordings: {
            use: sorted(row.pk for row in rows) for use, rows in recordings.items()
        },
        verb=lambda: parties.end_mandate(Mandate.objects.get(pk=pk), by, reason),
    )


def permitted_through(mandate: Mandate) -> dict[str, list[Recording]]:
    """Return, by use, the recordings that are permitted through the mandate alone."""
    return {
        loss.use: list(Recording.objects.filter(pk__in=among(loss.recordings)).order_by("pk"))
        for loss in losses.of_mandate(mandate)
    }


def proposing(
    subject: Recording | Work, lines: Mapping[Party, int], *, by: User
) -> Act[list[object], SplitSheet]:
    """Return the act that proposes a sheet; the superseded one and the typed shares are bound."""

    def look() -> list[object]:
        rows = subject.splits.filter(superseded_at=None)
        return [[row.pk, row.status] for row in rows.order_by("pk")]

    name = f"split.propose:{subject._meta.model_name}:{subject.pk}"
    return Act(
        by=by,
        name=name,
        look=look,
        facts=lambda shown: shown,
        verb=lambda: splits.propose(by=by, subject=subject, lines=lines),
    )


def disputing(
    sheet: SplitSheet, party: Party, *, by: User, reason: str = REHEARSAL_REASON
) -> Act[str, SplitSheet]:
    def look() -> str:
        return str(SplitSheet.objects.get(pk=sheet.pk).status)

    return Act(
        by=by,
        name=f"split.dispute:{sheet.pk}:{party.pk}",
        look=look,
        facts=lambda shown: shown,
        verb=lambda: splits.dispute(sheet=sheet, party=party, by=by, reason=reason),
    )


def attaching(recording: Recording, work: Work, *, by: User) -> Act[None, None]:
    """Return the act that attaches a work to a recording; a work is never removed again."""
    return Act(
        by=by,
        name=f"recording.attach_work:{recording.pk}:{work.pk}",
        look=lambda: None,
        facts=lambda shown: shown,
        verb=lambda: catalogue.attach_work(by=by, recording=recording, work=work),
    )


def crediting(subject: Recording | Work, *, by: User, **credit: Any) -> Act[None, Credit]:
    """Return the act that adds a credit; what was allowed so far then needs its artist to agree."""
    return Act(
        by=by,
        name=f"credit.add:{subject._meta.model_name}:{subject.pk}",
        look=lambda: None,
        facts=lambda shown: shown,
        verb=lambda: catalogue.add_credit(by=by, subject=subject, **credit),
    )


# --- Acts on what was derived from the music ---------------------------------------------------


def remedying(case: WithdrawalCase, kind: str, *, by: User, note: str = "") -> Act[list[str], int]:
    """Return the act that retires or recalls the open items of a kind: those shown, no others."""
    pk = case.pk

    def look() -> list[str]:
        open_items = CaseItem.objects.filter(case=pk, kind=kind).exclude(
            outcome__in=cases.SETTLED_OUTCOMES
        )
        return sorted(open_items.values_list("key", flat=True))

    return Act(
        by=by,
        name=f"case.remedy:{pk}:{kind}",
        look=look,
        facts=lambda keys: keys,
        verb=lambda: cases.remedy(WithdrawalCase.objects.get(pk=pk), kind, by, note),
    )


def settling(
    item: CaseItem, *, by: User, outcome: str, note: str, replaced_by: str
) -> Act[descendants.Node | None, CaseItem]:
    """Return the act that settles one item by hand. Its page names what replaces it: ids get
    mistyped."""
    pk = item.pk

    def verb() -> CaseItem:
        row = CaseItem.objects.select_related("case__party").get(pk=pk)
        return cases.settle(row, outcome=outcome, by=by, note=note, replaced_by=replaced_by)

    return Act(
        by=by,
        name=f"case.settle:{pk}",
        look=lambda: descendants.kind(item.kind).now([replaced_by]).get(replaced_by),
        facts=lambda node: [outcome, node.key if node else ""],
        verb=verb,
    )


def closing(
    case: WithdrawalCase, *, by: User, note: str = REHEARSAL_REASON
) -> Act[list[object], object]:
    """Return the act that closes a case with its final statement, on the items that were shown."""
    pk = case.pk

    def look() -> list[object]:
        items = CaseItem.objects.filter(case=pk).order_by("kind", "outcome")
        counts = items.values_list("kind", "outcome").annotate(number=Count("pk"))
        return [list(row) for row in counts]

    return Act(
        by=by,
        name=f"case.close:{pk}",
        look=look,
        facts=lambda shown: shown,
        verb=lambda: cases.close(WithdrawalCase.objects.get(pk=pk), by, note),
    )


def _grant(pk: int) -> Grant:
    return Grant.objects.select_related("grantor", "replaces", "recording", "work").get(pk=pk)

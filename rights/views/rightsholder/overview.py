"""The artist's own pages: their recordings, what they allow, and turning each use on or off.

Every query starts from the parties that the person speaks for; nothing else is shown.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from backline.uses import use_named
from portal.confirmation import Act
from portal.inputs import parameters
from portal.models import Role, User
from portal.views import signed_in
from rights import acts
from rights.access import open_to, page_of
from rights.consent import consent, persons
from rights.errors import Refused
from rights.forms.rightsholder import EndForm, OfferForm
from rights.grants import choices, lifecycle, offers, plain_language
from rights.models import Grant, Party, Recording, SplitLine, SplitSheet, UsageEvent, Use
from rights.rightsholder import overview, page_summary, use_status
from rights.rightsholder.use_status import UseStatus
from rights.views import confirming
from rights.withdrawal import holds, impact

holders = open_to(Role.RIGHTSHOLDER)
NOTHING = impact.Effect(0, [], [], [], [])


@require_safe
@holders
def repertoire(request: HttpRequest) -> HttpResponse:
    """List the user's recordings, a page at a time, each with its uses in words."""
    user = signed_in(request)
    parties = list(user.parties.prefetch_related("people"))
    query = parameters.read_parameters(request).text("q")
    recordings = choices.search(overview.repertoire(parties), query).prefetch_related("works")
    page = page_of(request, recordings)
    page_rows = list(page.object_list)
    summary = page_summary.summarise(use_status.statuses_of(page_rows, parties))
    context = {
        "tab": "recordings",
        "page": page,
        "summary": summary,
        "rows": [(row, summary.different[row.pk]) for row in page_rows],
        "query": query,
        "parties": parties,
        "signs_for": overview.signed_for_by(parties),
        "unanswered": unanswered(user).count(),
        "asked": offers_to(user).count(),
    }
    return render(request, "rights/mine.html", context)


def unanswered(user: User) -> QuerySet[SplitLine]:
    return overview.lines_of(overview.parties_of(user)).filter(
        confirmed_at=None,
        disputed_at=None,
        sheet__status__in=[SplitSheet.Status.CONFIRMING, SplitSheet.Status.DISPUTED],
    )


def offers_to(user: User) -> QuerySet[Grant]:
    """Return the grants that the lab has drafted and that wait for this person's answer."""
    rows = Grant.objects.filter(grantor__people=user, status=Grant.Status.OFFERED)
    return rows.exclude(drafted_by__parties__in=user.parties.all()).select_related(
        "grantor", "recording", "work", "agreement"
    )


@require_safe
@holders
def fragment(request: HttpRequest) -> HttpResponse:
    """Render the rightsholder's part of the home page."""
    user = signed_in(request)
    rows = overview.repertoire(overview.parties_of(user))
    usage = UsageEvent.objects.filter(recording__in=rows.values("pk"))
    context = {
        "count": rows.count(),
        "used": usage.aggregate(seconds=Sum("seconds"), models=Count("source", distinct=True)),
        "unanswered": unanswered(user).count(),
        "asked": offers_to(user).count(),
    }
    return render(request, "rights/mine.html#summary", context)


@dataclass(frozen=True)
class UseRow:
    """One use of one recording, ready to show."""

    standing: UseStatus
    meaning: str
    personal: bool
    because: list[overview.VisibleReason]

    @property
    def use(self) -> Use:
        return self.standing.use


@require_safe
@holders
def recording(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one of the user's recordings: each use in plain words, on or off, and why."""
    parties, row = _mine(request, pk)
    known_parties = overview.known_parties(parties, row)
    own = {party.pk for party in parties}
    is_artist = persons.credits_of(own).filter(recording=row).exists()
    usage = UsageEvent.objects.filter(recording=row)
    context = {
        "recording": row,
        "parties": parties,
        "artist": is_artist,
        "uses": [
            UseRow(
                standing=status,
                meaning=status.use.facts.meaning,
                personal=bool(status.use.facts.asks),
                because=overview.visible_reasons(status.reasons, own, known_parties),
            )
            for status in use_status.statuses_of([row], parties)[row.pk]
        ],
        "used": usage.aggregate(
            seconds=Sum("seconds"), examples=Sum("examples"), models=Count("source", distinct=True)
        ),
        "sheets": _sheets(parties, row),
        "own": own,
    }
    return render(request, "rights/mine_recording.html", context)


def _sheets(parties: list[Party], row: Recording) -> list[SplitSheet]:
    """Return the sheets of this recording that list one of the parties; no others."""
    own_lines = SplitLine.objects.filter(party__in=parties, sheet__superseded_at=None)
    rows = SplitSheet.objects.filter(pk__in=own_lines.values("sheet")).select_related(
        "recording", "work"
    )
    sheets = rows.filter(recording=row) | rows.filter(work__recordings=row)
    return list(sheets.distinct().prefetch_related("lines__party").order_by("right_type", "pk"))


@require_http_methods(["GET", "HEAD", "POST"])
@holders
def offer_use(request: HttpRequest, pk: int, use: str) -> HttpResponse:
    """GET previews what an offer of this use would mean; POST offers it to the lab."""
    user = signed_in(request)
    parties, row = _mine(request, pk)
    requested_use = use_of(use)
    form = OfferForm(request.POST or None, use=requested_use)
    if form.is_valid():
        with form.refusals(), transaction.atomic():
            _offer_for(user, parties, requested_use, row, form)
            messages.success(request, f"Offered “{row}” for {consent.in_words(use)}.")
            return redirect("rights:mine_recording", pk=row.pk)
    line = consent.evaluate([row], requested_use, choices.USUAL)[row.pk]
    own = {party.pk for party in parties}
    others = [reason for reason in line.reasons if reason["party_id"] not in own]
    context = {
        "form": form,
        "recording": row,
        "parties": [party for party in parties if offers.rights_of(party, use, row)],
        "use": requested_use,
        "meaning": requested_use.facts.meaning,
        "personal": bool(requested_use.facts.asks),
        "because": overview.visible_reasons(others, own, overview.known_parties(parties, row)),
    }
    return render(request, "rights/mine_on.html", context, status=422 if form.errors else 200)


def _offer_for(
    user: User, parties: list[Party], use: Use, row: Recording | None, form: OfferForm
) -> None:
    """Offer it for each party that holds a right; raise the last refusal if nothing was offered."""
    offered, refusal = 0, Refused("no_right", "You hold no right that this use needs.")
    for party in parties:
        if not offers.rights_of(party, use, row):
            continue
        try:
            offered += len(
                offers.offer(by=user, party=party, use=use, recording=row, **form.cleaned_data)
            )
        except Refused as error:
            refusal = error
    if not offered:
        raise refusal


@require_http_methods(["GET", "HEAD", "POST"])
@holders
def end_use(request: HttpRequest, pk: int, use: str) -> HttpResponse:
    """GET previews what ending the use affects; POST ends it for this recording, for good."""
    user = signed_in(request)
    parties, row = _mine(request, pk)
    requested_use = use_of(use)
    allowing = [party for party in parties if lifecycle.covering(row, use, party)]
    form = EndForm(request.POST or None)

    def act(data: dict[str, Any]) -> Act[impact.Effect, None]:
        return acts.opting_out(row, requested_use, allowing, by=user, **data)

    if confirming.perform_if_valid(request, form, act):
        messages.success(request, f"“{row}” is off for {consent.in_words(use)}.")
        return redirect("rights:mine_recording", pk=row.pk)
    page = confirming.act_page(act({}))
    context = page.context
    grants = page.preview.grants if page.preview else []
    context |= {
        "form": form,
        "recording": row,
        "use": requested_use,
        "effect": Effect.shown(page.preview),
        "wider": [grant for grant in grants if grant.recording_id is None],
    }
    return render(request, "rights/mine_off.html", context, status=confirming.status(form))


@dataclass(frozen=True)
class Effect:
    """What ending some of the user's grants brings about, in counts and plain words."""

    recordings: int
    counts: list[tuple[int, str]]
    policies: list[str]
    seconds: float
    only_offered: bool
    stays: bool
    anything: bool

    @classmethod
    def shown(cls, effect: impact.Effect | None) -> "Effect":
        """Return the effect to show; without one the act cannot be done, so nothing would end."""
        return (
            cls.from_impact([], NOTHING)
            if effect is None
            else cls.from_impact(effect.grants, effect)
        )

    @classmethod
    def from_impact(cls, grants: list[Grant], effect: impact.Effect) -> "Effect":
        in_force = [grant for grant in grants if grant.status != Grant.Status.OFFERED]
        return cls(
            recordings=effect.count,
            counts=[
                (
                    len(level.nodes),
                    plain_language.consequence(
                        level.kind.name, len(level.nodes), stays=effect.stays
                    ),
                )
                for level in effect.levels
            ],
            policies=list(dict.fromkeys(plain_language.policy(grant) for grant in in_force)),
            seconds=effect.seconds,
            only_offered=bool(grants) and not in_force,
            stays=effect.stays,
            anything=bool(grants),
        )


def use_of(code: str) -> Use:
    use = use_named(code)
    if use is None:
        raise Http404
    return use


def _mine(request: HttpRequest, pk: int) -> tuple[list[Party], Recording]:
    """Return the user's parties that have a part in the recording, and the recording, or 404."""
    parties = list(signed_in(request).parties.prefetch_related("people"))
    row = get_object_or_404(overview.repertoire(parties), pk=pk)
    own_pks = [party.pk for party in parties]
    holder_pks = set(holds.holders(row).filter(pk__in=own_pks).values_list("pk", flat=True))
    return [party for party in parties if party.pk in holder_pks], row

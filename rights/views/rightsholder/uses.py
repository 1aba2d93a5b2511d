"""A party's choices for its whole catalogue: each use on or off at once, with a preview."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from portal.confirmation import Act
from portal.inputs import parameters
from portal.views import signed_in
from rights import acts
from rights.consent import consent, opt_outs
from rights.forms.rightsholder import EndForm, OfferForm
from rights.grants import offers
from rights.models import Grant, OptOut, Party, Use
from rights.rightsholder import overview, use_status
from rights.views import confirming
from rights.views.rightsholder.overview import Effect, holders, offers_to, unanswered, use_of
from rights.withdrawal import impact

Status = Grant.Status


@dataclass
class CatalogueUse:
    """The state of one use for a whole catalogue: the grants for all of it, and how many there are
    for single recordings or works."""

    use: Use
    meaning: str
    personal: bool
    wide: list[Grant]
    single: int = 0
    waiting_single: int = 0
    left_out: int = 0
    # How many of these have since been allowed in part, by a grant for the recording alone.
    partly_allowed: int = 0
    # Grants of the party's agents by mandate, for everything that they sign for.
    agent_grants: list[Grant] = field(default_factory=list)
    # Whether the lab drafted the waiting offer, so that the party has to answer.
    asked_by_lab: bool = False
    # Whether grants cover every right of the party that the use needs.
    covers_all_rights: bool = False

    @property
    def state(self) -> str:
        """One of on, part, asked, offered, paused, single and off."""
        statuses = {grant.status for grant in (*self.wide, *self.agent_grants)}
        if statuses == {Status.ACTIVE}:
            return "on" if self.covers_all_rights else "part"
        if Status.ACTIVE in statuses:
            return "part"
        if Status.SUSPENDED in statuses:
            return "paused"
        if Status.OFFERED in statuses:
            return "asked" if self.asked_by_lab else "offered"
        return "single" if self.single else "off"

    @property
    def mark(self) -> str:
        return {"on": "allowed", "off": "closed", "offered": "offered"}.get(self.state, "warn")

    @property
    def words(self) -> str:
        text = {
            "on": "On for your whole catalogue",
            "part": "On for a part of your rights only, which is not enough",
            "paused": "Paused by the lab",
            "asked": "The lab asks you for it",
            "offered": "Offered, waiting for the lab",
            "single": "Off for the catalogue",
            "off": "Off",
        }[self.state]
        if self.left_out and self.state in {"on", "part"}:
            text += f", without {_counted(self.left_out, 'recording')} you took out"
            if self.partly_allowed:
                text += f" ({self.partly_allowed} but for what you allowed of them since)"
        if self.single and self.state != "on":
            text += f"; on for {_counted(self.single, 'recording or work', 'recordings or works')}"
        if self.waiting_single:
            text += f"; {_counted(self.waiting_single, 'single offer')} waiting"
        return text + "."

    @property
    def can_end(self) -> bool:
        return bool(self.wide or self.single or self.waiting_single)

    @property
    def ending(self) -> str:
        """The label of the button that ends it, which depends on whether anything is in force."""
        if self.single or any(grant.status != Status.OFFERED for grant in self.wide):
            return "Switch off for all"
        return "Say no" if self.asked_by_lab else "Take back"

    @property
    def can_offer(self) -> bool:
        return not self.covers_all_rights


def _counted(number: int, singular: str, plural: str = "") -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


@require_safe
@holders
def uses(request: HttpRequest) -> HttpResponse:
    """Show each use in one sentence, and its state for a party's whole catalogue."""
    user = signed_in(request)
    parties = overview.parties_of(user)
    chosen_pk = parameters.read_parameters(request).text("party")
    party = next(
        (candidate for candidate in parties if str(candidate.pk) == chosen_pk),
        parties[0] if parties else None,
    )
    context: dict[str, object] = {"tab": "uses", "parties": parties, "party": party}
    if party is not None:
        rows = catalogue(party)
        context |= {
            "rows": rows,
            "may_leave": any(row.can_end for row in rows),
            "count": overview.repertoire([party]).count(),
            "agreement": offers.running_agreement(party),
            "asked": offers_to(user).count(),
            "unanswered": unanswered(user).count(),
        }
    return render(request, "rights/mine_uses.html", context)


def catalogue(party: Party) -> list[CatalogueUse]:
    """Return all uses of a party, in a constant number of queries."""
    rows = {use: CatalogueUse(use, use.facts.meaning, bool(use.facts.asks), []) for use in Use}
    open_grants = Grant.objects.filter(grantor=party, status__in=Grant.OPEN_STATUSES)
    wide = open_grants.filter(recording=None, work=None)
    own_people = set(party.people.values_list("pk", flat=True))
    for grant in wide.select_related("grantor", "agreement").order_by("pk"):
        row = rows[Use(grant.use)]
        row.wide.append(grant)
        row.asked_by_lab = row.asked_by_lab or (
            grant.status == Status.OFFERED and grant.drafted_by_id not in own_people
        )
    agents = use_status.signed_for([party.pk]).get(party.pk, {})
    agent_grants = Grant.objects.filter(
        grantor__in=agents, status=Status.ACTIVE, recording=None, work=None
    )
    for grant in agent_grants.select_related("grantor").order_by("pk"):
        if grant.right_type in agents[grant.grantor_id]:
            rows[Use(grant.use)].agent_grants.append(grant)
    narrow = open_grants.exclude(recording=None, work=None).order_by()
    for use, status, number in narrow.values_list("use", "status").annotate(
        number=Count("recording", distinct=True) + Count("work", distinct=True)
    ):
        row = rows[Use(use)]
        if status == Status.OFFERED:
            row.waiting_single += number
        else:
            row.single += number
    opt_out_rows = OptOut.objects.filter(party=party)
    for use, number in _by_use(opt_out_rows):
        rows[Use(use)].left_out = number
    for use, number in _by_use(opt_outs.eased_by_later_grants(opt_out_rows)):
        rows[Use(use)].partly_allowed = number
    plain_rights = set(offers.rights_of(party, Use.EVAL))
    personal_rights = set(offers.rights_of(party, Use.VOICE))
    for use, row in rows.items():
        needed = personal_rights if use.facts.asks else plain_rights
        granted = {grant.right_type for grant in (*row.wide, *row.agent_grants)}
        row.covers_all_rights = bool(needed) and needed <= granted
    return list(rows.values())


def _by_use(rows: QuerySet[OptOut]) -> Iterable[tuple[str, int]]:
    """Return for each use how many recordings have one of these opt-outs."""
    return rows.order_by().values_list("use").annotate(Count("recording", distinct=True))


@require_http_methods(["GET", "HEAD", "POST"])
@holders
def use_on(request: HttpRequest, pk: int, use: str) -> HttpResponse:
    """GET previews an offer for a party's whole catalogue; POST makes it."""
    user = signed_in(request)
    party = get_object_or_404(user.parties.all(), pk=pk)
    requested_use = use_of(use)
    form = OfferForm(request.POST or None, use=requested_use)
    if form.is_valid():
        with form.refusals():
            offers.offer(by=user, party=party, use=use, **form.cleaned_data)
            messages.success(request, f"Offered everything for {consent.in_words(use)}.")
            return _back(party)
    rows = OptOut.objects.filter(party=party, use=use)
    context = {
        "form": form,
        "party": party,
        "parties": [party],
        "use": requested_use,
        "meaning": requested_use.facts.meaning,
        "personal": bool(requested_use.facts.asks),
        "count": overview.repertoire([party]).count(),
        "left_out": rows.values("recording").distinct().count(),
        "eased": opt_outs.eased_by_later_grants(rows).values("recording").distinct().count(),
    }
    return render(request, "rights/mine_on.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@holders
def use_off(request: HttpRequest, pk: int, use: str) -> HttpResponse:
    """GET previews what ending a use everywhere affects; POST ends it, for good."""
    user = signed_in(request)
    party = get_object_or_404(user.parties.all(), pk=pk)
    requested_use = use_of(use)
    form = EndForm(request.POST or None)

    def act(data: dict[str, Any]) -> Act[impact.Effect, int]:
        return acts.ending_use(party, requested_use, by=user, **data)

    if confirming.perform_if_valid(request, form, act):
        messages.success(request, f"Off for {consent.in_words(use)}: everything of {party}.")
        return _back(party)
    page = confirming.act_page(act({}))
    context = page.context
    context |= {
        "form": form,
        "party": party,
        "use": requested_use,
        "effect": Effect.shown(page.preview),
    }
    return render(request, "rights/mine_off.html", context, status=confirming.status(form))


def _back(party: Party) -> HttpResponse:
    response = redirect("rights:mine_uses")
    response["Location"] += f"?party={party.pk}"
    return response

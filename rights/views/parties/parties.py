"""Pages of parties: their details, identifiers and members, and who speaks or signs for them."""

from django.contrib import messages
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html_join
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import audit
from portal.inputs import parameters
from portal.inputs.text import matching, matching_code
from portal.models import Role
from portal.views import signed_in
from rights.access import READERS, is_admin, open_to, page_of
from rights.consent import persons
from rights.errors import Refused
from rights.forms import DetailsForm, IdentifierForm, MemberForm, PartyForm
from rights.forms.picks import KINDS
from rights.grants import choices
from rights.models import Grant, Mandate, Party, PartyIdentifier, Recording
from rights.parties import members
from rights.parties import parties as verbs
from rights.views.frames import form_page


@require_safe
@open_to(*READERS)
def parties(request: HttpRequest) -> HttpResponse:
    query = parameters.read_parameters(request).text("q")
    rows = Party.objects.visible_to(signed_in(request))
    if query:
        rows = rows.filter(
            matching(query, "name", "credited_as") | matching_code(query, "identifiers__value")
        ).distinct()
    rows = rows.annotate(agreed=models.Count("agreements", distinct=True))
    rows = rows.prefetch_related("identifiers").order_by("name", "pk")
    context = {"page": page_of(request, rows), "query": query, "is_admin": is_admin(request)}
    return render(request, "rights/parties.html", context)


@require_safe
@open_to(*READERS)
def party(request: HttpRequest, pk: int) -> HttpResponse:
    return _page(request, _party(request, pk))


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def party_new(request: HttpRequest) -> HttpResponse:
    form = PartyForm(request.POST or None)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    back = reverse("rights:parties")
    return form_page(request, form, heading="New party", button="Add party", back=back)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def party_amend(request: HttpRequest, pk: int) -> HttpResponse:
    row = _party(request, pk)
    fields = ("name", "kind", "credited_as", "contact")
    initial = {name: getattr(row, name) for name in fields} | {"people": row.people.all()}
    form = DetailsForm(request.POST or None, initial=initial)
    if form.is_valid():
        with form.refusals():
            return redirect(form.amend(by=signed_in(request), party=row))
    return form_page(
        request,
        form,
        heading=f"Change {row}",
        button="Change it",
        back=row.get_absolute_url(),
        words="What was decided and printed so far keeps the name that stood then.",
    )


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def party_identify(request: HttpRequest, pk: int) -> HttpResponse:
    row = _party(request, pk)
    form = IdentifierForm(request.POST)
    if form.is_valid():
        # A refusal names the scheme; this form has one field for every number.
        with form.refusals():
            identifier = form.save(by=signed_in(request), party=row)
            if identifier and identifier.warning:
                messages.warning(
                    request, f"{identifier.get_scheme_display()}: {identifier.warning}"
                )
            return redirect(row)
    return _page(request, row, identifier_form=form, status=422)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def party_member(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a person who belongs or belonged to the group."""
    row = _party(request, pk)
    form = MemberForm(request.POST)
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), group=row)
            return redirect(row)
    return _page(request, row, member_form=form, status=422)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def party_members_complete(request: HttpRequest, pk: int) -> HttpResponse:
    """Declare the members complete: until then nobody can allow uses of their name or likeness."""
    row = _party(request, pk)
    try:
        members.declare_complete(by=signed_in(request), group=row)
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect(row)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def party_unidentify(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    row = get_object_or_404(PartyIdentifier, pk=number, party=_party(request, pk))
    verbs.remove_identifier(by=signed_in(request), identifier=row)
    return redirect(row.party)


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def find(request: HttpRequest, kind: str) -> HttpResponse:
    """Suggest rows for a field that is being typed in: the one value sent is the text so far."""
    if kind not in KINDS:
        raise Http404
    options = (
        (label,) for label in KINDS[kind].suggest(parameters.read_parameters(request).first())
    )
    return HttpResponse(format_html_join("", '<option value="{}"></option>', options))


def _page(
    request: HttpRequest,
    row: Party,
    *,
    identifier_form: IdentifierForm | None = None,
    member_form: MemberForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = signed_in(request)
    # Subqueries by pk: three joins over a large catalogue would multiply their rows.
    sheets = choices.open_sheets_of(row)
    recordings = Recording.objects.visible_to(user).filter(
        models.Q(pk__in=Recording.objects.filter(splits__in=sheets).values("pk"))
        | models.Q(pk__in=Recording.objects.filter(works__splits__in=sheets).values("pk"))
        | models.Q(pk__in=row.credits.exclude(recording=None).values("recording"))
    )
    mandates = Mandate.objects.visible_to(user).select_related("holder", "agent")
    grants = Grant.objects.visible_to(user).filter(grantor=row)
    context = {
        "party": row,
        "identifiers": row.identifiers.all(),
        "identifier_form": identifier_form or IdentifierForm(),
        "member_form": member_form or MemberForm(),
        "members": persons.members(row),
        "speaks_through_members": persons.speaks_through_members(row),
        "groups": Party.objects.filter(members__member=row),
        "page": page_of(request, recordings.prefetch_related("credits__party")),
        "grants": grants.select_related("grantor", "agreement", "recording", "work")[:25],
        "grants_count": grants.count(),
        "given": mandates.filter(holder=row),
        "held": mandates.filter(agent=row),
        "history": audit.history(row)[:20],
        "is_admin": is_admin(request),
    }
    return render(request, "rights/party.html", context, status=status)


def _party(request: HttpRequest, pk: int) -> Party:
    return get_object_or_404(Party.objects.visible_to(signed_in(request)), pk=pk)

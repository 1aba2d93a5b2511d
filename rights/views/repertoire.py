"""Parties, works and recordings: looking, searching, adding."""

from django.contrib import messages
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import audit
from portal.models import Role
from portal.serving import ranged
from portal.views import signed_in
from rights import choices
from rights.forms import AttachForm, CreditForm, PartyForm, UploadForm, VerbForm, WorkForm
from rights.models import Grant, Party, Recording, SplitSheet, Work
from rights.views.access import READERS, is_admin, open_to, page_of


@require_safe
@open_to(*READERS)
def parties(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    rows = Party.objects.visible_to(signed_in(request)).filter(
        models.Q(name__icontains=query) | models.Q(credited_as__icontains=query)
    )
    rows = rows.annotate(agreed=models.Count("agreements")).order_by("name", "pk")
    context = {"page": page_of(request, rows), "query": query, "is_admin": is_admin(request)}
    return render(request, "rights/parties.html", context)


@require_safe
@open_to(*READERS)
def party(request: HttpRequest, pk: int) -> HttpResponse:
    user = signed_in(request)
    row = get_object_or_404(Party.objects.visible_to(user), pk=pk)
    recordings = Recording.objects.visible_to(user).filter(
        models.Q(splits__in=choices.open_sheets_of(row))
        | models.Q(works__splits__in=choices.open_sheets_of(row))
        | models.Q(credits__party=row)
    )
    context = {
        "party": row,
        "page": page_of(request, recordings.distinct()),
        "grants": Grant.objects.visible_to(user).filter(grantor=row).select_related("agreement"),
        "is_admin": is_admin(request),
    }
    return render(request, "rights/party.html", context)


@require_http_methods(["GET", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def party_new(request: HttpRequest) -> HttpResponse:
    form = PartyForm(request.POST or None)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    return _form(request, form, "New party", "Add party", "rights:parties")


@require_safe
@open_to(*READERS)
def works(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    rows = Work.objects.visible_to(signed_in(request)).filter(
        models.Q(title__icontains=query) | models.Q(iswc__icontains=query)
    )
    rows = rows.prefetch_related("credits__party", choices.current_split("splits"))
    context = {"page": page_of(request, rows), "query": query, "is_admin": is_admin(request)}
    return render(request, "rights/works.html", context)


@require_safe
def work(request: HttpRequest, pk: int) -> HttpResponse:
    user = signed_in(request)
    row = get_object_or_404(Work.objects.visible_to(user), pk=pk)
    context = {
        "work": row,
        "recordings": Recording.objects.visible_to(user).filter(works=row),
        "sheets": _sheets(row),
        "credits": row.credits.select_related("party").order_by("role", "party__name"),
        "credit_form": CreditForm(),
        "is_admin": is_admin(request),
        "own_parties": set(user.parties.values_list("pk", flat=True)),
    }
    return render(request, "rights/work.html", context)


@require_http_methods(["GET", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def work_new(request: HttpRequest) -> HttpResponse:
    form = WorkForm(request.POST or None)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    return _form(request, form, "New work", "Add work", "rights:works")


@require_safe
@open_to(*READERS)
def recordings(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    rows = choices.search(Recording.objects.visible_to(signed_in(request)), query)
    rows = rows.prefetch_related("credits__party", "works", choices.current_split("splits"))
    page = page_of(request, rows)
    context = {
        "page": page,
        "query": query,
        "training": choices.training_words(list(page.object_list)),
        "is_admin": is_admin(request),
    }
    return render(request, "rights/recordings.html", context)


@require_safe
def recording(request: HttpRequest, pk: int) -> HttpResponse:
    user = signed_in(request)
    row = get_object_or_404(Recording.objects.visible_to(user), pk=pk)
    context = {
        "recording": row,
        "works": row.works.prefetch_related(choices.current_split("splits")),
        "sheets": _sheets(row),
        "credits": row.credits.select_related("party").order_by("role", "party__name"),
        "grants": choices.grants_touching(row, user),
        "uses": choices.per_use(row),
        "holds": row.holds.select_related("party").order_by("-at")[:20],
        "history": audit.history(row)[:20],
        "credit_form": CreditForm(),
        "attach_form": AttachForm(),
        "is_admin": is_admin(request),
        "own_parties": set(user.parties.values_list("pk", flat=True)),
    }
    return render(request, "rights/recording.html", context)


@require_safe
def recording_audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    rows = Recording.objects.visible_to(signed_in(request)).select_related("audio")
    row = get_object_or_404(rows, pk=pk)
    if row.audio is None:
        raise Http404
    return ranged(request, row.audio, f"{row.title}.{row.format.lower()}")


@require_http_methods(["GET", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def upload(request: HttpRequest) -> HttpResponse:
    form = UploadForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        with form.refusals():
            row = form.save(by=signed_in(request))
            for warning in row.warnings:
                messages.warning(request, warning)
            return redirect(row)
    return _form(request, form, "Upload a recording", "Upload", "rights:recordings")


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_credit(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Recording.objects.visible_to(signed_in(request)), pk=pk)
    return _credit(request, row)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def work_credit(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Work.objects.visible_to(signed_in(request)), pk=pk)
    return _credit(request, row)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_work(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Recording.objects.visible_to(signed_in(request)), pk=pk)
    form = AttachForm(request.POST)
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), recording=row)
            return redirect(row)
    return _form(request, form, f"Add a work to “{row}”", "Add work", "rights:recordings")


def _credit(request: HttpRequest, row: Recording | Work) -> HttpResponse:
    form = CreditForm(request.POST)
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), subject=row)
            return redirect(row)
    return _form(request, form, f"Add a credit to “{row}”", "Add credit", "rights:recordings")


def _sheets(row: Recording | Work) -> models.QuerySet[SplitSheet]:
    return row.splits.order_by("-version").prefetch_related("lines__party")


def _form(
    request: HttpRequest, form: VerbForm, heading: str, button: str, back: str
) -> HttpResponse:
    context = {"form": form, "heading": heading, "button": button, "back": back}
    return render(request, "rights/form.html", context)

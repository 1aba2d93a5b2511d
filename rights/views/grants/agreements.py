"""Pages of agreements: the signed contracts under which grants are made."""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal.http.serving import blob_response
from portal.inputs import parameters
from portal.inputs.text import matching
from portal.models import Role
from portal.views import signed_in
from rights.access import LOOKERS, is_admin, open_to, page_of
from rights.forms import AgreementForm
from rights.models import Agreement, Grant
from rights.views.frames import form_page


@require_safe
@open_to(*LOOKERS)
def agreements(request: HttpRequest) -> HttpResponse:
    query = parameters.read_parameters(request).text("q")
    rows = Agreement.objects.visible_to(signed_in(request)).select_related("counterparty")
    rows = rows.filter(matching(query, "counterparty__name", "title"))
    context = {"page": page_of(request, rows), "query": query, "is_admin": is_admin(request)}
    return render(request, "rights/agreements.html", context)


@require_safe
@open_to(*LOOKERS)
def agreement(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Agreement.objects.visible_to(signed_in(request)).select_related(
        "counterparty", "created_by"
    )
    row = get_object_or_404(rows, pk=pk)
    grants = row.grants.select_related("grantor", "recording", "work")
    context = {
        "agreement": row,
        "page": page_of(request, grants),
        "offered": grants.filter(status=Grant.Status.OFFERED).count(),
        "is_admin": is_admin(request),
    }
    return render(request, "rights/agreement.html", context)


@require_safe
@open_to(*LOOKERS)
def agreement_document(request: HttpRequest, pk: int) -> HttpResponseBase:
    rows = Agreement.objects.visible_to(signed_in(request)).exclude(document=None)
    row = get_object_or_404(rows.select_related("document"), pk=pk)
    assert row.document is not None  # noqa: S101 - the query excludes None
    return blob_response(request, row.document, f"{row.title}.pdf", attachment=True)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def agreement_new(request: HttpRequest) -> HttpResponse:
    initial = {"counterparty": parameters.read_parameters(request).number("party")}
    form = AgreementForm(request.POST or None, request.FILES or None, initial=initial)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    back = reverse("rights:agreements")
    return form_page(request, form, heading="New agreement", button="Enter agreement", back=back)

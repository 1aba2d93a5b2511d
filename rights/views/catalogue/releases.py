"""Pages of releases: products with their tracks in order."""

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal import audit
from portal.inputs import parameters
from portal.inputs.text import matching, matching_code
from portal.models import Role
from portal.views import signed_in
from rights.access import READERS, is_admin, open_to, page_of
from rights.forms import ReleaseForm
from rights.models import Release
from rights.views.frames import form_page


@require_safe
@open_to(*READERS)
def releases(request: HttpRequest) -> HttpResponse:
    query = parameters.read_parameters(request).text("q")
    rows = Release.objects.annotate(count=models.Count("tracks")).select_related("label")
    if query:
        rows = rows.filter(
            matching(query, "title", "label__name") | matching_code(query, "upc", "grid")
        )
    context = {"page": page_of(request, rows.order_by("title", "pk")), "query": query}
    return render(request, "rights/releases.html", context | {"is_admin": is_admin(request)})


@require_safe
@open_to(*READERS)
def release(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Release.objects.select_related("label"), pk=pk)
    tracks = row.tracks.select_related("recording").prefetch_related("recording__credits__party")
    context = {
        "release": row,
        "recordings": [track.recording for track in tracks.order_by("position")],
        "history": audit.history(row)[:20],
        "is_admin": is_admin(request),
    }
    return render(request, "rights/release.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def release_new(request: HttpRequest) -> HttpResponse:
    form = ReleaseForm(request.POST or None)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    back = reverse("rights:releases")
    return form_page(request, form, heading="New release", button="Add release", back=back)

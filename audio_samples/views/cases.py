"""The audio of a sample for whoever judges it in a withdrawal case, in its project or not."""

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from audio_samples.models import ClipRelease, Sample
from audio_samples.reviews import reviewing
from portal.models import Role
from portal.views import signed_in
from rights.access import open_to
from rights.models import CaseItem, WithdrawalCase


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Serve the sample of a case's item, until the item is settled."""
    cases = WithdrawalCase.objects.visible_to(signed_in(request)).filter(closed_at=None)
    open_items = CaseItem.objects.filter(case__in=cases, settled_at=None)
    item = get_object_or_404(open_items, pk=pk, kind__in=("sample", "clip"))
    if not item.key.isdecimal():
        raise Http404
    number = int(item.key)
    if item.kind == "clip":
        number = get_object_or_404(ClipRelease, pk=number).sample_id
    sample = get_object_or_404(Sample.objects.select_related("audio"), pk=number)
    return reviewing.review_audio(
        request, sample, review=f"case:{item.case_id}", tag=f"case-item-{pk}"
    )

"""The audio of a recording: whole for those who may have it, else a marked preview or a reason."""

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from portal.http.playing import audio_response
from portal.views import signed_in
from rights.catalogue import audio_previews, originals
from rights.models import Recording, Stem, Use


@require_safe
def recording_audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Return the whole file, a marked preview of thirty seconds, or why there is neither."""
    user = signed_in(request)
    rows = Recording.objects.visible_to(user).select_related("audio")
    row = get_object_or_404(rows, pk=pk)
    if row.audio is None:
        raise Http404
    access = originals.access(row, user)
    if access.whole_file:
        return _whole_file(request, row, f"{row.title}.{row.format.lower()}", how="page")
    if not access.preview:
        return _refuse(access.why)
    try:
        preview = audio_previews.preview_of(row)
    except audio_previews.NoPreview as error:
        return _refuse(f"There is no preview of this recording. {error}", status=404)
    return audio_response(request, preview.audio, f"{row.title} (preview).mp3")


@require_safe
def stem_audio(request: HttpRequest, pk: int, number: int) -> HttpResponseBase:
    """Return a stem to rights admins, holders, and projects that may use stems of the recording.
    It has no preview: a part by itself is what the use of stems is about."""
    user = signed_in(request)
    row = get_object_or_404(Recording.objects.visible_to(user), pk=pk)
    stem = get_object_or_404(Stem.objects.select_related("audio"), pk=number, recording=row)
    if not originals.may_have(row, user, Use.STEMS):
        return _refuse(
            "You may not hear this stem: stems are for the recording's holders and for projects "
            "whose dataset holds it for the use of stems."
        )
    response = audio_response(request, stem.audio, f"{row.title} - {stem}.{stem.format.lower()}")
    return _with_fetch_logged(request, row, response, f"stem:{stem.pk}")


def _whole_file(request: HttpRequest, row: Recording, name: str, *, how: str) -> HttpResponseBase:
    assert row.audio is not None  # noqa: S101 - the caller has checked.
    return _with_fetch_logged(request, row, audio_response(request, row.audio, name), how)


def _with_fetch_logged(
    request: HttpRequest, row: Recording, response: HttpResponseBase, how: str
) -> HttpResponseBase:
    """Return the response, after recording the fetch if it carries bytes of the file."""
    if request.method == "GET" and response.status_code in {200, 206}:
        originals.record_fetch(row, by=signed_in(request), how=how)
    return response


def _refuse(sentence: str, status: int = 403) -> HttpResponse:
    refusal = HttpResponse(sentence, status=status, content_type="text/plain; charset=utf-8")
    refusal.headers["Cache-Control"] = "private, no-store"
    return refusal

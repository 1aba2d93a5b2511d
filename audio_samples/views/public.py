"""The clips of a published model, for everybody: no log-in, no script, no record of visitors."""

from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from audio_samples import releases
from audio_samples.models import ClipRelease
from audio_samples.views.samples import answer_gone
from experiments.views.publishing import public
from portal.http.playing import audio_response
from portal.http.serving import ending

POLICY = public.POLICY.replace("img-src", "media-src 'self'; img-src")


@login_not_required
@require_safe
def clips(request: HttpRequest, slug: str) -> HttpResponseBase:
    """List the clips of a model that may be heard now, each with its credits."""
    page_data = public.load_page(slug)
    rows = releases.public_clips(page_data.page)
    veil, left_parties = page_data.learned.veil, page_data.standing.departed
    credited = [(row, veil.redact(row.title), _names(row, left_parties)) for row in rows]
    context = {"shown": page_data, "clips": credited}
    text = render_to_string("models/clips.html", context)
    return public.respond(request, text, policy=POLICY)


def _names(release: ClipRelease, left_parties: frozenset[int]) -> list[str]:
    statement = release.credential.statement if release.credential else None
    return statement.public_names(left_parties) if statement else []


@login_not_required
@require_safe
def audio(request: HttpRequest, slug: str, number: UUID) -> HttpResponseBase:
    """Serve a clip as the signed file, checking each time whether it may still be heard."""
    page = public.load_page(slug).page
    release = releases.public_clip(page, number)
    if release is None or release.file is None:
        return answer_gone("This clip is not to be heard here, or no longer.")
    name = f"{page.slug}-{number}.{ending(release.file.media_type)}"
    return audio_response(request, release.file, name, tag=str(number))

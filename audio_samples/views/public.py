"""The clips of a published model, for everybody: no log-in, no script, nothing kept of who asks."""

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
from portal.http.serving import ending, ranged

POLICY = public.POLICY.replace("img-src", "media-src 'self'; img-src")


@login_not_required
@require_safe
def clips(request: HttpRequest, slug: str) -> HttpResponseBase:
    """What may be heard of a model now, each clip with its credits."""
    shown = public.page_of(slug)
    rows = releases.public_clips(shown.page)
    veil, left = shown.learned.veil, shown.standing.left
    found = [(row, veil.over(row.title), _names(row, left)) for row in rows]
    context = {"shown": shown, "clips": found}
    text = render_to_string("models/clips.html", context)
    return public.answer(request, text, policy=POLICY)


def _names(release: ClipRelease, left: frozenset[int]) -> list[str]:
    statement = release.credential.statement if release.credential else None
    return statement.public_names(left) if statement else []


@login_not_required
@require_safe
def audio(request: HttpRequest, slug: str, number: UUID) -> HttpResponseBase:
    """A clip as the file that was signed. Asked each time whether it may still be heard."""
    page = public.page_of(slug).page
    found = releases.public_clip(page, number)
    if found is None or found.file is None:
        return answer_gone("This clip is not to be heard here, or no longer.")
    name = f"{page.slug}-{number}.{ending(found.file.media_type)}"
    return ranged(request, found.file, name, tag=str(number))

"""Reviewers hear a withheld sample while they answer a question about it.

A reviewer is a rights admin who has the question before them, until it is answered, and who has no
part in it. That they heard it is a line in the audit log, one for each person and question.
"""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from audio_samples.audibility.silences import current_reason, other_silences
from audio_samples.models import Sample
from portal import audit
from portal.http.serving import blob_response
from portal.views import signed_in

VERB = "sample.reviewed"


def review_audio(
    request: HttpRequest, sample: Sample, *, review: str, tag: str
) -> HttpResponseBase:
    """Serve the sound to a reviewer; `review` names the question, "flag:5"."""
    if sample.audio is None:
        gone = current_reason(sample.pk)
        return HttpResponse(gone, status=410, content_type="text/plain; charset=utf-8")
    response = blob_response(request, sample.audio, f"sample-{sample.pk}", tag=tag)
    if request.method == "GET" and response.status_code in {200, 206}:
        audit.record_once(
            by=signed_in(request), verb=VERB, subject=sample, key={"review": review},
            body=lambda: {"silent": bool(other_silences(sample))},
        )  # fmt: skip
    return response

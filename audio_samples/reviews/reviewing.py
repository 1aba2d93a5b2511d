"""Who judges a sample hears it, whatever keeps it silent for everybody else, and is told what their
answer changes.

The portal's own rule says who judges: a rights admin who has the question before them, until it is
answered, and not one who has a part in it. That they heard it is a line of the audit log, one for
each person and question however often they play it.
"""

from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from audio_samples.audibility.silences import other_silences
from audio_samples.models import Sample
from portal import audit
from portal.database import commit_order
from portal.http.serving import ranged
from portal.models import AuditEvent, AuditEventQuerySet, User
from portal.views import signed_in

VERB = "sample.reviewed"


def review_audio(
    request: HttpRequest, sample: Sample, *, review: str, tag: str
) -> HttpResponseBase:
    """The sound for who judges; `review` names the question, "flag:5". Not for anybody else."""
    response = ranged(request, sample.audio, f"sample-{sample.pk}", tag=tag)
    if request.method == "GET" and response.status_code in {200, 206}:
        _write_down(sample, by=signed_in(request), review=review)
    return response


def _write_down(sample: Sample, *, by: User, review: str) -> None:
    """One line for each person and question: a browser asks for a file in many parts."""
    if _lines(sample, by, review).exists():
        return
    with transaction.atomic():
        commit_order.moment()
        if not _lines(sample, by, review).exists():
            audit.record(
                by=by, verb=VERB, subject=sample, review=review, silent=bool(other_silences(sample))
            )


def _lines(sample: Sample, by: User, review: str) -> AuditEventQuerySet:
    return AuditEvent.objects.filter(
        subject_type=sample._meta.label_lower,
        subject_id=str(sample.pk),
        verb=VERB,
        actor=by,
        body__review=review,
    )

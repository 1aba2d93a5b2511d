"""Who judges a sample hears it, whatever keeps it silent for everybody else, and is told what their
answer changes.

The portal's own rule says who judges: a rights admin who has the question before them, until it is
answered, and not one who has a part in it. That they heard it is a line of the audit log, one for
each person and question however often they play it.
"""

from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from audio_samples.models import Sample, SampleFlag
from portal import audit
from portal.database import commit_order
from portal.http.serving import ranged
from portal.models import AuditEvent, AuditEventQuerySet, User
from portal.views import signed_in

VERB = "sample.reviewed"
STANDING = (SampleFlag.State.OPEN, SampleFlag.State.UPHELD)


def silences(sample: Sample, *, but: SampleFlag | None = None) -> list[str]:
    """All that keeps the sample silent now, as ends of a sentence; without the flag that is asked
    about. Empty where nothing else does."""
    row = Sample.objects.filter(pk=sample.pk).with_holds().get()
    found = []
    if row.withheld_at is not None:
        reason = row.withheld_reason
        found.append(f"it is withheld for good: {reason}" if reason else "it is withheld for good")
    hold: str | None = row.hold_reason  # type: ignore[attr-defined]
    if hold is not None:
        found.append(f"a permission behind it ended: {hold or 'no reason was given'}")
    flags = SampleFlag.objects.filter(sample=sample, state__in=STANDING).select_related("party")
    for flag in flags.exclude(pk=but.pk if but else 0).order_by("pk"):
        agreed = flag.state == SampleFlag.State.UPHELD
        found.append(f"{flag.party} objected too" + (", and it was upheld" if agreed else ""))
    return [one.rstrip(". ") for one in found]


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
                by=by, verb=VERB, subject=sample, review=review, silent=bool(silences(sample))
            )


def _lines(sample: Sample, by: User, review: str) -> AuditEventQuerySet:
    return AuditEvent.objects.filter(
        subject_type=sample._meta.label_lower,
        subject_id=str(sample.pk),
        verb=VERB,
        actor=by,
        body__review=review,
    )

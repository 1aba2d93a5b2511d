"""Clips in public: an owner of the project asks, a rights admin answers, either takes one back.

Everybody may hear a clip on its model's public page, as the file that was signed when it was
approved. It is released only if everybody behind it allows outputs to leave the lab as files, the
copy check has passed and the credential is trusted. It is heard only while the permissions and the
model's own page stand, nothing silences it and no later copy check suspects it. Nothing has to run
for that: `_audible` checks it.
"""

from collections.abc import Iterator
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from audio_samples.audibility import audiences, silences
from audio_samples.copy_check import screenings
from audio_samples.credentials import issuing
from audio_samples.models import ClipRelease, Sample
from experiments.clearance.permission import NotPermitted
from experiments.models import Project
from experiments.models.publishing import ModelPage
from experiments.publishing import pages, withdrawals
from portal import audit, storage
from portal.database import commit_order
from portal.models import Role, User
from rights.errors import Refused, required

LONGEST_TITLE = 120
LONGEST_REASON = 300


def may_ask(user: User, project: Project) -> bool:
    return pages.may_ask(user, project)


def may_answer(user: User, release: ClipRelease) -> bool:
    """Return whether the user is a rights admin who did not ask for it: four eyes."""
    return user.has_role(Role.RIGHTS_ADMIN) and user.pk != release.asked_by_id


def page_of(sample: Sample) -> ModelPage | None:
    """Return the public page of the model that made it; None while none stands."""
    pages_of = ModelPage.objects.public().filter(run=sample.run_id, withdrawn_at=None)
    page = pages_of.select_related("run", "checkpoint", "project").order_by("pk").first()
    return page if page and not withdrawals.statuses_of([page])[page.pk].withdrawn else None


def release_obstacles(sample: Sample) -> list[str]:
    """Return what keeps the sample from the public, as sentences; empty if nothing does. Takes
    seconds where the model learned from a hundred thousand recordings."""
    reasons = [silence] if (silence := silences.current_reason(sample.pk)) else []
    if _taken_back_for_good(sample):
        reasons.append("A withdrawal took this clip back from the public for good.")
    if page_of(sample) is None:
        reasons.append("The model that made it has no public page that stands.")
    if not screenings.passed(sample):
        reasons.append("The copy check has not passed it.")
    return reasons + _missing_permissions(sample)


def _taken_back_for_good(sample: Sample) -> bool:
    """Return whether a case recalled this sound: only a person's recall may be reconsidered."""
    same = Q(sample__audio=sample.audio_id)
    if sample.sound:
        same |= Q(sample__sound=sample.sound)
    rows = ClipRelease.objects.filter(same, recalled_by=None).exclude(released_at=None)
    return rows.exclude(recalled_at=None).exists()


def _missing_permissions(sample: Sample) -> list[str]:
    """Return whose permission is missing for the clip to leave the lab as a file."""
    missing = audiences.missing_permissions(audiences.PUBLIC, [sample], sample.run.project)
    narrowings = missing.get(sample.pk, [])
    more = [f"And {len(narrowings) - 5:,} more."] if len(narrowings) > 5 else []
    return [str(narrowing) for narrowing in narrowings[:5]] + more


# --- Asking and answering ----------------------------------------------------------------------


def ask(*, by: User, sample: Sample, title: str) -> ClipRelease:
    """Ask to release a clip to the public, under a title of its own: a prompt may be private.

    Raises NotPermitted for anybody but an owner of the project or an operator, and Refused.
    """
    if not may_ask(by, sample.run.project):
        raise NotPermitted("An owner of the project or an operator releases its clips.")
    _require_releasable(sample)
    page = page_of(sample)
    assert page is not None  # noqa: S101 - _check has looked.
    title = required(title, field="title", longest=LONGEST_TITLE)
    if not title.isprintable():
        raise Refused("title", "Use one line, without invisible characters.", field="title")
    if pages.veil_of(page).hides(title):
        raise Refused("named", pages.NAMED, field="title")
    with transaction.atomic():
        # Two requests at once are handled one after the other.
        commit_order.moment()
        if sample.releases.live().exists():
            raise Refused("duplicate", "It was asked for already.")
        release = ClipRelease.objects.create(sample=sample, page=page, title=title, asked_by=by)
        audit.record(
            by=by, verb="clip.asked", subject=release, sample=sample.pk, private={"title": title}
        )
    return release


def approve(*, by: User, release: ClipRelease) -> ClipRelease:
    """Release the clip to everybody, as the file that is signed here.

    Raises Refused, also if a permission has ended since the request; chain.NoChain, files.Unsigned
    and FileNotFoundError if it cannot be signed, or would not be trusted.
    """
    _require_answerable(by, release)
    _require_releasable(release.sample)
    # Slow work comes first: nobody who writes the audit log waits for it.
    signed = issuing.sign_sample(release.sample, by=by)
    with signed.file:
        file = storage.put(signed.file, media_type=signed.media_type)
    with transaction.atomic():
        row = _locked(by, release)
        try:
            issuing.store_credential(signed.credential)
        except issuing.Withheld as error:
            raise _ended() from error
        row.credential, row.file = signed.credential, file
        row.answered_by, row.released_at = by, timezone.now()
        row.save()
        # This fails if a permission has ended or been suspended meanwhile.
        if public_clip(row.page, signed.credential.pk) is None:
            raise _ended()
        audit.record(
            by=by,
            verb="clip.released",
            subject=row,
            sample=row.sample_id,
            credential=str(signed.credential.pk),
            sha256=file.sha256,
        )
    return row


def _ended() -> Refused:
    return Refused("ended", "A permission behind it ended at this moment.")


@transaction.atomic
def refuse(*, by: User, release: ClipRelease, reason: str) -> ClipRelease:
    """Keep the clip in the lab; whoever asked reads why. Raises Refused."""
    reason = required(reason, field="reason", longest=LONGEST_REASON)
    release = _locked(by, release)
    release.answered_by, release.refused_at, release.reason = by, timezone.now(), reason
    release.save()
    audit.record(by=by, verb="clip.refused", subject=release, private={"reason": reason})
    return release


@transaction.atomic
def recall(*, by: User, release: ClipRelease, reason: str) -> ClipRelease:
    """Take the clip back from the public; one person is enough. Raises NotPermitted, Refused."""
    if not (by.has_role(Role.RIGHTS_ADMIN) or may_ask(by, release.sample.run.project)):
        raise NotPermitted("An owner of the project or a rights admin takes a clip back.")
    reason = required(reason, field="reason", longest=LONGEST_REASON)
    commit_order.moment()
    rows = ClipRelease.objects.live().filter(pk=release.pk)
    if not rows.update(recalled_at=timezone.now(), recalled_by=by, reason=reason):
        raise Refused("state", "It was taken back already.")
    audit.record(by=by, verb="clip.recalled", subject=release, private={"reason": reason})
    release.refresh_from_db()
    return release


def _require_releasable(sample: Sample) -> None:
    if reasons := release_obstacles(sample):
        raise Refused("not_releasable", " ".join(reasons))


def _locked(by: User, release: ClipRelease) -> ClipRelease:
    """Lock the current row until the transaction ends; the turn comes first (commit_order.py)."""
    commit_order.moment()
    rows = ClipRelease.objects.select_for_update(no_key=True, of=("self",))
    row = rows.select_related("sample__run__project", "sample__audio", "page").get(pk=release.pk)
    _require_answerable(by, row)
    return row


def _require_answerable(by: User, release: ClipRelease) -> None:
    if not release.waits:
        raise Refused("state", "It was answered already.")
    if not by.has_role(Role.RIGHTS_ADMIN):
        raise Refused("role", "A rights admin answers it.")
    if not may_answer(by, release):
        raise Refused("four_eyes", "Who asked for it does not answer it: another admin does.")


# --- What may be heard -------------------------------------------------------------------------


def public_clips(page: ModelPage) -> list[ClipRelease]:
    """Return the clips that everybody may hear on a model's page now, newest first."""
    return list(_audible(page, page.clips.order_by("-released_at", "pk")))


def public_clip(page: ModelPage, number: UUID | None) -> ClipRelease | None:
    """Return one of these clips, by the number of its credential."""
    return next(_audible(page, page.clips.filter(credential=number)), None) if number else None


def _audible(page: ModelPage, rows: QuerySet[ClipRelease]) -> Iterator[ClipRelease]:
    """Yield the rows that were released and that everybody may hear, on a page that stands."""
    if page.withdrawn_at or withdrawals.statuses_of([page])[page.pk].withdrawn:
        return
    released = rows.filter(recalled_at=None).exclude(released_at=None)
    # A newer method may find what the one of the release did not.
    released = released.filter(~screenings.is_suspected("sample"))
    released = released.select_related("sample__run__project", "credential__statement", "file")
    samples = Sample.objects.filter(pk__in=released.order_by().values("sample"))
    audible = audiences.audible_to(audiences.PUBLIC, samples)
    yield from (release for release in released if release.sample_id in audible)

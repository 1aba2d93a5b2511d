"""The samples derived from recordings, and their public clips, for
rights/withdrawal/descendants.py."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from audio_samples.models import ClipRelease, Sample, SampleQuerySet, same_sound
from experiments.clearance.descendants import runs_of
from experiments.models.revocations import is_revoked_for
from portal.models import Role, User
from rights.models import CaseItem, Use
from rights.withdrawal.descendants import (
    Node,
    Origin,
    Outcome,
    register,
    register_listening_page,
    rows_named,
)

RECALLED = "Recalled: "


def samples_of(runs: Sequence[UUID]) -> SampleQuerySet:
    """Return the samples of these runs, and those of the same bytes or sound from other runs."""
    own = Sample.objects.filter(run__in=runs).order_by()
    return Sample.objects.filter(
        Q(run__in=runs)
        | Q(audio__in=own.values("audio"))
        | Q(sound__in=own.exclude(sound="").values("sound"))
    )


class Samples:
    name = "sample"
    title = "Samples"
    order = 40
    remedy = "Recall the samples"
    verb = "Recall samples"
    meaning = "Nobody can hear or download these samples again; every page and address says so."
    remedied = Outcome.RECALLED

    def find(self, origin: Origin) -> Iterable[Node]:
        runs = runs_of(origin)
        return _nodes(samples_of(runs)) if runs else []

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        return {node.key: node for node in _nodes(rows_named(Sample.objects, keys))}

    def retire(self, keys: Sequence[str], reason: str) -> None:
        rows = rows_named(Sample.objects, keys)
        rows.update(withheld_at=timezone.now(), withheld_reason=f"{RECALLED}{reason}"[:500])

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        rows = rows_named(Sample.objects.visible_to(user), keys)
        return {str(pk) for pk in rows.values_list("pk", flat=True)}

    def mark(self) -> str:
        return str(Sample.objects.aggregate(newest=Max("pk"))["newest"])


class Clips:
    name = "clip"
    title = "Clips in public"
    order = 70
    remedy = "Take the clips back"
    verb = "Take clips back"
    meaning = (
        "Nobody can hear these clips in public again. Files that somebody saved stay with them."
    )
    remedied = Outcome.RECALLED

    def find(self, origin: Origin) -> Iterable[Node]:
        if Use.DISTRIBUTE in origin.uses:
            # Distribution asks everybody behind the model, whichever use it learned under.
            origin = replace(origin, uses=list(Use), cache={})
        runs = runs_of(origin)
        # Most uses of a party made nothing: the query below is the largest of this page to write.
        return self._nodes(ClipRelease.objects.filter(sample__in=samples_of(runs))) if runs else []

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        rows = rows_named(ClipRelease.objects, keys)
        return {node.key: node for node in self._nodes(rows)}

    def retire(self, keys: Sequence[str], reason: str) -> None:
        rows = rows_named(ClipRelease.objects.live(), keys)
        rows.update(recalled_at=timezone.now(), reason=reason[:300])

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        if user.has_role(Role.RIGHTS_ADMIN):
            return set(keys)
        visible = Sample.objects.visible_to(user)
        rows = rows_named(ClipRelease.objects, keys).filter(sample__in=visible)
        return {str(pk) for pk in rows.values_list("pk", flat=True)}

    def mark(self) -> str:
        rows = ClipRelease.objects.aggregate(
            released=Count("released_at"), recalled=Count("recalled_at")
        )
        return f"{rows['released']}:{rows['recalled']}"

    def _nodes(self, rows: QuerySet[ClipRelease]) -> list[Node]:
        released = rows.exclude(released_at=None).select_related("page").order_by("pk")
        silent = Sample.objects.withheld().filter(pk=OuterRef("sample"))
        ended = same_sound(of="sample").filter(is_revoked_for("run", Use.DISTRIBUTE))
        held_back = Exists(silent) | Exists(ended)
        return [
            Node(
                self.name,
                str(release.pk),
                f"{release.page}: {release.title}",
                reverse("audio_samples:sample", args=[release.sample_id]),
                release.released_at,
                self._outcome(release, held=release.is_held),
            )
            for release in released.annotate(is_held=held_back)
        ]

    def _outcome(self, release: ClipRelease, *, held: bool) -> Outcome:
        if release.recalled_at:
            return Outcome.RECALLED
        return Outcome.WITHHELD if held else Outcome.OPEN


def _nodes(rows: QuerySet[Sample]) -> list[Node]:
    """Make nodes from plain columns: thousands of names need neither objects nor waveforms."""
    columns = rows.order_by("pk").values_list(
        "pk", "name", "step", "created_at", "withheld_reason", "run__number", "run__project__name",
        Count("credentials"),
    )  # fmt: skip
    address = reverse("audio_samples:sample", args=[0])
    return [
        Node(
            kind="sample",
            key=str(pk),
            label=f"{project}: run {number}, {name}, step {step:,}{_times_downloaded(downloads)}",
            url=address.replace("0", str(pk)),
            at=at,
            outcome=Outcome.RECALLED if reason.startswith(RECALLED) else Outcome.WITHHELD,
        )
        for pk, name, step, at, reason, number, project, downloads in columns
    ]


def _times_downloaded(downloads: int) -> str:
    """Return a note on downloads: no click recalls those files; their page says who took them."""
    return f", downloaded {downloads} time{'' if downloads == 1 else 's'}" if downloads else ""


def _heard_at(item: CaseItem) -> str:
    return reverse("audio_samples:case_audio", args=[item.pk])


for kind in (Samples(), Clips()):
    register(kind)
    register_listening_page(kind.name, _heard_at)

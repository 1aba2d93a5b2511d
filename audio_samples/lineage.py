"""The samples that came out of recordings, for rights/lineage.py."""

from collections.abc import Iterable, Sequence

from django.db.models import Count, Max, QuerySet
from django.urls import reverse
from django.utils import timezone

from audio_samples.models import Sample
from experiments.lineage import runs_of
from portal.models import User
from rights.lineage import Node, Origin, Outcome, register

RECALLED = "Recalled: "


class Samples:
    name = "sample"
    title = "Samples"
    order = 40
    remedy = "Recall the samples"
    verb = "Recall samples"
    meaning = "Nobody can hear or download these samples again; every page and address says so."
    remedied = Outcome.RECALLED

    def find(self, origin: Origin) -> Iterable[Node]:
        return _nodes(Sample.objects.filter(run__in=runs_of(origin)))

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        numbers = [key for key in keys if key.isdecimal()]
        return {node.key: node for node in _nodes(Sample.objects.filter(pk__in=numbers))}

    def retire(self, keys: Sequence[str], reason: str) -> None:
        rows = Sample.objects.filter(pk__in=list(keys))
        rows.update(withheld_at=timezone.now(), withheld_reason=f"{RECALLED}{reason}"[:500])

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        rows = Sample.objects.visible_to(user).filter(pk__in=list(keys))
        return {str(pk) for pk in rows.values_list("pk", flat=True)}

    def mark(self) -> str:
        return str(Sample.objects.aggregate(newest=Max("pk"))["newest"])


def _nodes(rows: QuerySet[Sample]) -> list[Node]:
    """Plain columns: of thousands of samples neither objects nor waveforms are made for a name."""
    columns = rows.order_by("pk").values_list(
        "pk", "name", "step", "created_at", "withheld_reason", "run__number", "run__project__name",
        Count("credentials"),
    )  # fmt: skip
    address = reverse("audio_samples:sample", args=[0])
    return [
        Node(
            kind="sample",
            key=str(pk),
            label=f"{project}: run {number}, {name}, step {step:,}{_given_out(times)}",
            url=address.replace("0", str(pk)),
            at=at,
            outcome=Outcome.RECALLED if reason.startswith(RECALLED) else Outcome.WITHHELD,
        )
        for pk, name, step, at, reason, number, project, times in columns
    ]


def _given_out(times: int) -> str:
    """Files that have left are not called back by a click: who took them is on its page."""
    return f", given out {times} time{'' if times == 1 else 's'}" if times else ""


register(Samples())

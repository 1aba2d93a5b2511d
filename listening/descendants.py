"""The listening tests that use samples derived from recordings."""

from collections.abc import Iterable, Sequence

from django.db.models import Count, Max, QuerySet
from django.urls import reverse
from django.utils import timezone

from audio_samples.descendants import samples_of
from experiments.clearance.descendants import runs_of
from listening.models import ListeningTest
from portal.models import User
from rights.withdrawal.descendants import Node, Origin, Outcome, register, rows_named


class Tests:
    name = "test"
    title = "Listening tests"
    order = 50
    remedy = "Close the listening tests"
    verb = "Close tests"
    meaning = "These tests take no more answers. Those that were given stay."
    remedied = Outcome.STOPPED

    def find(self, origin: Origin) -> Iterable[Node]:
        rows = ListeningTest.objects.filter(items__sample__in=samples_of(runs_of(origin)))
        return self._nodes(rows.distinct())

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        rows = rows_named(ListeningTest.objects, keys)
        return {node.key: node for node in self._nodes(rows)}

    def retire(self, keys: Sequence[str], reason: str) -> None:  # noqa: ARG002 - not stored.
        rows = rows_named(ListeningTest.objects, keys).filter(closed_at=None)
        rows.update(closed_at=timezone.now())

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        rows = rows_named(ListeningTest.objects.visible_to(user), keys)
        return {str(pk) for pk in rows.values_list("pk", flat=True)}

    def mark(self) -> str:
        rows = ListeningTest.objects.aggregate(newest=Max("pk"), closed=Count("closed_at"))
        return f"{rows['newest']}:{rows['closed']}"

    def _nodes(self, rows: QuerySet[ListeningTest]) -> list[Node]:
        return [
            Node(
                self.name,
                str(row.pk),
                f"{row.project.name}: {row.title}",
                reverse("listening:results", args=[row.project.slug, row.pk]),
                row.created_at,
                Outcome.STOPPED if row.closed_at else Outcome.OPEN,
            )
            for row in rows.select_related("project").order_by("pk")
        ]


register(Tests())

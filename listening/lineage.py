"""The listening tests in which samples are heard that came out of recordings."""

from collections.abc import Iterable, Sequence

from django.db.models import QuerySet
from django.utils import timezone

from experiments.lineage import runs_with
from listening.models import ListeningTest
from rights.lineage import Node, Outcome, register


class Tests:
    name = "test"
    title = "Listening tests"
    order = 50
    remedy = "Close the listening tests"
    remedied = Outcome.STOPPED

    def find(self, recordings: Sequence[int], uses: Sequence[str]) -> Iterable[Node]:
        runs = runs_with(recordings, uses)
        rows = ListeningTest.objects.filter(items__sample__run__in=runs.values("pk")).distinct()
        return self._nodes(rows)

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        rows = ListeningTest.objects.filter(pk__in=[key for key in keys if key.isdecimal()])
        return {node.key: node for node in self._nodes(rows)}

    def retire(self, keys: Sequence[str], reason: str) -> None:  # noqa: ARG002 - it says no more.
        rows = ListeningTest.objects.filter(pk__in=list(keys), closed_at=None)
        rows.update(closed_at=timezone.now())

    def _nodes(self, rows: QuerySet[ListeningTest]) -> list[Node]:
        return [
            Node(
                self.name,
                str(one.pk),
                f"{one.project.name}: {one.title}",
                "",
                one.created_at,
                Outcome.STOPPED if one.closed_at else Outcome.OPEN,
            )
            for one in rows.select_related("project").order_by("pk")
        ]


register(Tests())

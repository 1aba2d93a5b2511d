"""What a field is, and what an app above this one registers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.expressions import Combinable

from experiments.models import Project, Run


class Kind(StrEnum):
    NUMBER = "number"
    TEXT = "text"
    TIME = "time"
    DURATION = "duration"
    MONEY = "money"
    LIST = "list"
    CURVE = "curve"
    # A setting: a number in one run, a text in another.
    ANY = "any"


NUMBERS = (Kind.NUMBER, Kind.DURATION, Kind.MONEY)


class Field(ABC):
    """One fact of each run. `group` names the heading under which a picker lists it."""

    group: ClassVar[str] = "run"

    def __init__(self, key: str, title: str, kind: Kind) -> None:
        self.key, self.title, self.kind = key, title, kind

    @property
    def is_number(self) -> bool:
        return self.kind in NUMBERS

    @property
    def descends(self) -> bool:
        """Whether the first click on its head sorts from the largest down, as numbers and times."""
        return self.is_number or self.kind in {Kind.TIME, Kind.CURVE}

    @abstractmethod
    def orders(self) -> list[Combinable]:
        """Return what the database orders by; null for a run that has no value."""

    def joined(self, runs: QuerySet[Run], alias: str) -> tuple[QuerySet[Run], list[Combinable]]:
        """Return the runs with what their order needs, by names that begin with `alias`, and the
        order itself. A field whose values stand in another table joins it here: looking them up
        run by run would take five times as long."""
        del alias
        return runs, self.orders()

    def grouped(self, runs: QuerySet[Run], alias: str) -> tuple[QuerySet[Run], Combinable]:
        """Return the runs with what is needed, and one expression that is equal for equal values:
        of a setting or a list its JSON."""
        runs, orders = self.joined(runs, alias)
        return runs, orders[0]

    @abstractmethod
    def read(self, runs: Sequence[Run]) -> dict[UUID, Any]:
        """Return the value of each run that has one, in a constant number of queries."""


class Source(ABC):
    """Fields of an app above this one: measures of what runs made, ratings of listeners."""

    @abstractmethod
    def find(self, name: str) -> Field | None:
        """Return the field `prefix.name`; None if there is none."""

    @abstractmethod
    def of_project(self, project: Project) -> Iterable[Field]:
        """Return the fields that runs of this project have, at bounded cost."""

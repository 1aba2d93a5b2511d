"""What a history has at its beginning, its clock, and what came out of what in it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from unittest import mock

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
)

from experiments.models import Membership, Project
from portal.models import Role
from rights.consent import consent
from rights.errors import Refused
from rights.grants import agreements
from rights.models import (
    Grant,
    Mandate,
    Recording,
    RecordingRelation,
    SplitSheet,
    Use,
    WithdrawalPolicy,
    Work,
)
from rights.parties import parties
from tests.conftest import person
from tests.rights.history.naive import Fate, Log, Scope
from tests.tones import tone

USES = (Use.TRAIN_GENERATIVE, Use.VOICE, Use.DISTRIBUTE)
SCOPES = (
    Scope("", "research", "world", "backline", 1),
    Scope("", "research", "SE", "backline", 2),
    Scope("", "commercial", "SE", "other", 1, "app", "export"),
)
TERMS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"purposes": ["research", "commercial"], "channels": ["export"]},
    {"territories": ["SE"]},
    {"territories": ["SE", "NO"], "model_family": "backline"},
    {"first_version": 2},
    {"last_version": 1},
    {"products": ["app"], "purposes": ["commercial"]},
    {"condition": "Once the album is out."},
    {"starts_in": 2, "territories": ["SE"]},
    {"days": 1},
    {"days": 3},
)
LASTING, ENDS_TODAY = 0, TERMS.index({"days": 1})
SHARES = ((1_000_000,), (500_000, 500_000), (1, 999_999), (250_000, 250_000, 500_000))
FILES = [tone(seconds=0.5, rate=8_000, channels=1, frequency=100 + 3 * n).read() for n in range(60)]
few = st.integers(0, 11)


class Clock:
    """Time goes on with every look at it, and by days when it is told to.

    On PostgreSQL the moments are the database's own (portal/database/commit_order.py), so no day
    passes there.
    """

    free = connection.vendor != "postgresql"

    def __init__(self) -> None:
        self.real = timezone.now
        now = self.real()
        # Noon: no day ends in the middle of a history unless it is told to.
        self.ahead = now.replace(hour=12, minute=0, second=0) - now
        self.last = now + self.ahead

    def __call__(self) -> datetime:
        now = self.real() + self.ahead
        self.last = max(now, self.last + timedelta(microseconds=1))
        return self.last

    def pass_days(self, days: int) -> None:
        self.ahead += timedelta(days=days)


def nobodys_turn() -> Any:
    """A transaction of the test itself: what is decoded in it holds up no one
    (portal/database/long_work.py)."""
    made = transaction.atomic()
    made._from_testcase = True  # type: ignore[attr-defined]
    return made


@contextmanager
def undone() -> Iterator[None]:
    """All rows are as before afterwards: one history does not see the other."""
    with nobodys_turn():
        yield
        transaction.set_rollback(True)


class Lineage:
    """What came out of what, as the steps told it; the brute force of the cases."""

    def __init__(self) -> None:
        self.datasets: dict[int, tuple[Scope, set[int]]] = {}
        self.runs: dict[Any, tuple[int | None, str, Any]] = {}
        self.made: dict[tuple[str, int], Any] = {}
        self.tests: dict[int, set[int]] = {}
        # By dataset, recording and use.
        self.fates: dict[tuple[int, int, str], Fate] = {}
        self.silent: set[tuple[int, int, str]] = set()

    def follow(self, log: Log, now: datetime) -> None:
        for fate in self.fates.values():
            fate.follow(log)
        self.silent = {key for key, fate in self.fates.items() if fate.silent(log, now)}

    def lost(self, dataset: int | None, use: str) -> bool:
        return any((known, of) == (dataset, use) for known, _, of in self.silent)

    def tainted(self) -> set[Any]:
        """Runs that learned from what was lost, and those that started from their weights."""
        found = {run for run, (dataset, use, _) in self.runs.items() if self.lost(dataset, use)}
        while True:
            later = {run for run, (_, _, origin) in self.runs.items() if origin in found} - found
            if not later:
                return found
            found |= later

    def blameless(self, log: Log, now: datetime) -> set[tuple[int, str]]:
        """The datasets, by use, which nobody has a reason to silence."""
        keys = {(dataset, use) for dataset, _, use in self.fates}
        return {
            key
            for key in keys
            if all(
                fate.heard(log, now)
                for (dataset, _, use), fate in self.fates.items()
                if (dataset, use) == key
            )
        }

    def made_by(self, kind: str, of: Iterable[Any]) -> set[int]:
        known = set(of)
        return {pk for (one, pk), run in self.made.items() if one == kind and run in known}

    def descendants(self) -> set[tuple[str, str]]:
        """Kind and key of all that descends from music that has to be silent."""
        tainted = self.tainted()
        heard = self.made_by("sample", tainted)
        return {
            *(("dataset", str(pk)) for pk, (scope, _) in self.datasets.items()
              if self.lost(pk, scope.use)),
            *(("run", str(run)) for run in tainted),
            *(("checkpoint", str(pk)) for pk in self.made_by("checkpoint", tainted)),
            *(("sample", str(pk)) for pk in heard),
            *(("test", str(pk)) for pk, items in self.tests.items() if items & heard),
        }  # fmt: skip


def scope_words(scope: Scope) -> tuple[Any, ...]:
    return (
        scope.purpose, scope.territory, scope.family, scope.version, scope.product, scope.channel,
    )  # fmt: skip


def context_of(scope: Scope) -> consent.Context:
    return consent.Context(
        purpose=scope.purpose,  # type: ignore[arg-type]
        territory=scope.territory,
        model_family=scope.family,
        model_version=scope.version,
        product=scope.product,
        channel=scope.channel,
    )


class History(RuleBasedStateMachine):
    """The beginning and the end. Numbers that choose something are taken modulo what there is."""

    @initialize(
        policy=st.sampled_from(list(WithdrawalPolicy)), agent=st.booleans(), lasting=st.booleans()
    )
    def begin(self, policy: WithdrawalPolicy, agent: bool, lasting: bool) -> None:
        self._undone = undone()
        self._undone.__enter__()
        self.clock = Clock()
        self._patch = mock.patch("django.utils.timezone.now", self.clock)
        if Clock.free:
            self._patch.start()
        self.log, self.line = Log(), Lineage()
        self.files, self.names = iter(FILES), count(1)
        self.moments: list[datetime] = []
        self.pauses: list[datetime] = []
        self.dirty = True
        self.checked = 0
        self.rosa = person("m-rosa", "Rosa", Role.RIGHTS_ADMIN)
        self.ivo = person("m-ivo", "Ivo", Role.RIGHTS_ADMIN)
        self.ada = person("m-ada", "Ada", Role.RESEARCHER)
        self.parties = [
            parties.add_party(by=self.rosa, name=f"Machine party {number}") for number in range(4)
        ]
        # It signs nothing: its members do.
        self.group = parties.add_party(by=self.rosa, name="Machine group", kind="group")
        self.projects = [self.project(number) for number in range(2)]
        self.recordings: list[Recording] = []
        self.works: list[Work] = []
        self.relations: dict[int, RecordingRelation] = {}
        self.subjects: list[tuple[str, Recording | Work]] = []
        self.sheets: dict[int, SplitSheet] = {}
        self.agreements = [
            agreements.sign(
                by=self.rosa,
                counterparty=party,
                title="Paper",
                signed_on=timezone.now().date(),
                withdrawal_policy=policy if number < 3 else WithdrawalPolicy.RECALL,
            )
            for number, party in enumerate(self.parties)
        ]
        self.grants: list[Grant] = []
        self.mandates: list[Mandate] = []
        self.say("group", party=self.group.pk)
        self.first_music(agent, lasting)

    def project(self, number: int) -> tuple[Project, Scope]:
        scope = SCOPES[number]
        made = Project.objects.create(
            slug=f"machine-{number}",
            name=f"Machine {number}",
            purpose=scope.purpose,
            territory=scope.territory,
            model_family=scope.family,
            model_version=scope.version,
        )
        Membership.objects.create(project=made, user=self.ada)
        return made, scope

    def teardown(self) -> None:
        if not hasattr(self, "_undone"):
            return
        try:
            self.last_look()
        finally:
            if Clock.free:
                self._patch.stop()
            self._undone.__exit__(None, None, None)

    def last_look(self) -> None:
        """What is asked once, at the end."""

    def first_music(self, agent: bool, lasting: bool) -> None:
        """What each history begins with."""

    def say(self, what: str, **who: Any) -> datetime:
        at = timezone.now()
        self.log.say(at, what, **who)
        self.dirty = True
        return at

    def attempt(self, possible: bool, verb: Callable[[], Any]) -> Any:
        """What the verb gives, or None where it has to be refused."""
        if possible:
            return verb()
        with pytest.raises(Refused), nobodys_turn():
            verb()
        return None

    def state(self, grant: Grant) -> str:
        return self.log.state(grant.pk, timezone.now())

    def pick(self, rows: Any, number: int) -> Any:
        return rows[number % len(rows)]

    def fresh(self, grant: Grant) -> Grant:
        return Grant.objects.get(pk=grant.pk)

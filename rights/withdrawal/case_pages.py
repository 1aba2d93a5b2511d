"""What people see of withdrawal cases: lists, and each case as levels with names.

Rights admins and operators see all of a case. Others see names only of what they may look at on
its own page, and numbers of the rest: the title of a run may be none of their business.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from portal.inputs.text import matching
from portal.models import Role, User
from rights.models import (
    CaseItem,
    CaseStep,
    CaseTask,
    Grant,
    WithdrawalCase,
)
from rights.models.cases import CaseQuerySet
from rights.withdrawal import cases, descendants

NAMED = 6
STATES = (
    ("open", "open"),
    ("overdue", "overdue"),
    ("ready", "ready to close"),
    ("closed", "closed"),
    ("all", "all"),
)
Outcome = CaseItem.Outcome


def sees_all_cases(user: User) -> bool:
    return user.has_role(Role.RIGHTS_ADMIN, Role.OPERATOR)


def visible_cases(user: User, state: str = "open", use: str = "", query: str = "") -> CaseQuerySet:
    """Return the cases a person may see, soonest due first, each with `due`, `items_listed`,
    `items_open`, `tasks_open`."""
    due = CaseStep.objects.filter(case=OuterRef("pk"), rung=CaseStep.Rung.E6).values("due_at")
    items = CaseItem.objects.filter(case=OuterRef("pk")).order_by().values("case")
    tasks = CaseTask.objects.filter(case=OuterRef("pk"), done_at=None).order_by().values("case")
    rows = WithdrawalCase.objects.visible_to(user).annotate(
        due=Subquery(due[:1]),
        items_listed=Subquery(items.annotate(n=Count("pk")).values("n")),
        items_open=Subquery(
            items.exclude(outcome__in=cases.SETTLED_OUTCOMES).annotate(n=Count("pk")).values("n")
        ),
        tasks_open=Subquery(tasks.annotate(n=Count("pk")).values("n")),
    )
    if use:
        rows = rows.filter(use=use)
    if query:
        rows = rows.filter(matching(query, "party__name"))
    if state == "closed":
        rows = rows.filter(status=WithdrawalCase.Status.CLOSED)
    elif state != "all":
        rows = rows.going_on()
    if state == "overdue":
        rows = rows.filter(due__lt=timezone.now())
    if state == "ready":
        rows = rows.filter(status=WithdrawalCase.Status.VERIFIED)
    return rows.select_related("party").order_by(F("closed_at").desc(nulls_first=True), "due", "pk")


def open_count(user: User) -> int:
    return WithdrawalCase.objects.visible_to(user).going_on().count()


@dataclass(frozen=True)
class VisibleItem:
    """One descendant as one person may see it: with a link only where they may look."""

    label: str
    url: str
    item: CaseItem | None = None

    @property
    def heard_at(self) -> str:
        """Where a reviewer hears it; empty for what makes no sound, or is judged already."""
        return descendants.listening_url(self.item) if self.item else ""


@dataclass(frozen=True)
class VisibleLevel:
    """One level of what was derived from some music, for one person. `hidden` are those whose names
    that person may not see; `more` those that the page has no room for."""

    kind: descendants.Kind
    number: int
    still_open: int
    outcomes: list[tuple[int, str]]
    named: list[VisibleItem]
    hidden: int
    more: int


def of_level(level: descendants.Level, user: User, room: int = NAMED) -> VisibleLevel:
    """Return a level of a preview, as this person may see it."""
    nodes = {node.key: node for node in level.nodes}
    open_keys = level.kind.open_to(list(nodes), user)
    visible = list(nodes) if sees_all_cases(user) else [key for key in nodes if key in open_keys]
    named = [
        VisibleItem(nodes[key].label, nodes[key].url if key in open_keys else "")
        for key in visible[:room]
    ]
    return VisibleLevel(
        kind=level.kind,
        number=len(nodes),
        still_open=sum(node.outcome == Outcome.OPEN for node in level.nodes),
        outcomes=[],
        named=named,
        hidden=len(nodes) - len(visible),
        more=len(visible) - len(named),
    )


def levels(case: WithdrawalCase, user: User, room: int = NAMED) -> list[VisibleLevel]:
    """Return the levels of a case, each with its first names and its outcomes."""
    counts = case.items.order_by("kind", "outcome").values_list("kind", "outcome")
    numbers: dict[str, dict[str, int]] = {}
    for kind, outcome, number in counts.annotate(n=Count("pk")):
        numbers.setdefault(kind, {})[outcome] = number
    return [
        _level(case, kind, numbers[kind.name], user, room)
        for kind in descendants.kinds()
        if kind.name in numbers
    ]


def _level(
    case: WithdrawalCase, kind: descendants.Kind, numbers: dict[str, int], user: User, room: int
) -> VisibleLevel:
    total, rows = sum(numbers.values()), visible_items(case, kind, user)
    visible = total if sees_all_cases(user) else rows.count()
    first_named = named(kind, rows[:room], user)
    return VisibleLevel(
        kind=kind,
        number=total,
        still_open=sum(
            n for outcome, n in numbers.items() if outcome not in cases.SETTLED_OUTCOMES
        ),
        outcomes=[(n, str(Outcome(outcome).label).lower()) for outcome, n in numbers.items()],
        named=first_named,
        hidden=total - visible,
        more=visible - len(first_named),
    )


def visible_items(case: WithdrawalCase, kind: descendants.Kind, user: User) -> QuerySet[CaseItem]:
    """Return the items of a kind whose names this person may see, open ones first."""
    rows = case.items.filter(kind=kind.name)
    if not sees_all_cases(user):
        keys = list(rows.values_list("key", flat=True))
        rows = rows.filter(key__in=kind.open_to(keys, user))
    return rows.select_related("settled_by").order_by(F("settled_at").asc(nulls_first=True), "pk")


def named(kind: descendants.Kind, items: Iterable[CaseItem], user: User) -> list[VisibleItem]:
    """Return the items, with links where the person may look. A deleted one has no link."""
    rows = list(items)
    keys = [row.key for row in rows]
    nodes, open_keys = kind.now(keys), kind.open_to(keys, user)
    return [
        VisibleItem(
            row.label, nodes[row.key].url if row.key in nodes and row.key in open_keys else "", row
        )
        for row in rows
    ]


def grants_of(case: WithdrawalCase) -> list[Grant]:
    """Return the grants whose end the case is about."""
    rows = Grant.objects.filter(Q(holds__case=case) | Q(pk=case.grant_id)).distinct()
    return list(rows.select_related("recording", "work", "grantor"))


def possible_owners() -> list[User]:
    """Return who can be given a task: rights admins, researchers and operators. Roles are a JSON
    list, which SQLite cannot search, so the few people are read and filtered."""
    roles = (Role.RIGHTS_ADMIN, Role.RESEARCHER, Role.OPERATOR)
    people = User.objects.filter(is_active=True).order_by("first_name", "last_name", "pk")
    return [person for person in people if person.has_role(*roles)]

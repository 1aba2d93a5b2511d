"""What happened in a project while somebody was away: runs that ended, alerts, comments.

"Away" is since the person last said that they have seen it. Opening the page alone says nothing:
a tab that a browser restores would lose what nobody has read.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Case, Count, IntegerField, QuerySet, When
from django.utils import timezone

from experiments.models import Alert, Comment, Notice, Project, ProjectSeen, Run
from portal.database.bulk import parts
from portal.models import User

# For who has never said so.
FIRST = timedelta(days=7)
LISTED = 10
DELETED_AT_ONCE = 500


@dataclass(frozen=True)
class StateCount:
    """How many runs ended in one state."""

    state: str
    count: int


@dataclass
class Summary:
    """One project since a moment."""

    project: Project
    since: datetime
    states: list[StateCount] = field(default_factory=list)
    ended: list[Run] = field(default_factory=list)
    started: int = 0
    alert_count: int = 0
    alerts: list[Alert] = field(default_factory=list)
    comment_count: int = 0
    mentions: list[Notice] = field(default_factory=list)

    @property
    def is_quiet(self) -> bool:
        return not (self.states or self.started or self.alert_count or self.comment_count)


def since_of(user: User, project: Project) -> datetime:
    """Return up to when the person has seen the project; a week ago if they never said."""
    row = ProjectSeen.objects.filter(user=user, project=project).first()
    return row.at if row else timezone.now() - FIRST


def of_project(user: User, project: Project, *, since: datetime) -> Summary:
    """Return what happened in the project since then, as far as the person may see it."""
    runs = Run.objects.visible_to(user).filter(project=project)
    ended = runs.filter(ended_at__gt=since)
    ended = ended.exclude(state__in=Run.OPEN_STATES)
    counts = ended.order_by().values_list("state").annotate(n=Count("pk")).order_by("-n", "state")
    alerts = Alert.objects.visible_to(user).filter(project=project, at__gt=since)
    comments = Comment.objects.filter(project=project, at__gt=since, deleted_at=None)
    comments = comments.exclude(author=user)
    mentions = Notice.objects.filter(
        user=user, project=project, at__gt=since, kind=Notice.Kind.MENTION
    )
    return Summary(
        project=project,
        since=since,
        states=[StateCount(state, count) for state, count in counts],
        # Failures first: they are what one has to do something about.
        ended=list(ended.order_by(_failed_first(), "-ended_at")[:LISTED]),
        started=runs.filter(queued_at__gt=since).count(),
        alert_count=alerts.count(),
        alerts=list(alerts.select_related("run__project", "rule")[:LISTED]),
        comment_count=comments.count() - _on_deleted_runs(comments, project, since),
        mentions=list(mentions[:LISTED]),
    )


def of_each(user: User, *, since: datetime | None = None) -> list[Summary]:
    """Return the summaries of the person's own projects, those with news first."""
    projects = Project.objects.filter(memberships__user=user).order_by("name")
    summaries = [
        of_project(user, project, since=since or since_of(user, project)) for project in projects
    ]
    return sorted(summaries, key=lambda summary: summary.is_quiet)


def _on_deleted_runs(comments: QuerySet[Comment], project: Project, since: datetime) -> int:
    """Return how many of these comments are on runs that are gone for people. Those that were gone
    before have none since then."""
    gone = Run.objects.filter(project=project, deleted_at__gt=since).values_list("pk", flat=True)
    keys = [str(pk) for pk in gone]
    return sum(
        comments.filter(kind="run", key__in=part).count() for part in parts(keys, DELETED_AT_ONCE)
    )


def _failed_first() -> Case:
    failed = When(state__in=(Run.State.FAILED, Run.State.WITHHELD), then=0)
    return Case(failed, default=1, output_field=IntegerField())

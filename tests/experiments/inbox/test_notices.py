"""The inbox: told once, seen by whom it is for, read when they say so."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from experiments.inbox import away, notices
from experiments.models import Alert, Comment, Level, Membership, Notice, Project, Run
from experiments.runs import shelving
from portal.models import User
from tests.experiments.alerts.cast import end, running

pytestmark = pytest.mark.django_db


def news(project: Project, key: str = "alert:1", title: str = "Loss is NaN") -> notices.News:
    return notices.News(
        kind=Notice.Kind.ALERT, project=project, key=key, title=title, url="/projects/x/",
        level=Level.ERROR,
    )  # fmt: skip


def test_the_same_news_is_told_once_and_to_members_and_operators_alone(
    ada: User, ben: User, olga: User, project: Project
) -> None:
    for _ in range(2):
        notices.tell(news(project), [ada, ada, ben, olga])
    assert sorted(Notice.objects.values_list("user__username", flat=True)) == ["ada", "olga"]


def test_a_person_without_an_account_any_more_is_told_nothing(ada: User, project: Project) -> None:
    ada.is_active = False
    ada.save()
    assert notices.tell(news(project), [ada]) == 0


def test_what_was_read_long_ago_goes_and_what_is_unread_stays_for_a_year(
    ada: User, project: Project
) -> None:
    now = timezone.now()
    for key, age in (("read", 100), ("unread", 100), ("older", 400), ("new", 1)):
        notices.tell(news(project, key), [ada], at=now - timedelta(days=age))
    Notice.objects.filter(key__in=("read", "new")).update(read_at=now - timedelta(days=100))
    Notice.objects.filter(key="new").update(read_at=now)
    notices.remove_old(now)
    assert sorted(Notice.objects.values_list("key", flat=True)) == ["new", "unread"]


def test_every_page_says_how_much_is_unread(client: Client, ada: User, project: Project) -> None:
    client.force_login(ada)
    home = reverse("home")
    assert 'class="count"' not in client.get(home).content.decode()
    notices.tell(news(project), [ada])
    assert '<span class="count">1<' in client.get(home).content.decode()
    assert '<span class="count">1<' in client.get(reverse("inbox_count")).content.decode()
    assert "Loss is NaN" in client.get(reverse("inbox_home")).content.decode()


def test_reading_is_said_by_the_person_and_taken_back_by_them(
    client: Client, ada: User, olga: User, project: Project
) -> None:
    notices.tell(news(project), [ada, olga])
    client.force_login(ada)
    own, other = Notice.objects.get(user=ada), Notice.objects.get(user=olga)
    assert client.get(reverse("inbox")).context["page"].paginator.count == 1
    assert client.post(reverse("notice_read", args=[other.pk])).status_code == 404
    client.post(reverse("notice_read", args=[own.pk]), {"next": "/inbox/?show=all"})
    assert client.get(reverse("inbox")).context["page"].paginator.count == 0
    assert client.get(reverse("inbox") + "?show=all").context["page"].paginator.count == 1
    client.post(reverse("notice_unread", args=[own.pk]))
    assert notices.unread_count(ada) == 1


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example/", "javascript:x", ""])
def test_after_reading_nobody_is_led_elsewhere(
    client: Client, ada: User, project: Project, back: str
) -> None:
    notices.tell(news(project), [ada])
    client.force_login(ada)
    url = reverse("notice_read", args=[Notice.objects.get().pk])
    assert client.post(url, {"next": back}).headers["Location"] == reverse("inbox")


def test_all_that_the_page_showed_is_marked_and_what_came_meanwhile_is_not(
    client: Client, ada: User, project: Project
) -> None:
    notices.tell(news(project), [ada])
    shown = timezone.now()
    notices.tell(news(project, "alert:2"), [ada], at=shown + timedelta(seconds=1))
    client.force_login(ada)
    client.post(reverse("inbox_read"), {"until": shown.isoformat(), "project": project.slug})
    assert Notice.objects.unread().get().key == "alert:2"
    for nonsense in ("soon", "2026-13-45T00:00:00Z", ""):
        assert client.post(reverse("inbox_read"), {"until": nonsense}).status_code == 302


def test_what_happened_while_away_is_counted_since_the_person_last_said_so(
    client: Client, ada: User, project: Project
) -> None:
    Project.objects.create(slug="quiet", name="Quiet").memberships.create(user=ada)
    failed, done = running(ada, project, "failed"), running(ada, project, "done")
    end(failed, Run.State.FAILED, "Out of memory.")
    end(done, Run.State.FINISHED)
    Alert.objects.create(
        project=project, run=failed, source="rule", level="error", title="Diverged", key="rule:1:1"
    )
    client.force_login(ada)
    (first, _), (second, _) = client.get(reverse("inbox_away")).context["summaries"]
    assert (first.project, second.is_quiet) == (project, True)
    assert [(one.state, one.count) for one in first.states] == [("failed", 1), ("finished", 1)]
    # What went wrong stands first.
    assert [run.name for run in first.ended] == ["failed", "done"]
    assert (first.alert_count, first.started) == (1, 2)
    # Looking says nothing; the button does, up to when its page was made.
    assert away.since_of(ada, project) < timezone.now() - timedelta(days=6)
    seen = timezone.now()
    client.post(reverse("project_seen", args=[project.slug]), {"until": seen.isoformat()})
    assert away.since_of(ada, project) == seen
    client.post(reverse("project_seen", args=[project.slug]), {"until": "2020-01-01T00:00:00Z"})
    assert away.since_of(ada, project) == seen
    assert all(one.is_quiet for one, _ in client.get(reverse("inbox_away")).context["summaries"])
    again = client.get(reverse("inbox_away") + "?days=7").context["summaries"]
    assert not all(one.is_quiet for one, _ in again)


def test_ones_own_comments_and_other_peoples_private_alerts_are_no_news(
    ada: User, ben: User, project: Project
) -> None:
    Membership.objects.create(project=project, user=ben)
    run = running(ada, project)
    Alert.objects.create(
        project=project, run=run, source="rule", level="info", title="Ben's", key="k", only_for=ben
    )
    Comment.objects.create(project=project, kind="run", key=str(run.pk), author=ada, text="Mine.")
    since = datetime(2020, 1, 1, tzinfo=UTC)
    hers, his = (away.of_project(user, project, since=since) for user in (ada, ben))
    assert (hers.alert_count, hers.comment_count) == (0, 0)
    assert (his.alert_count, his.comment_count) == (1, 1)


def test_comments_on_a_run_that_was_deleted_since_are_no_news(
    ada: User, ben: User, project: Project
) -> None:
    Membership.objects.create(project=project, user=ben)
    kept, deleted = running(ada, project), running(ada, project)
    for run in (kept, deleted, deleted):
        Comment.objects.create(
            project=project, kind="run", key=str(run.pk), author=ada, text="Look."
        )
    Comment.objects.create(project=project, kind="report", key="1", author=ada, text="Look.")
    since = datetime(2020, 1, 1, tzinfo=UTC)
    assert away.of_project(ben, project, since=since).comment_count == 4
    end(deleted, Run.State.FINISHED)
    shelving.delete(run=Run.objects.get(pk=deleted.pk), by=ada)
    assert away.of_project(ben, project, since=since).comment_count == 2

"""Notices by mail: together, in people's own hours, to who may still read them, and once."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core import mail
from django.test import Client
from django.urls import reverse

from experiments.inbox import hours, mails, notices, preferences
from experiments.models import Level, Membership, Notice, NoticeSettings, Project
from portal import audit
from portal.models import User

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _mail_works(settings: LazySettings) -> None:
    settings.EMAIL_URL = "smtp://mail.example"


def choose(user: User, **fields: Any) -> NoticeSettings:
    given = {
        "time_zone": "UTC", "mails": "soon", "mail_level": "info", "mail_comments": True,
        "daily_at": time(8), "quiet_from": None, "quiet_to": None, **fields,
    }  # fmt: skip
    return preferences.change(by=user, **given)


def tell(user: User, project: Project, key: str = "a:1", at: datetime = NOON, **how: Any) -> None:
    given = {"level": Level.ERROR, "title": "Loss is NaN: Probe (run 1)", **how}
    news = notices.News(
        kind=given.pop("kind", Notice.Kind.ALERT), project=project, key=key, url="/projects/x/",
        **given,
    )  # fmt: skip
    notices.tell(news, [user], at=at)


def test_all_that_waits_comes_in_one_mail_and_once(ada: User, project: Project) -> None:
    tell(ada, project, text="At step 7.")
    tell(ada, project, "a:2")
    assert [mails.send_due(NOON), mails.send_due(NOON + timedelta(minutes=5))] == [1, 0]
    (sent,) = mail.outbox
    assert sent.to == ["ada@lab.example"]
    assert sent.subject == "Backline: 2 notices"
    assert "01 Dec 12:00  Error: Loss is NaN: Probe (run 1)" in sent.body
    assert "At step 7." in sent.body
    assert "http://127.0.0.1:8000/projects/x/" in sent.body
    assert reverse("inbox_settings") in sent.extra_headers["List-Unsubscribe"]


def test_the_subject_says_how_many_and_no_name_of_anything(ada: User, project: Project) -> None:
    name = "secret\r\nBcc: everybody@example.com\r\n\r\nHello"
    Project.objects.filter(pk=project.pk).update(name="Hush\nSubject: x")
    project.refresh_from_db()
    tell(ada, project, title=name, text=name)
    mails.send_due(NOON)
    (sent,) = mail.outbox
    assert sent.subject == "Backline: 1 notice"
    message = sent.message()
    assert message["Bcc"] is None
    assert message["Subject"] == "Backline: 1 notice"
    assert message["To"] == "ada@lab.example"


def test_two_mails_are_some_minutes_apart_and_what_comes_between_waits(
    ada: User, project: Project
) -> None:
    sent = []
    for minute in range(6):
        tell(ada, project, f"a:{minute}", at=NOON + timedelta(minutes=minute))
        sent.append(mails.send_due(NOON + timedelta(minutes=minute)))
    assert sent == [1, 0, 1, 0, 1, 0]
    assert "2 notices" in mail.outbox[-1].subject


def test_quiet_hours_hold_back_and_their_end_brings_all_as_one(ada: User, project: Project) -> None:
    choose(ada, time_zone="Europe/Berlin", quiet_from=time(22), quiet_to=time(7, 30))
    # 23:00 in Berlin, then 02:00, 07:29 and 07:30.
    evening = datetime(2026, 12, 1, 22, 0, tzinfo=UTC)
    tell(ada, project, at=evening)
    assert mails.send_due(evening) == 0
    tell(ada, project, "a:2", at=evening + timedelta(hours=3))
    assert mails.send_due(evening + timedelta(hours=3)) == 0
    morning = datetime(2026, 12, 2, 6, 29, tzinfo=UTC)
    assert [mails.send_due(morning), mails.send_due(morning + timedelta(minutes=1))] == [0, 1]
    assert mail.outbox[0].subject == "Backline: 2 notices"
    assert "01 Dec 23:00" in mail.outbox[0].body
    # In the portal they were all the time.
    assert notices.unread_count(ada) == 2


@pytest.mark.parametrize(
    ("start", "end", "at", "quiet"),
    [
        (time(22), time(7), time(23), True), (time(22), time(7), time(6, 59), True),
        (time(22), time(7), time(7), False), (time(22), time(7), time(12), False),
        (time(9), time(17), time(9), True), (time(9), time(17), time(17), False),
        (time(9), time(9), time(9), False), (None, None, time(3), False),
    ],
)  # fmt: skip
def test_when_it_is_quiet(start: time | None, end: time | None, at: time, quiet: bool) -> None:
    chosen = NoticeSettings(time_zone="UTC", quiet_from=start, quiet_to=end)
    assert hours.is_quiet(chosen, datetime.combine(NOON.date(), at, tzinfo=UTC)) is quiet


def test_the_daily_mail_comes_at_its_hour_in_the_persons_zone_and_once_a_day(
    ada: User, project: Project
) -> None:
    choose(ada, mails="daily", time_zone="America/New_York", daily_at=time(8))
    # In winter 08:00 there is 13:00 UTC.
    tell(ada, project)
    assert mails.send_due(NOON) == 1, "The first one does not wait for a day."
    tell(ada, project, "a:2")
    assert mails.send_due(datetime(2026, 12, 1, 12, 59, tzinfo=UTC)) == 0
    assert mails.send_due(datetime(2026, 12, 1, 13, 0, tzinfo=UTC)) == 1
    tell(ada, project, "a:3")
    assert mails.send_due(datetime(2026, 12, 2, 12, 59, tzinfo=UTC)) == 0
    assert mails.send_due(datetime(2026, 12, 2, 13, 0, tzinfo=UTC)) == 1


def test_an_hour_that_the_clock_skips_or_has_twice_is_some_moment_of_that_day() -> None:
    chosen = NoticeSettings(time_zone="Europe/Berlin", daily_at=time(2, 30))
    for day in (datetime(2026, 3, 29, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)):
        due = hours.last_daily(chosen, day)
        assert timedelta(0) < day - due < timedelta(hours=12)


def test_who_wants_no_mail_or_only_what_is_urgent_gets_that(ada: User, project: Project) -> None:
    choose(ada, mail_level="error", mail_comments=False)
    tell(ada, project, level=Level.WARN)
    tell(ada, project, "c:1", kind=Notice.Kind.MENTION, level=Level.INFO)
    assert mails.send_due(NOON) == 0
    tell(ada, project, "a:2", level=Level.ERROR)
    choose(ada, mails="off")
    assert mails.send_due(NOON) == 0
    choose(ada)
    assert mails.send_due(NOON) == 0, "What was not wanted then is not sent later."


def test_what_was_read_in_the_portal_or_is_no_longer_ones_own_is_not_mailed(
    ada: User, ben: User, project: Project
) -> None:
    member = Membership.objects.create(project=project, user=ben)
    tell(ada, project)
    tell(ben, project)
    notices.mark_read(by=ada, notice=Notice.objects.get(user=ada))
    member.delete()
    assert mails.send_due(NOON) == 0
    assert mail.outbox == []
    Membership.objects.create(project=project, user=ben)
    assert mails.send_due(NOON) == 0


def test_without_a_mail_server_nothing_waits_for_one(
    ada: User, project: Project, settings: LazySettings
) -> None:
    settings.EMAIL_URL = ""
    tell(ada, project)
    assert Notice.objects.get().mail == "none"


def test_a_server_that_refuses_is_tried_again_and_an_impossible_address_is_not(
    ada: User, project: Project, settings: LazySettings
) -> None:
    tell(ada, project)
    # Nobody listens there.
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    assert mails.send_due(NOON) == 0
    assert Notice.objects.get().mail == "waiting"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert mails.send_due(NOON + timedelta(minutes=5)) == 1
    User.objects.filter(pk=ada.pk).update(email="a@b\nBcc: c@d")
    tell(ada, project, "a:2")
    assert mails.send_due(NOON + timedelta(minutes=10)) == 0
    assert Notice.objects.get(key="a:2").mail == "none"


def test_what_a_killed_worker_had_claimed_is_sent_by_the_next(ada: User, project: Project) -> None:
    tell(ada, project)
    Notice.objects.update(mail="sending", mailed_at=NOON)
    assert mails.send_due(NOON + timedelta(minutes=5)) == 0
    assert mails.send_due(NOON + timedelta(minutes=11)) == 1


def test_a_long_list_is_cut_and_counted(ada: User, project: Project) -> None:
    Notice.objects.bulk_create(
        Notice(
            user=ada, project=project, kind="alert", title=f"Number {n}", url="/x", key=f"k:{n}",
            mail="waiting", at=NOON,
        )
        for n in range(60)
    )  # fmt: skip
    mails.send_due(NOON)
    assert "And 10 more." in mail.outbox[0].body


def test_settings_are_the_persons_own_and_nonsense_is_refused_with_what_was_typed(
    client: Client, ada: User
) -> None:
    client.force_login(ada)
    url = reverse("inbox_settings")
    good = {
        "mails": "daily", "mail_level": "error", "daily_at": "07:30", "time_zone": "Asia/Tokyo",
        "quiet_from": "22:00", "quiet_to": "07:00",
    }  # fmt: skip
    assert client.get(url).status_code == 200
    for field, value, sentence in (
        ("time_zone", "Mars/Olympus", "is no time zone"), ("quiet_to", "", "Give both ends"),
        ("daily_at", "25:00", "Enter a valid time"), ("mails", "hourly", "Select a valid choice"),
    ):  # fmt: skip
        answer = client.post(url, good | {field: value})
        assert answer.status_code == 422
        text = answer.content.decode()
        assert sentence in text
        assert field == "time_zone" or "Asia/Tokyo" in text
    assert not NoticeSettings.objects.exists()
    assert client.post(url, good).status_code == 302
    row = NoticeSettings.objects.get(user=ada)
    assert (row.time_zone, row.mails, row.quiet_from) == ("Asia/Tokyo", "daily", time(22))
    assert audit.history(row).get().verb == "notices.settings"

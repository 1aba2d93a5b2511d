"""Comments: who is told, who is not, what stays of a change and what goes with a deletion."""

from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from experiments.alerts import watching, webhooks
from experiments.discussion import comments, mentions, subjects
from experiments.discussion.subjects import Subject
from experiments.models import (
    Alert,
    Comment,
    CommentEdit,
    Membership,
    Notice,
    Project,
    Run,
    WebhookDelivery,
)
from experiments.runs import shelving
from portal import audit
from portal.models import Role, User
from tests.conftest import person
from tests.experiments.alerts.cast import end, rule, running

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return running(ada, project)


@pytest.fixture
def about(run: Run) -> Subject:
    return subjects.of_run(run)


@pytest.fixture
def mia(project: Project) -> User:
    member = person("mia.k", "Mia Kern", Role.RESEARCHER)
    Membership.objects.create(project=project, user=member)
    return member


def told() -> list[tuple[str, str]]:
    return sorted(Notice.objects.values_list("user__username", "kind"))


def test_a_comment_tells_whose_run_it_is_and_not_its_writer(
    ada: User, mia: User, about: Subject
) -> None:
    comments.post(by=ada, subject=about, text="Mine.")
    assert told() == []
    posted = comments.post(by=mia, subject=about, text="The **loss** looks `<odd>`.")
    notice = Notice.objects.get()
    assert (notice.user, notice.kind) == (ada, "comment")
    assert notice.title == "Mia Kern commented on 1 Probe"
    assert notice.text == "The loss looks <odd>."
    assert notice.url.endswith(f"?comment={posted.comment.pk}#comment-{posted.comment.pk}")
    line = audit.history(posted.comment).get()
    assert (line.verb, "odd" in str(line.details)) == ("comment.posted", False)


def test_an_answer_tells_its_thread_and_stands_in_it_however_deep_it_was_meant(
    ada: User, mia: User, about: Subject, project: Project
) -> None:
    leo = person("leo", "Leo Brandt", Role.RESEARCHER)
    Membership.objects.create(project=project, user=leo)
    comments.post(by=leo, subject=about, text="Another thread.")
    root = comments.post(by=mia, subject=about, text="A thread.").comment
    answer = comments.post(by=ada, subject=about, text="An answer.", parent=root).comment
    Notice.objects.all().delete()
    deeper = comments.post(by=mia, subject=about, text="And back.", parent=answer).comment
    assert deeper.parent == root
    # Leo writes about the same run, in another thread.
    assert told() == [("ada", "comment")]
    (_, thread) = comments.threads(comments.roots(about))
    assert [answer.text for answer in thread.answers] == ["An answer.", "And back."]


def test_who_is_named_is_told_of_that_and_once(ada: User, mia: User, about: Subject) -> None:
    posted = comments.post(by=mia, subject=about, text="@ada, look. @Ada! And @mia.k herself.")
    assert [user.username for user in posted.named.users] == ["ada", "mia.k"]
    assert told() == [("ada", "mention")]
    assert Notice.objects.get().title == "Mia Kern named you in a comment on 1 Probe"


def test_somebody_who_may_not_see_the_project_is_not_told_and_the_writer_reads_so(
    ada: User, ben: User, lou: User, about: Subject
) -> None:
    posted = comments.post(by=ada, subject=about, text="@ben @nobody-at-all @lou")
    assert told() == []
    sentence = posted.named.sentence
    assert sentence == (
        "Not told: @ben, @nobody-at-all, @lou. Nobody of that name may see this project."
    )
    # An operator sees every project; who has left sees none.
    olga = person("olga", "Olga Petrov", Role.OPERATOR)
    comments.post(by=ada, subject=about, text="@olga")
    assert told() == [(olga.username, "mention")]


def test_who_left_the_project_hears_nothing_more_of_their_own_thread(
    ada: User, mia: User, about: Subject, project: Project
) -> None:
    root = comments.post(by=mia, subject=about, text="A thread.").comment
    project.memberships.filter(user=mia).delete()
    Notice.objects.all().delete()
    comments.post(by=ada, subject=about, text="@mia.k, are you there?", parent=root)
    assert told() == []
    assert subjects.find(mia, "run", about.key) is None
    assert not Comment.objects.visible_to(mia).exists()


def test_a_muted_discussion_tells_nothing_but_ones_name(
    ada: User, mia: User, about: Subject
) -> None:
    comments.mute(by=ada, subject=about, on=True)
    comments.mute(by=ada, subject=about, on=True)
    comments.post(by=mia, subject=about, text="Something.")
    assert told() == []
    comments.post(by=mia, subject=about, text="@ada!")
    assert told() == [("ada", "mention")]
    comments.mute(by=ada, subject=about, on=False)
    comments.post(by=mia, subject=about, text="Something else.")
    assert told() == [("ada", "comment"), ("ada", "mention")]


def test_a_change_keeps_what_was_said_and_tells_only_who_is_named_anew(
    ada: User, mia: User, about: Subject, project: Project
) -> None:
    leo = person("leo", "Leo Brandt", Role.RESEARCHER)
    Membership.objects.create(project=project, user=leo)
    comment = comments.post(by=mia, subject=about, text="@ada first").comment
    comments.edit(by=mia, comment=comment, subject=about, text="@ada second")
    comments.edit(by=mia, comment=comment, subject=about, text="@ada third @leo")
    assert told() == [("ada", "mention"), ("leo", "mention")]
    assert [edit.text for edit in comment.edits.all()] == ["@ada second", "@ada first"]
    assert Notice.objects.get(user=ada).text == "@ada third @leo"
    comments.edit(by=mia, comment=comment, subject=about, text="@ada third @leo")
    assert CommentEdit.objects.count() == 2
    with pytest.raises(comments.NotYours):
        comments.edit(by=ada, comment=comment, subject=about, text="Not mine.")


def test_what_is_taken_back_is_gone_with_its_history_and_from_inboxes_and_its_place_stays(
    ada: User, mia: User, about: Subject
) -> None:
    comment = comments.post(by=mia, subject=about, text="regretted").comment
    comments.edit(by=mia, comment=comment, subject=about, text="still regretted")
    answer = comments.post(by=ada, subject=about, text="Hm.", parent=comment).comment
    with pytest.raises(comments.NotYours):
        comments.delete(by=ada, comment=comment)
    comments.delete(by=mia, comment=comment)
    everywhere = f"{list(Comment.objects.values())} {list(CommentEdit.objects.values())}"
    assert "regretted" not in everywhere + str(list(Notice.objects.values()))
    (thread,) = comments.threads(comments.roots(about))
    assert (thread.root.text, [one.text for one in thread.answers]) == ("", ["Hm."])
    with pytest.raises(comments.NotPossible):
        comments.edit(by=mia, comment=comment, subject=about, text="Again.")
    # Without answers to it nothing is left to see.
    comments.delete(by=ada, comment=answer)
    assert not comments.roots(about).exists()
    assert comments.count(about) == 0


def test_what_was_said_of_something_that_is_gone_goes_with_it_and_nothing_else(
    ada: User, mia: User, about: Subject
) -> None:
    other = subjects.of_run(running(ada, about.project))
    root = comments.post(by=mia, subject=about, text="@ada here").comment
    comments.post(by=ada, subject=about, text="Answer.", parent=root)
    comments.post(by=mia, subject=other, text="There.")
    comments.mute(by=mia, subject=about, on=True)
    assert comments.forget(about.kind, about.key) == 2
    assert [comment.text for comment in Comment.objects.all()] == ["There."]
    assert [notice.text for notice in Notice.objects.all()] == ["There."]


def test_a_purged_run_leaves_nothing_of_what_was_said_of_it(
    ada: User, mia: User, about: Subject, run: Run
) -> None:
    comments.post(by=mia, subject=about, text="regretted")
    rule(ada, about.project, "state", states=["failed"])
    end(run, Run.State.FAILED, "regretted too")
    watching.run_pass()
    run.refresh_from_db()
    shelving.delete(run=run, by=ada)
    # For a week it is gone from sight alone.
    assert Alert.objects.exists()
    assert not Alert.objects.visible_to(ada).exists()
    assert subjects.find(ada, "run", about.key) is None
    assert shelving.purge_due(timezone.now() + timedelta(days=8)) == 1
    for rows in (Comment, Alert, Notice):
        assert not rows.objects.exists()


def test_a_deleted_run_leaves_inboxes_at_once_and_comes_back_with_what_was_said(
    ada: User, mia: User, about: Subject, run: Run, project: Project
) -> None:
    other = subjects.of_run(running(ada, project))
    for subject in (about, other):
        comments.post(by=mia, subject=subject, text=f"@ada {subject.key[:4]}")
    rule(ada, project, "state", states=["failed"])
    end(run, Run.State.FAILED, "Broken.")
    watching.run_pass()
    told = Notice.objects.filter(user=ada)
    assert told.count() == 3
    run.refresh_from_db()
    shelving.delete(run=run, by=ada)
    assert [notice.text for notice in told] == [f"@ada {other.key[:4]}"]
    shelving.bring_back(run=run, by=ada)
    assert Comment.objects.about("run", about.key).count() == Alert.objects.count() == 1


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 20_001, "a\0b", "\u200b"])
def test_what_is_no_comment_is_refused_with_a_sentence(
    ada: User, about: Subject, text: str
) -> None:
    with pytest.raises(comments.NotPossible) as refusal:
        comments.post(by=ada, subject=about, text=text)
    assert str(refusal.value).endswith(".")


def test_an_answer_to_something_else_is_refused(
    ada: User, about: Subject, project: Project
) -> None:
    other = subjects.of_run(running(ada, project))
    root = comments.post(by=ada, subject=other, text="There.").comment
    with pytest.raises(comments.NotPossible, match="something else"):
        comments.post(by=ada, subject=about, text="Here.", parent=root)


def test_a_flood_of_comments_is_slowed(ada: User, about: Subject) -> None:
    for number in range(comments.PER_MINUTE):
        comments.post(by=ada, subject=about, text=str(number))
    with pytest.raises(comments.NotPossible, match="Wait a little"):
        comments.post(by=ada, subject=about, text="one more")


def test_webhooks_that_want_comments_get_who_and_where_and_not_what(
    ada: User, about: Subject, project: Project
) -> None:
    for wants in (True, False):
        webhooks.create(
            by=ada, project=project, name="x", kind="slack", url="https://hooks.example.com/",
            comments=wants,
        )  # fmt: skip
    comments.post(by=ada, subject=about, text="confidential")
    payload = WebhookDelivery.objects.get().payload
    assert (payload["type"], payload["author"], payload["about"]) == ("comment", "ada", "1 Probe")
    assert "confidential" not in str(payload)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@ada", ["ada"]), ("Hello @ada.", ["ada"]), ("(@ada)", ["ada"]), ("@mia.k's", ["mia.k"]),
        ("@ada, @ada and @ADA", ["ada"]), ("mail@ada.example", []), ("a/@ada", []), ("@@ada", []),
        ("`@ada`", []), ("```\n@ada\n```\n@ben", ["ben"]), ("~~~\n@ada", []), ("@", []),
        ("\n@ada\n", ["ada"]), ("@ada@ben", ["ada@ben"]), ("@ädä", ["ädä"]),
        (" ".join(f"@u{n}" for n in range(50)), [f"u{n}" for n in range(20)]),
    ],
)  # fmt: skip
def test_which_names_a_text_has(text: str, names: list[str]) -> None:
    assert mentions.names_in(text) == names


@given(st.text(alphabet="@a.`~ \n\\", max_size=60))
def test_no_text_breaks_the_search_for_names(text: str) -> None:
    for name in mentions.names_in(text):
        assert "`" not in name
        assert f"@{name}" in text

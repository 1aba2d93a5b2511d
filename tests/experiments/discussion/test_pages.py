"""Discussions as a page, as a part of another one, and over the API; without scripts too."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audio_samples.models import Sample
from experiments.discussion import comments, subjects
from experiments.models import Comment, Membership, Project, Run
from portal.models import User
from tests.audio_samples.cast import make_sample
from tests.confirming import confirm
from tests.experiments.alerts.cast import running
from tests.experiments.test_api import own, whole

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return running(ada, project)


@pytest.fixture
def page(run: Run) -> str:
    return reverse("experiments:run_discussion", args=[run.project.slug, run.number])


def post_to(run: Run) -> str:
    return reverse("comment_post", args=["run", run.pk])


def test_a_comment_is_written_answered_and_read_without_a_script(
    client: Client, ada: User, run: Run, page: str
) -> None:
    client.force_login(ada)
    assert "No comments yet" in client.get(page).content.decode()
    answer = client.post(post_to(run), {"text": "**Bold** <script>x</script> @nobody"}, follow=True)
    text = answer.content.decode()
    assert "<strong>Bold</strong>" in text
    assert "&lt;script&gt;x&lt;/script&gt;" in text
    assert "Not told: @nobody." in text
    root = Comment.objects.get()
    client.post(post_to(run), {"text": "An answer.", "parent": root.pk})
    assert "2 comments" in client.get(page).content.decode()


def test_a_part_of_a_page_answers_with_itself(
    client: Client, ada: User, run: Run, page: str
) -> None:
    client.force_login(ada)
    part = client.get(page, headers=HTMX).content.decode()
    assert part.lstrip().startswith('<section class="discussion"')
    assert "<html" not in part
    written = client.post(post_to(run), {"text": "Here. @nobody"}, headers=HTMX).content.decode()
    assert written.lstrip().startswith('<section class="discussion"')
    assert "Not told: @nobody" in written
    # What was said to this answer is not said again on the next page.
    assert "Not told" not in client.get(page).content.decode()
    muted = client.post(
        reverse("discussion_mute", args=["run", run.pk]), {"on": "yes"}, headers=HTMX
    )
    assert "hear again" in muted.content.decode()


def test_what_cannot_be_stored_comes_back_as_it_was_typed_where_it_was_typed(
    client: Client, ada: User, run: Run
) -> None:
    client.force_login(ada)
    assert client.post(post_to(run), {"text": ""}).status_code == 422
    root = comments.post(by=ada, subject=subjects.of_run(run), text="Root.").comment
    for _ in range(comments.PER_MINUTE):
        Comment.objects.create(project=run.project, kind="run", key="other", author=ada, text="x")
    answer = client.post(post_to(run), {"text": "My long thought.", "parent": root.pk})
    assert answer.status_code == 422
    text = answer.content.decode()
    assert text.count("My long thought.") == 1
    assert "Wait a little" in text
    assert '<details class="answer" open>' in text


def test_only_its_author_changes_a_comment_and_everybody_reads_its_versions(
    client: Client, ada: User, ben: User, run: Run
) -> None:
    Membership.objects.create(project=run.project, user=ben, level=Membership.Level.VIEWER)
    comment = comments.post(by=ben, subject=subjects.of_run(run), text="first").comment
    client.force_login(ben)
    edit, delete = (reverse(f"comment_{act}", args=[comment.pk]) for act in ("edit", "delete"))
    assert ">first</textarea>" in client.get(edit).content.decode()
    assert client.post(edit, {"text": ""}).status_code == 422
    assert client.post(edit, {"text": "second"}).status_code == 302
    client.force_login(ada)
    for url in (edit, delete):
        assert client.get(url).status_code == 404
        assert client.post(url, {"text": "x"}).status_code == 404
    history = client.get(reverse("comment_history", args=[comment.pk])).content.decode()
    assert history.index("<p>second") < history.index("<p>first")
    client.force_login(ben)
    confirm(client, delete)
    comment.refresh_from_db()
    assert comment.text == ""


def test_an_outsider_finds_no_discussion_and_no_names(client: Client, ben: User, run: Run) -> None:
    client.force_login(ben)
    for name in ("discussion", "discussion_people"):
        assert client.get(reverse(name, args=["run", run.pk])).status_code == 404
    for name in ("comment_post", "discussion_mute"):
        assert client.post(reverse(name, args=["run", run.pk]), {"text": "x"}).status_code == 404
    for key in ("nonsense", "0", "9" * 40):
        for kind in ("run", "sample", "report", "nothing"):
            assert client.get(reverse("discussion", args=[kind, key])).status_code == 404


def test_names_are_completed_among_members_alone(
    client: Client, ada: User, ben: User, olga: User, run: Run
) -> None:
    client.force_login(ada)
    url = reverse("discussion_people", args=["run", run.pk])
    assert client.get(url, {"q": "be"}).json() == {"people": []}
    Membership.objects.create(project=run.project, user=ben)
    for text in ("be", "BEN", "sat"):
        found = client.get(url, {"q": text}).json()["people"]
        assert found == [{"username": "ben", "name": "Ben Sato"}]
    assert [one["username"] for one in client.get(url).json()["people"]] == ["ada", "ben"]
    assert client.get(url, {"q": "%"}).json() == {"people": []}


def test_a_long_discussion_has_pages_and_a_link_to_a_comment_finds_its_own(
    client: Client, ada: User, run: Run, page: str
) -> None:
    made = Comment.objects.bulk_create(
        Comment(project=run.project, kind="run", key=str(run.pk), author=ada, text=f"No. {n}.")
        for n in range(70)
    )
    client.force_login(ada)
    newest = client.get(page).content.decode()
    assert "No. 69." in newest
    assert "No. 0." not in newest
    assert "No. 0." in client.get(f"{page}?comment={made[0].pk}").content.decode()
    assert "No. 35." in client.get(f"{page}?page=2").content.decode()
    assert client.get(f"{page}?comment=999999").status_code == 200


def test_what_others_said_meanwhile_is_on_the_page_of_what_happened(
    client: Client, ada: User, ben: User, run: Run
) -> None:
    Membership.objects.create(project=run.project, user=ben)
    about = subjects.of_run(run)
    posted = comments.post(by=ben, subject=about, text="**Odd** loss.").comment
    comments.post(by=ada, subject=about, text="Her own words.")
    # Of something that is not there any more.
    Comment.objects.create(project=run.project, kind="sample", key="99", author=ben, text="Gone.")
    client.force_login(ada)
    text = client.get(reverse("inbox_away")).content.decode()
    assert "Ben Sato on 1 Probe" in text
    assert f"#comment-{posted.pk}" in text
    assert "Odd loss." in text
    assert "Her own words." not in text
    assert "Gone." not in text


def test_a_sample_is_discussed_too(client: Client, ada: User, ben: User, run: Run) -> None:
    sample: Sample = make_sample(run)
    url = reverse("discussion", args=["sample", sample.pk])
    client.force_login(ada)
    client.post(reverse("comment_post", args=["sample", sample.pk]), {"text": "Nice groove."})
    assert "Nice groove." in client.get(url).content.decode()
    client.force_login(ben)
    assert client.get(url).status_code == 404


def test_the_api_reads_writes_changes_and_takes_back(ada: User, ben: User, run: Run) -> None:
    caller = whole(ada)
    body: dict[str, Any] = {"kind": "run", "key": str(run.pk), "text": "From a script. @ben"}
    posted = caller.post("/comments", body).json()
    assert (posted["told"], posted["not_told"]) == ([], ["ben"])
    pk = posted["comment"]["id"]
    answer = caller.post("/comments", body | {"text": "More.", "parent": pk}).json()
    assert answer["comment"]["parent"] == pk
    assert caller.post("/comments", body | {"parent": 999}).status_code == 404
    assert caller.post("/comments", body | {"text": " "}).status_code == 422
    assert caller.post(f"/comments/{pk}/edit", {"text": "Changed."}).json()["comment"]["edited_at"]
    listed = caller.get("/comments", kind="run", key=str(run.pk)).json()
    assert [one["text"] for one in listed["items"]] == ["Changed.", "More."]
    for outsider in (whole(ben), own(run, ada)):
        refused = outsider.get("/comments", kind="run", key=str(run.pk)).status_code
        assert refused in {403, 404}
        assert outsider.post("/comments", body).status_code == refused
        assert outsider.post(f"/comments/{pk}/delete", {}).status_code == refused
    Membership.objects.create(project=run.project, user=ben)
    assert whole(ben).post(f"/comments/{pk}/edit", {"text": "x"}).status_code == 403
    assert whole(ben).post(f"/comments/{pk}/delete", {}).status_code == 403
    assert caller.post(f"/comments/{pk}/delete", {}).json()["text"] == ""
    assert caller.post(f"/comments/{pk}/delete", {}).status_code == 422

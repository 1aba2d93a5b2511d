"""The pages on which a run is described: nothing typed is lost, nothing of others overwritten."""

import pytest
from django.test import Client

from experiments.models import Membership, Project, Run
from experiments.run_page import edits
from experiments.runs import describing, runs
from portal.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.open_client_run(by=ada, project=project, name="first", tags=["jazz"])


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def words(**fields: object) -> dict[str, object]:
    return {"name": "first", "description": "", "tags": "jazz", "notes": "", "version": 0} | fields


AT = "/projects/first-light/runs/1/"


def test_notes_are_shown_as_markdown_and_nothing_in_them_runs(page: Client, run: Run) -> None:
    sent = words(notes="# Why\n\n<script>alert(1)</script> *good*", tags="slow, Late night")
    answer = page.post(f"{AT}describe/", sent)
    assert answer.headers["Location"] == AT
    html = page.get(AT).content.decode()
    assert "<h3>Why</h3>" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; <em>good</em>" in html
    assert "?q=tag%3A%22Late+night%22" in html
    # The link of a tag finds the run, whatever its case.
    assert (
        'id="run-1"' in page.get("/projects/first-light/?q=tag:%22LATE NIGHT%22").content.decode()
    )
    assert 'id="run-1"' not in page.get("/projects/first-light/?q=tag:late").content.decode()


def test_a_bad_text_is_named_and_nothing_typed_is_lost(page: Client, run: Run) -> None:
    answer = page.post(f"{AT}describe/", words(name="", notes="long thoughts", tags='a"b'))
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "long thoughts" in html
    assert "a&quot;b" in html
    assert "Name: This field is required." in html
    answer = page.post(f"{AT}describe/", words(notes="long thoughts", tags='a"b'))
    assert "has a comma or a quotation mark in it" in answer.content.decode()


def test_who_comes_second_sees_both_and_decides(page: Client, ada: User, run: Run) -> None:
    describing.edit(run=run, by=ada, notes="theirs", add_tags=["new"])
    answer = page.post(f"{AT}describe/", words(notes="mine"))
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "Ada Okafor has changed the notes since you saw it." in html
    assert ">theirs</pre>" in html
    assert ">\nmine</textarea>" in html
    assert 'name="version" value="1"' in html
    page.post(f"{AT}describe/", words(notes="mine", version=1, tags="jazz, new"))
    run.refresh_from_db()
    assert (run.notes, run.tags) == ("mine", ["jazz", "new"])


def test_tags_change_in_place_or_without_a_script(page: Client, run: Run) -> None:
    answer = page.post(f"{AT}tags/add/", {"tags": "a, b"}, headers={"HX-Request": "true"})
    html = answer.content.decode()
    assert "<html" not in html
    assert html.count('class="chip tag"') == 3
    assert page.post(f"{AT}tags/remove/", {"tags": "A"}).headers["Location"] == AT
    run.refresh_from_db()
    assert run.tags == ["jazz", "b"]
    answer = page.post(f"{AT}tags/add/", {"tags": "x" * 61}, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert 'value="' + "x" * 61 in answer.content.decode()


def test_changes_are_shown_by_line_and_undone(page: Client, ada: User, run: Run) -> None:
    describing.edit(run=run, by=ada, notes="one\ntwo\nthree", tags=["slow"])
    describing.edit(run=run, by=ada, notes="one\n2\nthree")
    html = page.get(f"{AT}edits/").content.decode()
    assert "<del>- two\n</del><ins>+ 2\n</ins>" in html
    assert "<del>- jazz\n</del><ins>+ slow\n</ins>" in html
    answer = page.post(f"{AT}edits/1/undo/", follow=True)
    assert "Not undone. Ada Okafor has changed the notes since" in answer.content.decode()
    page.post(f"{AT}edits/2/undo/")
    run.refresh_from_db()
    assert run.notes == "one\ntwo\nthree"
    assert page.post(f"{AT}edits/9/undo/").status_code == 404


def test_a_viewer_reads_and_changes_nothing(page: Client, ada: User, run: Run) -> None:
    describing.edit(run=run, by=ada, description="a line")
    Membership.objects.filter(user=ada).update(level=Membership.Level.VIEWER)
    html = page.get(AT).content.decode()
    assert "a line" in html
    assert "tags/add/" not in html
    assert page.get(f"{AT}describe/").status_code == 403
    assert "Undo" not in page.get(f"{AT}edits/").content.decode()
    for act in ("describe/", "tags/add/", "tags/remove/", "edits/1/undo/"):
        assert page.post(AT + act, words()).status_code == 403
    run.refresh_from_db()
    assert run.described == 1


def test_a_preview_is_what_it_will_be(page: Client, client: Client) -> None:
    answer = page.post("/markdown/preview", {"notes": "*a* <b>"})
    assert answer.content == b"<p><em>a</em> &lt;b&gt;</p>\n"
    client.logout()
    assert client.post("/markdown/preview", {"notes": "a"}).status_code == 401


def test_a_change_of_a_long_text_shows_what_is_around_it() -> None:
    old = "\n".join(str(n) for n in range(100))
    shown = edits.lines(old, old.replace("\n50\n", "\nfifty\n").replace("\n70\n", "\n"))
    marked = [(line.mark, line.text) for line in shown if line.mark]
    assert marked == [("-", "50"), ("+", "fifty"), ("…", ""), ("-", "70")]
    assert len(shown) == 12

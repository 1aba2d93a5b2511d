"""The pages of acts on many runs: what is posted is what was shown, and nothing needs a script."""

import re

import pytest
from django.test import Client

from experiments.models import Membership, Project, Run, RunBatch
from experiments.runs import describing, runs, shelving
from portal import tokens
from portal.models import User

pytestmark = pytest.mark.django_db
AT = "/projects/first-light/runs/"


@pytest.fixture
def three(ada: User, project: Project) -> list[Run]:
    made = [runs.open_client_run(by=ada, project=project, name=f"r{n}") for n in range(3)]
    for run in made[:2]:
        runs.close_client_run(run)
    return made


@pytest.fixture
def page(client: Client, ada: User, three: list[Run]) -> Client:
    client.force_login(ada)
    return client


def fields(html: str) -> dict[str, str]:
    """The hidden fields of the page's form, as a browser sends them."""
    form = html.partition('<form class="form"')[2].partition("</form>")[0]
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: value.replace("&quot;", '"') for name, value in found}


def test_a_deletion_is_shown_done_and_undone(page: Client, project: Project) -> None:
    html = page.get(f"{AT}bulk/delete/?numbers=1-3").content.decode()
    assert "Delete 2 runs" in html
    assert "Run 3 has not ended: cancel it first." in html
    answer = page.post(f"{AT}bulk/delete/", fields(html), follow=True)
    assert "Deleted 2 runs. Not 1 run: Run 3 has not ended" in answer.content.decode()
    batch = RunBatch.objects.get()
    assert f"{AT}batches/{batch.pk}/" in answer.content.decode()
    assert "until" in page.get(f"{AT}deleted/").content.decode()
    assert "(deleted)" in page.get(f"{AT}batches/{batch.pk}/").content.decode()
    answer = page.post(f"{AT}batches/{batch.pk}/undo/", follow=True)
    assert "Undone for 2 runs." in answer.content.decode()
    assert project.runs.filter(deleted_at=None).count() == 3
    answer = page.post(f"{AT}batches/{batch.pk}/undo/", follow=True)
    assert "It is undone already." in answer.content.decode()


def test_nothing_is_deleted_or_cancelled_unseen(page: Client, project: Project) -> None:
    answer = page.post(f"{AT}bulk/delete/", {"numbers": "1-2"})
    assert (answer.status_code, "Nothing has happened yet" in answer.content.decode()) == (
        422,
        True,
    )
    sent = fields(answer.content.decode())
    shelving.delete(run=project.runs.get(number=1), by=project.runs.get(number=1).submitted_by)
    answer = page.post(f"{AT}bulk/delete/", sent)
    assert answer.status_code == 422
    assert "1 runs match now, not 2 as was shown" in answer.content.decode()
    # Of the same number, others.
    html = page.get(f"{AT}bulk/cancel/?numbers=3").content.decode()
    answer = page.post(f"{AT}bulk/cancel/", fields(html) | {"numbers": "2"})
    assert "not what the page showed you" in answer.content.decode()
    page.post(f"{AT}bulk/cancel/", fields(html))
    assert project.runs.get(number=3).state == Run.State.STOPPING


def test_all_that_match_a_query_are_tagged_at_once(page: Client, project: Project) -> None:
    html = page.get(f"{AT}bulk/tag/?q=name:r -run:2").content.decode()
    sent = fields(html) | {"tags": "seeds, jazz"}
    answer = page.post(f"{AT}bulk/tag/", sent | {"count": "2"})
    assert answer.headers["Location"] == "/projects/first-light/?q=name%3Ar+-run%3A2"
    assert [run.tags for run in project.runs.order_by("number")] == [
        ["seeds", "jazz"], [], ["seeds", "jazz"]
    ]  # fmt: skip
    answer = page.post(f"{AT}bulk/tag/", {"q": "name:r", "tags": "x", "count": "2"})
    assert "3 runs match now, not 2" in answer.content.decode()
    answer = page.post(f"{AT}bulk/tag/", {"q": "name:r", "tags": ""})
    assert "Which tags?" in answer.content.decode()
    answer = page.post(f"{AT}bulk/tag/", {"q": "nome:r", "tags": "kept"})
    assert "Did you mean “name”?" in answer.content.decode()
    assert 'value="kept"' in answer.content.decode()


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({}, "No run is chosen."),
        ({"numbers": "99"}, "No run is chosen."),
        ({"numbers": "1;2"}, "“1;2” is no number of a run."),
        ({"numbers": "1-999999999"}, "More than 20,000 runs at once"),
    ],
)
def test_what_names_no_run_is_said(page: Client, sent: dict[str, str], sentence: str) -> None:
    for answer in (page.get(f"{AT}bulk/archive/", sent), page.post(f"{AT}bulk/archive/", sent)):
        assert sentence in answer.content.decode()
    assert page.get(f"{AT}bulk/burn/").status_code == 404


def test_archived_runs_are_shown_when_asked_for(page: Client, project: Project) -> None:
    page.post(f"{AT}bulk/archive/", {"numbers": "1"})
    assert 'id="run-1"' not in page.get("/projects/first-light/").content.decode()
    assert 'id="run-1"' in page.get("/projects/first-light/?archived=1").content.decode()
    assert "Archived just now" not in page.get(f"{AT}2/").content.decode()
    assert ">Restore</a>" in page.get(f"{AT}1/").content.decode()
    # "All that match" are those that the table shows.
    page.post(f"{AT}bulk/tag/", {"q": "", "tags": "seen"})
    assert [bool(run.tags) for run in project.runs.order_by("number")] == [False, True, True]
    page.post(f"{AT}bulk/restore/", {"numbers": "1"})
    assert 'id="run-1"' in page.get("/projects/first-light/").content.decode()


def test_a_tag_is_renamed_for_the_project(page: Client, ada: User, three: list[Run]) -> None:
    describing.edit(run=three[0], by=ada, tags=["bsaeline", "x"])
    tags_at = "/projects/first-light/tags/"
    assert "bsaeline" in page.get(tags_at).content.decode()
    answer = page.post(tags_at, {"old": "bsaeline", "new": "baseline"}, follow=True)
    assert "Renamed a tag of 1 run." in answer.content.decode()
    three[0].refresh_from_db()
    assert three[0].tags == ["x", "baseline"]
    answer = page.post(tags_at, {"old": "x", "new": "a,b"})
    assert (answer.status_code, "has a comma" in answer.content.decode()) == (422, True)


def test_a_viewer_looks_and_does_nothing(page: Client, ada: User, project: Project) -> None:
    page.post(f"{AT}bulk/archive/", {"numbers": "1"})
    batch = RunBatch.objects.get()
    Membership.objects.filter(user=ada).update(level=Membership.Level.VIEWER)
    assert page.get(f"{AT}bulk/delete/?numbers=1").status_code == 403
    assert page.post(f"{AT}bulk/delete/", {"numbers": "1"}).status_code == 403
    assert page.post(f"{AT}batches/{batch.pk}/undo/").status_code == 403
    html = page.get(f"{AT}batches/{batch.pk}/").content.decode()
    assert "<button" not in html.partition("<main")[2].partition("</main")[0]
    assert "Rename" not in page.get("/projects/first-light/tags/").content.decode()
    page.post("/projects/first-light/tags/", {"old": "x", "new": "y"})
    assert RunBatch.objects.count() == 1


def test_programs_do_the_same_by_the_api(ada: User, ben: User, three: list[Run]) -> None:
    def call(by: User, path: str, body: object) -> tuple[int, dict[str, object]]:
        secret = tokens.issue(by, "script")[1]
        client = Client(headers={"authorization": f"Bearer {secret}"})
        path = f"/api/v1/projects/first-light/{path}"
        answer = client.post(path, body, content_type="application/json")
        return answer.status_code, answer.json()

    status, told = call(ada, "bulk/tag", {"query": "state:finished", "tags": ["a"], "count": 2})
    assert (status, told["done"], told["refused"]) == (200, 2, [])
    status, undone = call(ada, f"batches/{told['batch']}/undo", {})
    assert (status, undone["done"]) == (200, 2)
    assert call(ada, f"batches/{told['batch']}/undo", {})[0] == 409
    status, told = call(ada, "bulk/delete", {"numbers": [1, 3]})
    assert told["refused"] == [{"number": 3, "reason": "Run 3 has not ended: cancel it first."}]
    assert call(ada, "bulk/tag", {"query": "", "tags": ["a"], "count": 3})[0] == 409
    assert call(ada, "bulk/tag", {"query": "x:", "tags": ["a"]})[0] == 422
    assert call(ada, "bulk/burn", {"numbers": [1]})[0] == 422
    assert call(ada, "bulk/archive", {})[0] == 422
    assert call(ben, "bulk/archive", {"numbers": [2]})[0] == 404

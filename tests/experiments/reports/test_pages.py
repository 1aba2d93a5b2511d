"""The pages of reports and their API, as their readers and writers use them."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from experiments.models import Membership, Project, Report, Run
from experiments.reports import reports
from experiments.sweeps import sweeps
from portal import tokens
from portal.models import User
from tests.experiments.charts.test_data import log
from tests.experiments.run_table.test_table import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(project: Project, ada: User) -> Run:
    made = make(project, ada, 1)
    log(made, loss=[3, 2, 1])
    return made


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, (address, answer.status_code)
    return str(answer.content.decode())


def test_a_report_is_written_read_changed_and_taken_away_by_its_pages(
    ada: User, ben: User, project: Project, run: Run
) -> None:
    client, slug = client_of(ada), project.slug
    listed, new = (
        reverse(f"experiments:{name}", args=[slug]) for name in ("reports", "report_new")
    )
    assert "Write what you learned" in text(client, listed)
    assert "What it may be used for" in text(client, f"{new}?start=card")
    table = text(client, f"{new}?start=table&q=state:finished&col=metric.loss&sort=metric.loss")
    assert "columns: metric.loss" in table
    assert client.post(new, {"title": "", "text": "kept"}).status_code == 422
    words = {"title": "Loss & <more>", "text": "## One\n\n```chart\nruns: 1\ny: loss\n```"}
    page = client.post(new, words)
    report = Report.objects.get()
    assert page.headers["Location"] == report.get_absolute_url()
    html = text(client, report.get_absolute_url())
    assert "Loss &amp; &lt;more&gt;" in html
    assert "data-report-chart" in html
    assert "<svg class=" in text(client, f"{report.get_absolute_url()}?drawn=1")
    # A draft is nobody else's; published, it is the project's and nobody else's.
    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    other = client_of(ben)
    addresses = [
        reverse(f"report{name}", args=[report.pk]) for name in ("", "_edit", "_history")
    ] + [reverse("report_version", args=[report.pk, 1])]
    assert {other.get(address).status_code for address in addresses} == {404}
    assert report.title not in text(other, listed).replace("Loss &amp; &lt;more&gt;", report.title)
    client.post(reverse("report_publish", args=[report.pk]))
    assert [other.get(address).status_code for address in addresses] == [200, 403, 200, 200]
    for act in ("archive", "delete", "freeze"):
        assert other.post(reverse(f"report_{act}", args=[report.pk])).status_code == 403, act
    other.post(reverse("report_unpublish", args=[report.pk]))
    assert not Report.objects.get().is_draft
    # The run's page leads there.
    assert report.get_absolute_url() in text(client, run.get_absolute_url())
    # Two who write at once: the second sees both.
    edit = reverse("report_edit", args=[report.pk])
    assert 'value="1"' in text(client, edit)
    client.post(edit, {**words, "text": "theirs", "version": 1})
    clash = client.post(edit, {**words, "text": "mine", "version": 1})
    assert clash.status_code == 422
    assert "<del>- theirs" in clash.content.decode()
    assert "<ins>+ mine" in clash.content.decode()
    assert client.post(edit, {**words, "text": "mine", "version": 2}).status_code == 302
    assert "<ins>+ mine" in text(client, reverse("report_version", args=[report.pk, 3]))
    client.post(reverse("report_restore", args=[report.pk, 1]))
    assert Report.objects.get().text == words["text"]
    # Archived, deleted and back.
    client.post(reverse("report_archive", args=[report.pk]))
    assert report.get_absolute_url() not in text(client, listed)
    assert report.get_absolute_url() in text(client, f"{listed}?archived=1")
    client.post(reverse("report_delete", args=[report.pk]))
    assert {client.get(address).status_code for address in addresses} == {404}
    deleted = reverse("experiments:reports_deleted", args=[slug])
    back = reverse("report_bring_back", args=[report.pk])
    assert back in text(client, deleted)
    assert back not in text(other, deleted)
    assert other.post(back).status_code == 403
    assert client.post(back).status_code == 302
    assert client.get(report.get_absolute_url()).status_code == 200


def test_a_preview_shows_blocks_and_only_what_its_writer_may_see(
    ada: User, ben: User, project: Project, run: Run
) -> None:
    preview = reverse("experiments:report_preview", args=[project.slug])
    body = {"text": "```runs\nruns: 1\nfrozen: yes\n```\n\n<script>"}
    html = client_of(ada).post(preview, body).content.decode()
    assert "1 try 1" in html
    assert "Frozen when it is saved" in html
    assert "<script>" not in html
    assert client_of(ben).post(preview, body).status_code == 404


def test_reports_and_sweeps_are_discussed(ada: User, project: Project) -> None:
    report = reports.create(by=ada, project=project, title="Loss", text="")
    client = client_of(ada)
    page = reverse("discussion", args=["report", report.pk])
    assert client.get(page).status_code == 404
    reports.publish(by=ada, report=report)
    sweep = sweeps.start(
        by=ada, project=project,
        wanted=sweeps.Wanted(
            recipe="tone_check", config={}, space={"seed": [1, 2]}, name="Seeds",
            objective={"metric": "loss", "goal": "minimize"},
        ),
    )  # fmt: skip
    for kind, key in (("report", report.pk), ("sweep", sweep.pk)):
        client.post(reverse("comment_post", args=[kind, key]), {"text": f"On the {kind}"})
        assert f"On the {kind}" in text(client, reverse("discussion", args=[kind, key]))
    assert reverse("discussion", args=["sweep", sweep.pk]) in text(client, sweep.get_absolute_url())


def test_a_script_writes_a_report_and_changes_the_version_that_it_saw(
    ada: User, ben: User, project: Project
) -> None:
    _, secret = tokens.issue(ada, "script", by=ada)
    _, foreign = tokens.issue(ben, "script", by=ben)
    address = f"/api/v1/projects/{project.slug}/reports"

    def ask(method: str, path: str, token: str = secret, **body: object) -> tuple[int, dict]:  # type: ignore[type-arg]
        call = getattr(Client(headers={"Authorization": f"Bearer {token}"}), method)
        data = {} if method == "get" else {"data": json.dumps(body)}
        answer = call(path, content_type="application/json", **data) if data else call(path)
        return answer.status_code, json.loads(answer.content)

    status, made = ask("post", address, title="Nightly", text="loss is 1", publish=True)
    assert (status, made["version"], made["author"]) == (200, 1, "ada")
    assert made["published_at"]
    one = f"{address}/{made['id']}"
    assert ask("get", address)[1]["items"][0]["title"] == "Nightly"
    status, changed = ask("patch", one, text="loss is 0.5", version=1)
    assert (status, changed["version"], changed["title"]) == (200, 2, "Nightly")
    status, refused = ask("patch", one, text="loss is 7", version=1)
    assert (status, refused["detail"]) == (
        409, "Ada Okafor has saved version 2 since you saw it.",
    )  # fmt: skip
    assert ask("patch", one, text="a\0")[0] == 422
    assert ask("post", address, title=" ")[0] == 422
    for token, path in ((foreign, address), (foreign, one)):
        assert ask("get", path, token)[0] == 404
    assert ask("post", address, foreign, title="x")[0] == 404
    assert ask("get", one)[1]["text"] == "loss is 0.5"

"""Every page of a project, for each who may or may not see it."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from experiments.models import Checkpoint, Dataset, Membership, Project, Run
from experiments.runs import datasets, runs
from experiments.views import datasets as dataset_views
from portal.models import Blob, User
from rights.models import Use
from tests.catalogue import make_allowed, make_party, make_recording

SCRIPT = "<script>alert('x')</script>"
TABS = (
    "run", "run_charts", "run_log", "run_samples", "run_config", "run_system", "run_data",
    "run_checkpoints", "run_attempts",
)  # fmt: skip


@pytest.fixture
def waiting(ada: User, project: Project) -> Run:
    return runs.submit(by=ada, project=project, recipe="tone_check", config={}, name=SCRIPT)


@pytest.fixture
def frozen(ada: User, rosa: User, project: Project) -> Dataset:
    recordings = make_allowed(rosa)
    return datasets.freeze(
        by=ada, project=project, name="opted in", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )


def looks(run: Run, dataset: Dataset) -> list[str]:
    slug, number = run.project.slug, run.number
    return [
        reverse("experiments:runs", args=[slug]),
        reverse("experiments:compare", args=[slug]) + f"?runs={number}",
        reverse("experiments:compare_curves", args=[slug]) + f"?runs={number}&name=loss",
        reverse("experiments:datasets", args=[slug]),
        reverse("experiments:dataset", args=[slug, dataset.pk]),
        *(
            reverse(f"experiments:{name}", args=[slug, number])
            for name in (*TABS, "run_state", "run_curve", "run_log_lines")
        ),
    ]


def acts(run: Run) -> list[tuple[str, str]]:
    slug, number = run.project.slug, run.number
    return [
        ("get", reverse("experiments:run_new", args=[slug])),
        ("get", reverse("experiments:run_new", args=[slug]) + "?recipe=flow_matching"),
        ("get", reverse("experiments:dataset_new", args=[slug])),
        ("get", reverse("experiments:run_duplicate", args=[slug, number])),
        ("post", reverse("experiments:run_cancel", args=[slug, number])),
        ("post", reverse("experiments:run_retry", args=[slug, number])),
        ("post", reverse("experiments:run_rerun", args=[slug, number])),
        ("post", reverse("experiments:run_submit", args=[slug])),
        ("post", reverse("experiments:dataset_freeze", args=[slug])),
    ]


def test_members_see_every_page_and_other_people_none(  # noqa: PLR0917 - the whole cast.
    client: Client, ada: User, ben: User, lou: User, noor: User, rosa: User, olga: User,
    waiting: Run, frozen: Dataset,
) -> None:  # fmt: skip
    for user, status in ((ada, 200), (olga, 200), (ben, 404), (lou, 404), (noor, 404), (rosa, 404)):
        client.force_login(user)
        for address in looks(waiting, frozen):
            assert client.get(address).status_code == status, (user, address)


def test_an_owner_opens_every_form(client: Client, ada: User, waiting: Run) -> None:
    client.force_login(ada)
    for method, address in acts(waiting):
        if method == "get":
            assert client.get(address).status_code == 200, address


def test_a_viewer_looks_and_is_told_why_not_more(
    client: Client, ben: User, waiting: Run, frozen: Dataset
) -> None:
    Membership.objects.create(project=waiting.project, user=ben, level=Membership.Level.VIEWER)
    client.force_login(ben)
    for address in looks(waiting, frozen):
        assert client.get(address).status_code == 200, address
    for method, address in acts(waiting):
        answer = getattr(client, method)(address)
        assert answer.status_code == 403, address
        assert "look and listen" in answer.content.decode()
    waiting.refresh_from_db()
    assert waiting.state == Run.State.QUEUED


def test_other_people_cannot_act(client: Client, ben: User, waiting: Run) -> None:
    client.force_login(ben)
    for method, address in acts(waiting):
        assert getattr(client, method)(address).status_code == 404, address


def test_nobody_sees_anything_without_logging_in(client: Client, waiting: Run) -> None:
    answer = client.get(waiting.get_absolute_url())
    assert answer.status_code == 302
    assert reverse("account_login") in answer["Location"]


def test_markup_in_names_and_configs_is_shown_not_run(
    client: Client, ada: User, project: Project, waiting: Run
) -> None:
    Run.objects.filter(pk=waiting.pk).update(
        config={SCRIPT: SCRIPT, "a": [SCRIPT]}, tags=[SCRIPT], state_reason=SCRIPT,
        stage=SCRIPT, notes=SCRIPT,
    )  # fmt: skip
    client.force_login(ada)
    for address in (
        *(reverse(f"experiments:{name}", args=[project.slug, 1]) for name in TABS),
        reverse("experiments:runs", args=[project.slug])
        + "?col=tags&col=config.a&q=%3Cscript%3E&sort=%3Cscript%3E",
        reverse("experiments:compare", args=[project.slug]) + "?runs=1&metric=%3Cscript%3E",
        reverse("experiments:home_fragment"),
    ):
        page = client.get(address).content.decode()
        assert "<script>alert" not in page, address
    assert "&lt;script&gt;alert" in client.get(waiting.get_absolute_url()).content.decode()


def test_empty_pages_say_what_to_do(client: Client, ada: User, ben: User, project: Project) -> None:
    client.force_login(ada)
    for name, words in (
        ("runs", "No run yet"),
        ("datasets", "No dataset yet"),
        ("compare", "No runs are chosen"),
        ("dataset_new", "no recording yet"),
    ):
        page = client.get(reverse(f"experiments:{name}", args=[project.slug])).content.decode()
        assert words in page
    client.force_login(ben)
    assert "no project yet" in client.get(reverse("experiments:projects")).content.decode()


def test_the_projects_page_counts_runs_once(client: Client, ada: User, waiting: Run) -> None:
    client.force_login(ada)
    page = client.get(reverse("experiments:projects")).content.decode()
    assert "First light" in page
    assert "1 running or waiting" in page


def test_a_dataset_says_what_it_holds_and_what_was_left_out(
    client: Client, ada: User, rosa: User, project: Project
) -> None:
    good = make_allowed(rosa)
    page = reverse("experiments:dataset_freeze", args=[project.slug])
    preview = reverse("experiments:dataset_new", args=[project.slug])
    client.force_login(ada)
    shown = client.get(preview + "?use=train.generative").content.decode()
    assert "Would be in it: 2" in shown
    denied = client.get(preview + "?use=voice").content.decode()
    assert "Would be in it: 0" in denied
    assert good[0].title in denied
    pks = [one.pk for one in good]
    refused = client.post(page, {"name": "voices", "use": "voice", "recording": pks})
    assert refused.status_code == 422
    assert not Dataset.objects.exists()
    made = client.post(page, {"name": "ours", "use": "train.generative", "recording": pks})
    assert made.status_code == 302
    shown = client.get(made["Location"]).content.decode()
    assert "In it: 2" in shown
    nameless = client.post(page, {"name": "", "use": "train.generative", "recording": pks})
    assert nameless.status_code == 422


def test_all_that_a_search_finds_can_be_frozen_though_few_are_shown(
    client: Client, ada: User, rosa: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAX_RECORDINGS", "PAGE_SIZE", "LEFT_OUT_SHOWN"):
        monkeypatch.setattr(dataset_views, name, 1)
    make_allowed(rosa)
    make_recording(rosa, make_party(rosa), title="Zither one")
    make_recording(rosa, make_party(rosa), title="Zither two")
    client.force_login(ada)
    shown = client.get(reverse("experiments:dataset_new", args=[project.slug])).content.decode()
    assert "4 recordings fit; the first 1 are shown" in shown
    page = reverse("experiments:dataset_freeze", args=[project.slug])
    asked = {"name": "all", "use": "train.generative", "everything": "on"}
    made = client.post(page, asked | {"q": "zither"})
    assert made.status_code == 422
    made = client.post(page, asked)
    dataset = Dataset.objects.get()
    assert (dataset.items.filter(included=True).count(), dataset.items.count()) == (2, 4)
    text = client.get(made["Location"]).content.decode()
    assert "In it: 2" in text
    assert text.count("<tr>") == 2
    assert "All 2 that were left out, and why" in text
    text = client.get(made["Location"] + "?left&page=2").content.decode()
    assert "Zither two" in text
    assert "Zither one" not in text


def test_a_run_that_logged_nothing_may_say_why_in_its_log(
    client: Client, ada: User, waiting: Run
) -> None:
    client.force_login(ada)
    Run.objects.update(state=Run.State.FAILED, started_at=timezone.now(), ended_at=timezone.now())
    page = client.get(waiting.get_absolute_url()).content.decode()
    assert "The program ended without logging any" in page
    assert "The run never started." not in page


def test_a_form_says_that_what_there_is_may_not_be_used(
    client: Client, ada: User, frozen: Dataset, project: Project
) -> None:
    client.force_login(ada)
    new = reverse("experiments:run_new", args=[project.slug])
    none_yet = "There is no checkpoint yet that you may use."
    assert none_yet in client.get(new, {"recipe": "generate"}).content.decode()
    run = runs.submit(by=ada, project=project, recipe="flow_matching", config={}, dataset=frozen)
    blob = Blob.objects.create(sha256="cd" * 32, size=1, media_type="application/octet-stream")
    Checkpoint.objects.create(run=run, step=1, blob=blob, retired_at=timezone.now())
    page = client.get(new, {"recipe": "generate"}).content.decode()
    assert "no run may start from any of them: they are withheld" in page
    assert none_yet not in page
    Dataset.objects.update(status=Dataset.Status.RETIRED)
    page = client.get(new, {"recipe": "flow_matching"}).content.decode()
    assert "Every dataset of this project for this use is retired." in page


def test_cancel_retry_and_rerun_by_their_buttons(client: Client, ada: User, waiting: Run) -> None:
    client.force_login(ada)

    def press(name: str) -> None:
        client.post(reverse(f"experiments:{name}", args=[waiting.project.slug, waiting.number]))
        waiting.refresh_from_db()

    press("run_cancel")
    assert waiting.state == Run.State.CANCELLED
    press("run_cancel")
    page = client.get(waiting.get_absolute_url()).content.decode()
    assert "has ended already" in page
    # It was cancelled in the queue: no program ran.
    assert "The run never started." in page
    assert "The program ended without logging any" not in page
    press("run_retry")
    assert waiting.state == Run.State.QUEUED
    press("run_retry")
    press("run_rerun")
    again = Run.objects.get(copied_from=waiting)
    assert again.config == waiting.config
    assert again.number == 2


def test_home_shows_ones_own_runs(client: Client, ada: User, waiting: Run) -> None:
    client.force_login(ada)
    assert (
        "Running and waiting" in client.get(reverse("experiments:home_fragment")).content.decode()
    )
    Run.objects.update(state=Run.State.FINISHED, ended_at=timezone.now())
    assert "Ended last" in client.get(reverse("experiments:home_fragment")).content.decode()

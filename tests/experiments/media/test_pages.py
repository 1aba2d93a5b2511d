"""Media on pages: for whom, at which step, and not when a permission behind the run has ended."""

import json
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

import backline
from audio_samples.reviews import flags
from experiments.charts import panels
from experiments.media.reading import Name
from experiments.models import Media, Project, Run
from experiments.runs import runs
from portal.models import User
from rights.grants import lifecycle
from rights.models import Grant
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed, make_party
from tests.experiments.media.logged import log
from tests.experiments.run_table.test_table import make

pytestmark = pytest.mark.django_db

PICTURE = np.arange(12, dtype=np.uint8).reshape(3, 4)
EVERYTHING: dict[str, Any] = {
    "spec": [backline.Image(PICTURE, "first <b>"), backline.Image(PICTURE + 1)],
    "weights": backline.Histogram([1.0, 2.0, float("nan")], bins=2),
    "said": backline.Text("<script>alert(1)</script>"),
    "notes": backline.Text("**bold** <i>", markdown=True),
    "rows": backline.Table(["a<", "b"], [[1, "=x"], [None, "<u>"]]),
    "seen": backline.ConfusionMatrix(["no<", "yes"], [[3, 1], [0, 2]]),
    "plot": backline.Figure({"data": [{"type": "bar", "y": [1, 2]}]}),
}


def url(name: str, run: Run, *more: object) -> str:
    return reverse(f"experiments:{name}", args=[run.project.slug, run.number, *more])


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    run = make(project, ada, 3)
    log(run, 10, **EVERYTHING)
    log(run, 20, note=backline.Text("twenty"))
    return run


def test_the_tab_shows_a_step_without_scripts_and_says_where_there_is_nothing(
    client: Client, ada: User, ben: User, run: Run
) -> None:
    client.force_login(ada)
    tab = url("run_media", run)
    newest = client.get(tab).content.decode()
    assert "twenty" in newest
    assert "7 names with nothing at step 20" in newest
    page = client.get(f"{tab}?step=12").content.decode()
    assert "Nothing at step 12; nearest is step 10" in page
    for words in (
        "first &lt;b&gt;", "&lt;script&gt;alert(1)", "<strong>bold</strong> &lt;i&gt;", "&lt;u&gt;",
        "no&lt;", "1 NaN", "data-figure=", "--share: 0.750",
    ):  # fmt: skip
        assert words in page, words
    assert page.count("<rect") == 2
    assert "<script>alert" not in page
    only = client.get(f"{tab}?name=said&step=99").content.decode()
    assert "twenty" not in only
    for odd in ("x", "9" * 30, "-5", ""):
        assert client.get(tab, {"step": odd, "name": "no such"}).status_code == 200
    empty = make(run.project, ada, 4)
    assert "No media yet" in client.get(url("run_media", empty)).content.decode()
    client.force_login(ben)
    picture = Media.objects.filter(kind="image").first()
    assert picture is not None
    for address in (tab, url("run_media_file", run, picture.pk)):
        assert client.get(address).status_code == 404


def test_bytes_have_a_fixed_type_and_nothing_in_them_acts(
    client: Client, ada: User, run: Run
) -> None:
    client.force_login(ada)
    for kind, media_type in (
        ("image", "image/png"),
        ("table", "application/json"),
        ("figure", "application/json"),
    ):
        row = Media.objects.filter(kind=kind).first()
        assert row is not None
        answer = client.get(url("run_media_file", run, row.pk), {"small": 1})
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert "no-store" in answer.headers["Cache-Control"]
    text = Media.objects.filter(kind="text").first()
    assert text is not None
    assert client.get(url("run_media_file", run, text.pk)).status_code == 404
    # Of another run of the same project: not under this address.
    other = make(run.project, ada, 8)
    assert client.get(url("run_media_file", other, row.pk)).status_code == 404


def test_panels_are_given_steps_items_and_histograms_of_visible_runs(
    client: Client, ada: User, ben: User, run: Run
) -> None:
    other = make(run.project, ada, 5)
    log(other, 11, weights=backline.Histogram([3.0]))
    slug = run.project.slug
    client.force_login(ada)

    def get(page: str, **query: object) -> Any:
        answer = client.get(reverse(f"experiments:{page}", args=[slug]), query)
        assert answer.status_code == 200
        return answer.json()

    steps = get("charts_media", runs="3,5", name=["weights", "note"])["runs"]
    assert [(one["run"], one["steps"]) for one in steps] == [(3, [10, 20]), (5, [11])]
    items = get("charts_media_items", name="spec", at=["3:10", "5:11", "999:1", "x", "3"])["items"]
    assert [(item["run"], item["index"], item["caption"]) for item in items] == [
        (3, 0, "first <b>"), (3, 1, ""),
    ]  # fmt: skip
    (notes,) = get("charts_media_items", name="notes", at="3:10")["items"]
    assert notes["html"] == "<p><strong>bold</strong> &lt;i&gt;</p>\n"
    maps = get("charts_media_histograms", runs="3,5", name="weights")["runs"]
    assert [(one["run"], [column["step"] for column in one["columns"]]) for one in maps] == [
        (3, [10]), (5, [11]),
    ]  # fmt: skip
    # The page of charts begins with panels of them, and keeps where runs are pinned.
    data = client.get(reverse("experiments:charts", args=[slug])).context["data"]
    kinds = {panel["names"][0]: panel["kind"] for panel in data["layout"]["panels"]}
    assert (kinds["spec"], kinds["weights"]) == ("media", "histogram")
    layout = {"panels": [{"id": "a", "kind": "media", "names": ["spec"]}], "pins": {"3": 10}}
    kept = client.post(
        reverse("experiments:charts_keep", args=[slug]), {"content": json.dumps(layout)}
    )
    assert kept.status_code == 204
    data = client.get(reverse("experiments:charts", args=[slug])).context["data"]
    assert data["layout"]["pins"] == {"3": 10}
    client.force_login(ben)
    for name in ("charts_media", "charts_media_items", "charts_media_histograms"):
        assert client.get(reverse(f"experiments:{name}", args=[slug])).status_code == 404


@pytest.mark.parametrize("pins", [{"x": 1}, {"1": 2**70}, {str(n): 1 for n in range(201)}])
def test_pins_that_are_none_are_refused(pins: dict[str, int]) -> None:
    with pytest.raises(panels.BadLayout):
        panels.checked({"pins": pins})


def test_a_page_begins_with_media_after_losses() -> None:
    found = panels.default(["loss", "lr"], [Name("spec", "image"), Name("w", "histogram")]).panels
    assert [(panel.section, panel.kind) for panel in found] == [
        ("Loss", "curves"), ("Media", "media"), ("Media", "histogram"), ("Metrics", "curves"),
    ]  # fmt: skip


def test_media_fall_silent_with_the_sound_of_their_run(
    client: Client, ada: User, rosa: User, noor: User, project: Project
) -> None:
    party = make_party(rosa, "Noor", people=[noor])
    run = make_run(ada, project, make_allowed(rosa, 1, party=party))
    free = runs.open_client_run(by=ada, project=project)
    for one in (run, free):
        log(one, 10, **EVERYTHING)
        log(one, 20, **EVERYTHING)
    clip = make_sample(run, "final", step=10)
    client.force_login(ada)

    def withheld(run: Run, step: int) -> dict[str, str]:
        query = {"name": [*EVERYTHING, "final"], "at": f"{run.number}:{step}"}
        answer = client.get(reverse("experiments:charts_media_items", args=[project.slug]), query)
        items = answer.json()["items"]
        for item in items:
            assert bool(item["withheld"]) == ("content" not in item and "url" not in item)
        return {item["name"]: item["withheld"] for item in items}

    assert set(withheld(run, 10).values()) == {""}
    # A clip that a rightsholder objects to: what may show it goes with it, counts stay.
    flags.flag(by=noor, party=party, sample=clip, reason="That is my song.")
    at_clip = withheld(run, 10)
    assert {name for name, reason in at_clip.items() if not reason} == {"weights", "seen"}
    assert "objected" in at_clip["final"]
    assert set(withheld(run, 20).values()) == {""}
    picture = Media.objects.filter(run=run, kind="image", step=10).first()
    assert picture is not None
    assert client.get(url("run_media_file", run, picture.pk)).status_code == 410
    # A permission ends: everything of the run goes, and nothing of another.
    for grant in Grant.objects.filter(use="train.generative"):
        lifecycle.withdraw(grant, rosa, "It ends.")
    assert all("It ends" in reason for reason in withheld(run, 20).values())
    assert set(withheld(free, 20).values()) == {""}
    maps = client.get(
        reverse("experiments:charts_media_histograms", args=[project.slug]), {"name": "weights"}
    ).json()["runs"]
    assert {one["run"]: len(one["columns"]) for one in maps} == {run.number: 0, free.number: 2}
    page = client.get(url("run_media", run)).content.decode()
    assert "It ends" in page
    for words in ("first &lt;b&gt;", "<rect", "alert(1)", "data-figure", "--share"):
        assert words not in page, words
    late = Media.objects.filter(run=run, kind="image", step=20).first()
    assert late is not None
    assert client.get(url("run_media_file", run, late.pk)).status_code == 410
    listed = client.get(f"/api/v1/runs/{run.pk}/media").json()["items"]
    assert listed
    assert all(item["withheld"] and not item["content"] and not item["file"] for item in listed)

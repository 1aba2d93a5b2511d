"""The README's first walk, in a real browser on the real demo world: every process, no stand-in."""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.portal import Portal, log_in, running
from tests.patience import LIMIT_SECONDS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Small enough for a test, the same program otherwise.
QUICK = """\
steps: 24
warmup_steps: 4
sample_every: 12
checkpoint_every: 12
sampling_steps: 4
griffin_lim_rounds: 4
prompts: [techno, piano waltz]
seed: 7
"""
SONG = "Relay"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with running(tmp_path_factory.mktemp("state")) as started:
        yield started


def queue(page: Page, portal: Portal, *, name: str, yaml: str) -> None:
    page.goto(portal.page("runs/new/?recipe=flow_matching"))
    page.get_by_label("Name").first.fill(name)
    page.get_by_text("Paste YAML instead").click()
    page.get_by_label("Config as YAML").fill(yaml)
    page.get_by_role("button", name="Queue the run").click()


def wait_for(page: Page, state: str, *, seconds: float = LIMIT_SECONDS) -> None:
    """The run page is live: it comes to this state without a reload."""
    expect(page.locator(".state").first).to_have_attribute(
        "data-state", re.compile(state), timeout=seconds * 1000
    )


def test_from_the_catalogue_to_a_heard_credited_sample(page: Page, portal: Portal) -> None:
    # The researcher sees what was left out and why, and queues a run.
    log_in(page, portal, "researcher")
    page.goto(portal.page("runs/new/?recipe=flow_matching"))
    expect(page.locator("#dataset-card")).to_contain_text("38 recordings in it, 10 left out")
    page.get_by_text("What was left out, and why").click()
    expect(page.locator("#dataset-card")).to_contain_text("disputes the split")

    # Out of bounds is said beside the field, and nothing that was typed is lost.
    page.get_by_label("Steps", exact=True).fill("-3")
    page.get_by_label("Name").first.fill("kept")
    page.get_by_role("button", name="Queue the run").click()
    expect(page.locator(".field.invalid .error").first).not_to_be_empty()
    expect(page.get_by_label("Name").first).to_have_value("kept")

    queue(page, portal, name="first", yaml=QUICK)
    page.wait_for_url(re.compile(r"/runs/1/"))
    wait_for(page, "^(starting|running)$")
    wait_for(page, "^finished$")
    expect(page.locator("clip-player").first).to_be_visible()
    # So does the rest of the page: charts of figures that came later, credits, attempts.
    expect(page.locator('#overview [data-name="control/genre_accuracy"] .plotly')).to_be_visible()
    tabs = page.get_by_role("navigation", name="Tabs of this run")
    tabs.get_by_role("link", name="Data and credits").click()
    expect(page.locator("#credits")).to_contain_text("seconds of audio")
    tabs.get_by_role("link", name="Attempts").click()
    expect(page.locator("#attempts")).to_contain_text("Succeeded")

    # The same seed, config and data once more give the same bytes.
    page.get_by_role("button", name=re.compile("same seed|again", re.IGNORECASE)).click()
    page.wait_for_url(re.compile(r"/runs/2/"))
    wait_for(page, "^finished$")
    assert clip_bytes(page, portal, run=1) == clip_bytes(page, portal, run=2)

    # Compare: curves and the samples of both side by side.
    page.goto(portal.page("compare/?runs=1,2"))
    player = page.locator("clip-player").first
    expect(player).to_be_visible()

    # A sample carries its credits: who, what, by which grants, how much.
    page.goto(f"{portal.url}/samples/of/first-light/")
    page.locator("a[href^='/samples/']", has_text=re.compile("techno|waltz")).first.click()
    credits_panel = page.locator("main")
    expect(credits_panel).to_contain_text("Kessler & Vane")
    expect(credits_panel).to_contain_text("%")
    heard = page.url

    # The main pages, with real content on them, have no serious accessibility finding.
    for path in (
        "runs/1/",
        "runs/1/log/",
        "compare/?runs=1,2",
        "runs/new/?recipe=flow_matching",
        "",
    ):
        page.goto(portal.page(path))
        expect(page.locator("h1")).to_be_visible()
        assert serious(page) == [], path
    page.goto(heard)
    assert serious(page) == []

    # The researcher asks; the listener hears clips without names and answers; each is stored.
    page.goto(f"{portal.url}/listen/of/first-light/new")
    page.get_by_label("Title").fill("Which sounds like music?")
    page.get_by_label("Question").fill("How musical is this clip?")
    for box in page.get_by_role("checkbox").all()[:2]:
        box.check()
    page.get_by_role("button", name="Open the test").click()
    log_in(page, portal, "listener")
    page.goto(f"{portal.url}/listen/")
    page.get_by_role("link", name=re.compile("Which sounds like music")).click()
    assert "techno" not in page.content()
    assert "first-light" not in page.content()
    assert serious(page) == []
    page.get_by_role("button", name="Play").click()
    page.get_by_role("radio", name="4").check()
    expect(page.locator("[data-done-words]")).to_contain_text("1 of 2")

    # The rights admin opts one recording out: the sample falls silent at once.
    log_in(page, portal, "rights")
    page.goto(f"{portal.url}/rights/recordings/?q={SONG}")
    page.get_by_role("link", name=SONG, exact=True).first.click()
    recording = page.url
    page.goto(recording + "opt-out/")
    page.get_by_label("Which use ends").select_option("train.generative")
    page.get_by_label("For whom").select_option(index=1)
    page.get_by_label("Reason").fill("The artist asked for it.")
    page.get_by_role("button", name="Show what it ends").click()
    page.get_by_role("button", name=re.compile("^End Training of generative models for")).click()

    log_in(page, portal, "researcher")
    page.goto(heard)
    expect(page.get_by_text(SONG).first).to_be_visible()
    assert page.request.get(heard.rstrip("/") + "/audio").status == 410

    # And the next submit of that dataset names the recording, the holder and the reason.
    queue(page, portal, name="refused", yaml=QUICK)
    expect(page.locator("main")).to_contain_text(SONG)
    expect(page.locator("main")).to_contain_text("Kessler & Vane")


def serious(page: Page) -> list[str]:
    """Rule and place of each serious accessibility finding."""
    return [
        f"{found['id']}: {[node['target'] for node in found['nodes']][:3]}"
        for found in Axe().run(page).response["violations"]
        if found["impact"] in {"serious", "critical"}
    ]


def clip_bytes(page: Page, portal: Portal, *, run: int) -> list[bytes]:
    """The clips of a run as they are served, in the order of its page."""
    fragment = page.request.get(f"{portal.url}/samples/of/first-light/{run}/")
    addresses = re.findall(r'data-src="([^"]+)"', fragment.text())
    assert addresses, "The run has no samples."
    return [page.request.get(portal.url + address).body() for address in addresses]

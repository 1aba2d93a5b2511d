"""Media in a real browser: one slider for all panels, pins, honest gaps, and the tab of a run."""

import numpy as np
import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

import backline
from experiments.models import ChartLayout, Project
from portal.models import User
from tests.audio_samples.cast import make_sample
from tests.browser.test_axe import log_in, serious
from tests.browser.test_lists import fits
from tests.experiments.charts.test_data import log
from tests.experiments.media.logged import log as log_media
from tests.experiments.run_table.test_table import make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# As Plotly writes it: numbers as bytes, and a kind that needs WebGL but has a twin that does not.
FIGURE = {
    "data": [{"type": "scattergl", "x": [1, 2], "y": {"dtype": "i1", "bdata": "AwE="}}],
    "layout": {"title": {"text": "T"}, "template": {"layout": {"plot_bgcolor": "white"}}},
}
SURFACE = {"data": [{"type": "surface", "z": [[1, 2], [3, 4]]}]}


def test_one_slider_moves_all_panels_and_pins_hold_a_run(
    page: Page, live_server: LiveServer, ada: User, project: Project
) -> None:
    picture = np.zeros((600, 900), np.uint8)
    for number in (1, 2):
        run = make(project, ada, number)
        log(run, **{"val/loss": [3, 1, 2]})
        for step in (0, 1, 2) if number == 1 else (0, 2):
            log_media(
                run, step,
                spec=[backline.Image(picture, f"a {step}"), backline.Image(picture, f"b {step}")],
                weights=backline.Histogram(np.random.default_rng(step).normal(size=500)),
                plot=backline.Figure(FIGURE if step else SURFACE),
                said=backline.Text("**bold**", markdown=True),
            )  # fmt: skip
        make_sample(run, "clip", step=2)
    log_in(page, live_server, ada)
    page.goto(live_server.url + reverse("experiments:charts", args=[project.slug]))
    spec = page.get_by_role("article", name="spec")
    expect(spec.get_by_text("a 2")).to_have_count(2)
    slider = page.get_by_label("Media at")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-step-words]")).to_have_text("step 1")
    assert page.url.endswith("#step=1")
    expect(spec.get_by_text("Nothing at step 1; nearest is 0")).to_be_visible()
    expect(spec.get_by_text("a 1")).to_be_visible()
    # The same item of several in all columns; a run that is pinned stays where it is.
    spec.get_by_role("button", name="The next item").click()
    expect(spec.get_by_text("b 0")).to_be_visible()
    page.get_by_label("Metric", exact=True).select_option("val/loss")
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_role("button", name="Unpin 2 runs")).to_be_visible()
    slider.focus()
    page.keyboard.press("End")
    expect(spec.get_by_text("b 1")).to_be_visible()
    expect(page.get_by_role("article", name="weights").locator("canvas")).to_have_count(4)
    page.get_by_role("button", name="Unpin 2 runs").click()
    plot = page.get_by_role("article", name="plot")
    plot.scroll_into_view_if_needed()
    expect(plot.locator(".js-plotly-plot .scatterlayer .js-line")).to_have_count(2)
    clip = page.get_by_role("article", name="clip")
    clip.scroll_into_view_if_needed()
    expect(clip.locator("clip-player").first).to_be_visible()
    assert serious(page) == []
    page.reload()
    row = ChartLayout.objects.filter(owner=ada, name="").first()
    assert row is None or row.content.get("pins", {}) == {}

    # The run's own tab, by its slider; what needs code is named and not drawn.
    page.goto(live_server.url + reverse("experiments:run_media", args=[project.slug, 1]))
    expect(page.locator("#media .js-plotly-plot")).to_be_visible()
    page.get_by_role("slider", name="Step").focus()
    page.keyboard.press("Home")
    expect(page.get_by_text("of the kind surface is not drawn here")).to_be_visible()
    assert page.url.endswith("?step=0")
    assert serious(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert fits(page)

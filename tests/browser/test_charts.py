"""The grid of charts in a real browser: drawn, read and arranged by keyboard, zoomed, kept."""

import time

import numpy as np
import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from experiments.models import ChartLayout, Project
from portal.models import User
from tests.browser.test_axe import log_in, serious
from tests.browser.test_lists import fits
from tests.experiments.charts.test_data import log
from tests.experiments.run_table.test_table import make
from tests.patience import LIMIT_SECONDS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# The lines that a panel draws now, by their labels, each with its highest value in view.
SHOWN = """(place) => {
  const { plot } = document.chartPage.grid.panels[place];
  const { from, to } = plot.now.xaxis;
  return Object.fromEntries(plot.lines.map(({ label, x, high }) =>
    [label, Math.max(...[...high].filter((_, i) => x[i] >= from && x[i] <= to))]));
}"""

# Whether the first run's line has every step of the part in view.
FINER = """() => document.chartPage.grid.panels[0].closer
  ?.find(({ of }) => of === 1).x.includes(3210)"""


def wait_until(page: Page, condition: str) -> None:
    """Ask again until it is true. Playwright's own way to wait is an eval, which the page's policy
    refuses."""
    end = time.monotonic() + LIMIT_SECONDS / 5
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def test_charts_are_drawn_read_arranged_and_kept(
    page: Page, live_server: LiveServer, ada: User, project: Project
) -> None:
    spiky = np.linspace(2, 1, 5_000)
    spiky[3_210] = 50
    log(make(project, ada, 1, config={"lr": 1}), **{"train/loss": spiky.tolist()})
    log(make(project, ada, 2, config={"lr": 2}), **{"train/loss": [3, 2, float("nan"), 1]})
    log_in(page, live_server, ada)
    address = live_server.url + reverse("experiments:charts", args=[project.slug])
    page.goto(address)
    plot = page.get_by_role("application", name="Chart of train/loss")
    expect(plot).to_be_visible()
    expect(page.locator(".panel footer").first).to_contain_text("1 not finite")
    assert serious(page) == []

    # The spike is seen from afar; zoomed in, its step is read by the arrow keys.
    assert page.evaluate(SHOWN, 0)["1 try 1"] == 50
    plot.focus()
    page.keyboard.press("Home")
    spoken = page.locator("[data-spoken]")
    expect(spoken).to_contain_text("2 try 2 3")
    page.evaluate("document.chartPage.grid.panels[0].zoomed([3200, 3220])")
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    wait_until(page, FINER)
    plot.focus()
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="Reset zoom")).to_be_hidden()

    # A hidden run is in the address; a group is one line.
    page.get_by_role("button", name="2 try 2").click()
    assert page.url.endswith("#hidden=2")
    assert list(page.evaluate(SHOWN, 0)) == ["1 try 1"]
    page.locator("[data-set=group]").select_option("config.lr")
    expect(page.get_by_role("button", name="lr 1 · 1 run")).to_be_visible()
    page.locator("[data-set=group]").select_option("")

    # A formula with an error says at which character, and the panel's size is changed by keys.
    page.get_by_role("button", name="Add panel").click()
    page.get_by_label("Metrics, one a line").fill("=train/loss * ")
    page.get_by_role("button", name="Show", exact=True).last.click()
    expect(page.get_by_text("missing here (character 13)")).to_be_visible()
    grip = page.locator("[data-grip]").first
    grip.focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(spoken).to_contain_text("5 of 12 columns")
    # A panel that was removed comes back where it was.
    page.locator("summary[aria-label]").last.click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator(".panel")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".panel")).to_have_count(2)
    page.set_viewport_size({"width": 390, "height": 844})
    wait_until(page, "() => document.chartPage.kept > 0 && !document.chartPage.due")
    assert fits(page)
    layout = ChartLayout.objects.get(owner=ada)
    assert layout.content["panels"][0] | {"id": ""} == {
        "id": "", "names": ["=train/loss *"], "width": 5,
    }  # fmt: skip
    page.goto(live_server.url + reverse("experiments:compare", args=[project.slug]) + "?runs=1,2")
    expect(page.locator(".panel")).to_have_count(2)
    assert serious(page) == []
    assert fits(page)

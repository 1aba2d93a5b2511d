"""A run's page in a browser: its tabs change under a header that stays, and its log is followed."""

import re

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from backline import wire
from experiments.deliveries import logs
from experiments.models import Project, Run
from experiments.runs import runs
from portal.models import User
from tests.browser.test_axe import log_in, serious
from tests.experiments.metrics.measured import log_loss

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def write(run: Run, text: str, offset: int) -> None:
    piece = wire.LogPiece(session="attempt-1", stream="stdout", offset=offset, text=text)
    logs.append(run, piece)


def test_tabs_change_under_a_header_that_stays_and_a_log_is_followed(
    page: Page, live_server: LiveServer, ada: User, project: Project
) -> None:
    run = runs.open_client_run(by=ada, project=project, name="Tried", config={"lr": 0.1})
    log_loss(run, [1.0, 0.5])
    write(run, "".join(f"line {n}\n" for n in range(1, 201)), 0)
    log_in(page, live_server, ada)
    address = live_server.url + run.get_absolute_url()
    # A link into the one long page that this was arrives at its tab.
    page.goto(address + "#config")
    page.wait_for_url(re.compile("/config/$"))
    expect(page.locator("#config")).to_contain_text("lr")

    page.evaluate("document.querySelector('.run-head').dataset.mark = 'stays'")
    nav = page.get_by_role("navigation", name="Tabs of this run")
    nav.get_by_role("link", name="Overview").click()
    expect(page.locator(".main-chart .plotly")).to_be_visible()
    assert page.url == address
    nav.get_by_role("link", name="Log").click()
    expect(page.locator("#L200")).to_be_in_viewport()
    expect(page).to_have_title(re.compile(": log"))
    expect(nav.locator("[aria-current]")).to_have_text("Log")

    # What is written while one follows appears at its end, and scrolling up ends following.
    size = sum(len(f"line {n}\n") for n in range(1, 201))
    write(run, "line 201\n", size)
    expect(page.locator("#L201")).to_be_in_viewport()
    page.mouse.wheel(0, -2000)
    expect(page.get_by_label("Follow")).not_to_be_checked()
    write(run, "line 202\n", size + 9)
    expect(page.locator("#L202")).to_have_count(1)
    expect(page.locator("#L202")).not_to_be_in_viewport()
    assert serious(page) == []

    page.go_back()
    expect(page.locator(".main-chart .plotly")).to_be_visible()
    page.go_back()
    expect(page.locator("#config")).to_be_visible()
    expect(nav.locator("[aria-current]")).to_have_text("Config")
    # It was one page all the time.
    assert page.locator(".run-head").get_attribute("data-mark") == "stays"

    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address + "attempts/")
    expect(nav.locator("[aria-current]")).to_be_in_viewport(ratio=0.98)
    expect(nav).to_have_attribute("data-fades", re.compile("before"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

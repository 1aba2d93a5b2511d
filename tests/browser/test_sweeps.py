"""A sweep in a real browser: typed into a field, offered, started, and its page as it goes on."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from experiments.models import Project, Sweep
from portal.models import User
from tests.browser.test_axe import log_in, serious
from tests.experiments.sweeps import world
from workers.cluster.fake import RecordingCluster

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_sweep_is_typed_offered_started_and_drawn(
    page: Page, live_server: LiveServer, ada: User, project: Project
) -> None:
    log_in(page, live_server, ada)
    address = reverse("experiments:run_new", args=[project.slug])
    page.goto(f"{live_server.url}{address}?recipe=tone_check")
    expect(page.get_by_role("button", name="Queue the run")).to_be_visible()
    page.get_by_label("Frequency").fill("220, 440, 880")
    expect(page.get_by_role("button", name="See the sweep of 3 runs")).to_be_visible()
    expect(page.get_by_label("Steps between looks")).to_be_hidden()
    page.get_by_label("Stop bad trials early").select_option("median")
    expect(page.get_by_label("Steps between looks")).to_be_visible()
    # Enter starts nothing: it shows what would be, and what was typed stays.
    page.get_by_label("Frequency").press("Enter")
    expect(page.get_by_text("Nothing is started yet. Grid: 3 runs, 2 at a time.")).to_be_visible()
    expect(page.locator("#offer")).to_be_focused()
    assert not Sweep.objects.exists()
    expect(page.get_by_label("Frequency")).to_have_value("220, 440, 880")
    page.get_by_role("button", name="Start the sweep of 3 runs").click()
    expect(page.get_by_text("No trial yet. The first 2 are queued")).to_be_visible()
    sweep = Sweep.objects.get()
    world.finish(RecordingCluster(slots=5), sweep, lambda params: abs(params["frequency"] - 440))
    # The page learns of it by itself.
    expect(page.locator("#trial-2 .chip")).to_have_text("best")
    expect(page.locator(".parallel polyline")).to_have_count(3)
    expect(page.locator("[data-sweep-chart='history'] .main-svg").first).to_be_visible()
    expect(page.get_by_role("button", name="Stop all")).to_have_count(0)
    assert serious(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390

"""A run is tagged, described, deleted and brought back in a real browser, also without scripts."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from experiments.models import Project, Run
from experiments.runs import runs
from portal.models import User
from tests.browser.test_axe import log_in, serious

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def browsing(browser: Browser, request: pytest.FixtureRequest) -> Iterator[tuple[Page, bool]]:
    width = 1440 if request.param else 390
    context = browser.new_context(
        java_script_enabled=request.param, viewport={"width": width, "height": 844}
    )
    yield context.new_page(), request.param
    context.close()


def test_a_run_is_described_deleted_and_brought_back(
    browsing: tuple[Page, bool], live_server: LiveServer, ada: User, project: Project
) -> None:
    page, scripts = browsing
    run = runs.open_client_run(by=ada, project=project, name="first", tags=["jazz"])
    runs.close_client_run(run)
    log_in(page, live_server, ada)
    page.goto(live_server.url + run.get_absolute_url())
    page.get_by_label("Add a tag").fill("slow, Late night")
    page.get_by_label("Add a tag").press("Enter")
    expect(page.get_by_role("link", name="Late night")).to_be_visible()
    page.get_by_role("button", name="Remove the tag jazz").click()
    expect(page.get_by_role("link", name="jazz")).to_have_count(0)
    page.get_by_role("link", name=re.compile("Add notes")).click()
    page.get_by_label("Notes").fill("# Why\n\nIt **works**.")
    if scripts:
        expect(page.locator("#notes-preview strong")).to_have_text("works")
        assert serious(page) == []
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#words strong")).to_have_text("works")
    if scripts:
        assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    run.refresh_from_db()
    assert (run.tags, run.notes) == (["slow", "Late night"], "# Why\n\nIt **works**.")
    page.get_by_role("link", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete 1 run").click()
    page.get_by_role("link", name="Look or undo").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone for 1 run.")).to_be_visible()
    assert Run.objects.get().deleted_at is None

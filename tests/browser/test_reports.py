"""A report in a real browser: written with a preview, read with a chart by keyboard, and saved as a
file that needs nothing else."""

from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from experiments.models import Project, Report
from experiments.tasks import make_report_files
from portal.models import User
from tests.browser.test_axe import log_in, serious
from tests.browser.test_lists import fits
from tests.experiments.charts.test_data import log
from tests.experiments.run_table.test_table import make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_report_is_written_read_and_taken_along(
    page: Page, live_server: LiveServer, ada: User, project: Project, tmp_path: Path
) -> None:
    log(make(project, ada, 1, config={"lr": 1}), loss=[3, 2, 1])
    log(make(project, ada, 2, config={"lr": 2}), loss=[5, 4, 0.5])
    log_in(page, live_server, ada)
    page.goto(live_server.url + reverse("experiments:report_new", args=[project.slug]))
    page.get_by_label("Title").fill("What we saw")
    page.get_by_label("Text", exact=True).fill("## Here\n\n")

    # Insert writes plain text, and the preview draws it.
    page.locator("summary", has_text="Insert").click()
    page.get_by_role("button", name="Chart", exact=True).click()
    expect(page.get_by_label("Text", exact=True)).to_have_value(
        "## Here\n\n```chart\nquery: state:finished\ny: loss\n```\n"
    )
    preview = page.locator("#report-preview")
    expect(preview.get_by_role("application", name="Chart of loss")).to_be_visible()
    drawn = preview.locator(".panel").element_handle()
    page.get_by_label("Text", exact=True).press("End")
    page.get_by_label("Text", exact=True).press_sequentially("\n\n```runs\nrows: x\n```")
    expect(preview.locator(".block-error")).to_contain_text("whole number from 1 to 100")
    # The chart that stays is not drawn anew.
    assert drawn is not None
    assert drawn.evaluate("(element) => element.isConnected")
    assert serious(page) == []
    page.get_by_role("button", name="Save as a draft").click()

    # It is read by keyboard, and on a phone.
    plot = page.get_by_role("application", name="Chart of loss")
    expect(plot).to_be_visible()
    plot.focus()
    page.keyboard.press("End")
    expect(page.locator("[data-spoken]")).to_contain_text("2 try 2 0.5")
    expect(page.locator("[data-legend]")).to_contain_text("1 try 1")
    page.get_by_role("button", name="Publish to First light").click()
    expect(page.locator("#notes")).to_contain_text("Everybody in First light sees it now")
    expect(page.get_by_placeholder("Comment, in Markdown")).to_be_visible()
    assert serious(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert fits(page)

    # Without a script the same chart is a picture with its figures.
    cookies = page.context.cookies()
    assert page.context.browser is not None
    plain = page.context.browser.new_context(java_script_enabled=False)
    plain.add_cookies([{**cookie} for cookie in cookies])  # type: ignore[typeddict-item]
    still = plain.new_page()
    still.goto(page.url)
    still.get_by_role("link", name="Show them without one").click()
    expect(still.get_by_role("img", name="loss")).to_be_visible()
    still.locator("summary", has_text="Figures").click()
    expect(still.get_by_role("cell", name="2 try 2")).to_be_visible()

    # A file has it all, from a disk and without a network.
    still.locator("summary", has_text="More").click()
    still.get_by_role("button", name="Save as HTML").click()
    make_report_files()
    still.reload()
    with still.expect_download() as started:
        still.get_by_role("link", name="Save the HTML file").click()
    started.value.save_as(tmp_path / "report.html")
    plain.set_offline(True)
    still.goto((tmp_path / "report.html").as_uri())
    expect(still.get_by_role("heading", name="What we saw")).to_be_visible()
    expect(still.get_by_role("img", name="loss")).to_be_visible()
    plain.close()
    assert Report.objects.get().runs.count() == 0

"""Lists, tabs and charts in a real browser: what a phone shows of them, and how one moves there."""

from collections.abc import Iterator

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from experiments.models import Project, Run
from experiments.runs import runs
from portal.models import User
from rights.models import Use
from tests.browser.test_axe import log_in, serious
from tests.catalogue import allow, make_allowed, make_party
from tests.experiments.metrics.measured import log_loss

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Two lines of text and the space around them.
TWO_LINES = 64


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    yield context.new_page()
    context.close()


def heights(page: Page) -> list[float]:
    script = "[...document.querySelectorAll('tbody tr')].map((row) => row.offsetHeight)"
    rows: list[float] = page.evaluate(script)
    return rows


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def open_page(page: Page, live_server: LiveServer, name: str, *args: object) -> None:
    page.goto(live_server.url + reverse(name, args=args))


def test_recordings_take_two_lines_on_a_phone(
    phone: Page, live_server: LiveServer, rosa: User
) -> None:
    make_allowed(rosa, 3)
    log_in(phone, live_server, rosa)
    open_page(phone, live_server, "rights:recordings")
    rows = heights(phone)
    assert len(rows) == 3
    assert max(rows) <= TWO_LINES
    row = phone.locator("tbody tr").first
    expect(row.get_by_text("allowed", exact=False).first).to_be_visible()
    # The ISRC is on the recording's own page.
    expect(row.locator("[data-label=ISRC]")).to_be_hidden()
    assert fits(phone)
    assert serious(phone) == []


def test_runs_with_long_names_take_two_lines_on_a_phone(
    phone: Page, live_server: LiveServer, ada: User, project: Project
) -> None:
    for state in (Run.State.WITHHELD, Run.State.QUEUED):
        run = runs.submit(
            by=ada,
            project=project,
            recipe="tone_check",
            config={},
            name="ablation of the width 256",
        )
        Run.objects.filter(pk=run.pk).update(state=state)
    log_in(phone, live_server, ada)
    open_page(phone, live_server, "experiments:runs", project.slug)
    assert max(heights(phone)) <= TWO_LINES
    expect(phone.get_by_text("Stopped: a permission ended")).to_be_visible()
    # What is compared is chosen here too.
    phone.get_by_label("Select run 1").check()
    expect(phone.get_by_role("button", name="Compare 1")).to_be_enabled()
    # A column that somebody asks for is shown.
    expect(phone.locator("[data-cell=owner]").first).to_be_hidden()
    phone.goto(phone.url.split("?")[0] + "?col=owner")
    expect(phone.locator("[data-cell=owner]").first).to_be_visible()
    assert fits(phone)


def test_grants_are_folded_and_found_by_keyboard(
    page: Page, live_server: LiveServer, rosa: User
) -> None:
    party = make_party(rosa, "Mira Solberg")
    allow(rosa, party, Use.EVAL)
    log_in(page, live_server, rosa)
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        open_page(page, live_server, "rights:grants")
        assert fits(page)
        assert serious(page) == []
        use = page.get_by_role("link", name="Master")
        expect(use).to_be_visible()
        page.locator("summary", has_text="Mira Solberg").press("Enter")
        expect(use).to_be_hidden()


def test_tabs_fade_where_they_have_more(phone: Page, live_server: LiveServer, rosa: User) -> None:
    log_in(phone, live_server, rosa)
    open_page(phone, live_server, "rights:parties")
    tabs = phone.locator(".tabs").first
    expect(tabs).to_have_attribute("data-fades", "after")
    tabs.evaluate("(row) => { row.scrollLeft = row.scrollWidth; }")
    expect(tabs).to_have_attribute("data-fades", "before")
    # Where all fit, as on a phone that is turned, nothing fades.
    phone.set_viewport_size({"width": 1440, "height": 844})
    expect(tabs).to_have_attribute("data-fades", "")


def test_the_chosen_tab_is_in_sight(phone: Page, live_server: LiveServer, rosa: User) -> None:
    log_in(phone, live_server, rosa)
    open_page(phone, live_server, "rights:cases")
    expect(phone.locator(".tabs [aria-current]").first).to_be_in_viewport(ratio=1)


def test_a_drag_zooms_steps_alone_and_is_undone_beside_the_chart(
    page: Page, live_server: LiveServer, ada: User, project: Project
) -> None:
    run = runs.submit(by=ada, project=project, recipe="tone_check", config={})
    log_loss(run, [1 / (step + 1) for step in range(100)])
    log_in(page, live_server, ada)
    page.goto(live_server.url + run.get_absolute_url())
    plot = page.locator("[data-chart-plot]").first
    plot.locator(".nsewdrag").wait_for(state="attached")
    ranges = "(plot) => [plot.layout.xaxis.range, plot.layout.yaxis.range]"
    whole = plot.evaluate(ranges)
    reset = page.get_by_role("button", name="Reset zoom").first
    expect(reset).to_be_hidden()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 160, steps=5)
    page.mouse.up()
    expect(reset).to_be_visible()
    steps, values = plot.evaluate(ranges)
    assert steps[0] > whole[0][0] + 10
    assert values == whole[1]
    assert page.locator(".plotly-notifier").count() == 0
    reset.press("Enter")
    expect(reset).to_be_hidden()
    assert plot.evaluate(ranges) == whole
    expect(page.get_by_label("Over").first).to_be_focused()

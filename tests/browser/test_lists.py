"""Lists, tabs and charts in a real browser: what a phone shows of them, and how one moves there."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.templatetags.static import static
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
    cell = row.locator("[data-label='Training:']")
    said = cell.evaluate("(cell) => getComputedStyle(cell, '::before').content")
    assert said == '"Training: "'
    # The ISRC is on the recording's own page.
    expect(row.locator("[data-label=ISRC]")).to_be_hidden()
    assert fits(phone)
    assert serious(phone) == []


def test_a_party_is_named_once_on_a_phone(phone: Page, live_server: LiveServer, rosa: User) -> None:
    make_party(rosa, "Juniper Blaise")
    other = make_party(rosa, "Otto Lang")
    type(other).objects.filter(pk=other.pk).update(credited_as="DJ Otto")
    log_in(phone, live_server, rosa)
    open_page(phone, live_server, "rights:parties")
    credited = phone.locator("[data-label='Credited as']")
    expect(credited.filter(has_text="Juniper Blaise")).to_be_hidden()
    expect(credited.filter(has_text="DJ Otto")).to_be_visible()
    phone.set_viewport_size({"width": 1440, "height": 844})
    expect(credited.filter(has_text="Juniper Blaise")).to_be_visible()


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
    # Of the usual columns a phone shows the first few; one that somebody asks for is shown.
    expect(phone.locator("td[data-label=Took]").first).to_be_hidden()
    phone.goto(phone.url.split("?")[0] + "?col=duration")
    expect(phone.locator("td[data-label=Took]").first).to_be_visible()
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
    page.wait_for_function(
        "document.querySelector('[data-chart-plot]').layout.yaxis.autorange === false"
    )
    steps, values = plot.evaluate(ranges)
    assert steps[0] > whole[0][0] + 10
    # The values in view fill the height: of 1/(step+1) the first are far above it.
    assert values[1] < whole[1][1] / 5
    shown = [1 / (step + 1) for step in range(100) if steps[0] <= step <= steps[1]]
    assert values[0] < shown[-1] < shown[0] < values[1]
    assert shown[0] - shown[-1] > 0.7 * (values[1] - values[0])
    assert page.locator(".plotly-notifier").count() == 0
    reset.press("Enter")
    expect(reset).to_be_hidden()
    page.wait_for_function(
        "document.querySelector('[data-chart-plot]').layout.yaxis.autorange === true"
    )
    assert plot.evaluate(ranges) == whole
    expect(page.get_by_label("Over").first).to_be_focused()


@pytest.fixture
def fitted(page: Page, live_server: LiveServer, ada: User) -> Callable[..., Any]:
    """What gives the range of values for a view of the steps 1 to 3."""
    log_in(page, live_server, ada)
    page.goto(live_server.url)

    def fit(traces: str, *, log: bool = False) -> Any:
        module = static("js/charts.js")
        return page.evaluate(
            f"""import("{module}").then((charts) =>
                charts.fitted({traces}, [1, 3], {str(log).lower()}))"""
        )

    return fit


def test_a_zoomed_chart_is_as_high_as_what_is_in_view(fitted: Callable[..., Any]) -> None:
    for traces, log, low, high in [
        # Only what is between 1 and 3 counts, and of a line what crosses the edges.
        ("[{x: [0, 1, 2, 3, 9], y: [50, 10, 20, 10, 10]}]", False, 10, 20),
        ("[{x: [0, 4], y: [0, 4]}]", False, 1, 3),
        # A band is in view as its mean is; what the legend hides is not.
        ("[{x: [1, 2], y: [1, 2]}, {x: [1, 2], y: [5, 6]}]", False, 1, 6),
        ("[{x: [1, 2], y: [1, 2]}, {x: [1, 2], y: [5, 6], visible: 'legendonly'}]", False, 1, 2),
        # Gaps are no values, and no line crosses them.
        ("[{x: [0, 1, 2, 3], y: [9, null, 2, 3]}]", False, 2, 3),
        ("[{x: [1, 2, 3], y: [NaN, 2, 3]}]", False, 2, 3),
        # Marks are no line.
        ("[{x: [0, 2, 8], y: [9, 1, 9], mode: 'markers'}, {x: [2], y: [3]}]", False, 1, 3),
        # A log axis counts in powers of ten and shows nothing that is not above zero.
        ("[{x: [1, 2, 3], y: [0.01, -5, 100]}]", True, -2, 2),
        ("[{x: [1, 2, 3], y: [0, 1, 10]}]", True, 0, 1),
    ]:
        room = (high - low) * 0.06
        assert fitted(traces, log=log) == pytest.approx([low - room, high + room]), traces


def test_a_zoomed_chart_has_room_around_one_value(fitted: Callable[..., Any]) -> None:
    low, high = fitted("[{x: [1, 2], y: [4, 4]}]")
    assert low < 4 < high
    low, high = fitted("[{x: [1, 2], y: [0, 0]}]")
    assert low < 0 < high


def test_where_nothing_is_in_view_nothing_is_fitted(fitted: Callable[..., Any]) -> None:
    assert fitted("[{x: [1, 2], y: [null, null]}]") is None
    assert fitted("[{x: [7, 8], y: [1, 2]}]") is None

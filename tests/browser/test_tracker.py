"""Every page of the tracker, narrow and dark, wide and light: nothing wider than the window, no
script that breaks, and nothing serious that axe-core finds in the one look or the other."""

import pytest
from django.test import Client
from playwright.sync_api import ConsoleMessage, Page
from pytest_django.live_server_helper import LiveServer

from tests.browser.test_axe import log_in, serious
from tests.rules.everything import World, make_world, routes
from tests.rules.test_urls import with_object

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# The same views, asked for something.
MORE = [
    "projects/umbra/?group=state&columns=state,duration",
    "projects/umbra/?q=nothing+like+this",
    "projects/umbra/compare/?runs=1,2",
    "projects/umbra/charts/?runs=1,2&group=state",
    "projects/umbra/runs/bulk/tag/?numbers=1",
    "projects/umbra/runs/bulk/delete/?numbers=1",
]


def pages_of(world: World) -> list[str]:
    """Return the addresses of all whole pages that a member may open below a project."""
    client = world.client("member")
    paths = {
        world.address(with_object(route))
        for route in routes()
        if route.startswith(("projects/", "inbox/")) and "(?P" not in route
    }
    return sorted(path for path in paths if _is_page(client, path)) + [f"/{path}" for path in MORE]


def _is_page(client: Client, path: str) -> bool:
    answer = client.get(path)
    is_html = answer.status_code == 200 and "html" in answer.headers.get("Content-Type", "")
    return is_html and not answer.streaming and b"<html" in answer.content


@pytest.mark.parametrize(("theme", "width"), [("dark", 390), ("light", 1440)])
def test_every_page_of_the_tracker(
    page: Page, live_server: LiveServer, theme: str, width: int
) -> None:
    world = make_world()
    log_in(page, live_server, world.people["member"])
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live_server.url}])
    page.set_viewport_size({"width": width, "height": 900})
    said: list[str] = []

    def note(line: ConsoleMessage) -> None:
        # Django's test server streams no events (WSGI): the page asks for them in turns then.
        if line.type == "error" and not line.location["url"].endswith("/live/"):
            said.append(f"{line.text} ({line.location['url']})")

    page.on("console", note)
    paths, findings = pages_of(world), dict[str, list[str]]()
    assert len(paths) > 50
    for place, path in enumerate(paths):
        page.goto(live_server.url + path, wait_until="load")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        found = [*said, *([f"{wide} px wider than the window"] if wide > 0 else [])]
        # It takes longer than the page, so every other one.
        found += serious(page) if place % 2 == (width == 390) else []
        said.clear()
        if found:
            findings[path] = found
    assert findings == {}

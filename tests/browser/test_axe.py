"""axe-core finds nothing serious on the main pages, light and dark, wide and narrow."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from portal.models import Role, User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGES = [
    "/",
    "/tokens",
    "/profile",
    "/health",
    "/account/2fa/",
    "/account/password/change/",
    "/projects/",
    "/projects/first-light/",
    "/projects/first-light/settings/",
    "/projects/first-light/runs/new/?recipe=tone_check",
    "/rights/",
    "/listen/",
]


def log_in(page: Page, live_server: LiveServer, user: User) -> None:
    client = Client()
    client.force_login(user)
    page.context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )


def serious(page: Page) -> list[str]:
    """Rule, sentence and place of each serious finding."""
    found = Axe().run(page).response["violations"]
    return [
        f"{finding['id']}: {finding['help']} at {[node['target'] for node in finding['nodes']][:3]}"
        for finding in found
        if finding["impact"] in {"serious", "critical"}
    ]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1440), ("light", 1440)])
def test_main_pages(page: Page, live_server: LiveServer, ada: User, theme: str, width: int) -> None:
    ada.roles = [role.value for role in Role]
    ada.save()
    log_in(page, live_server, ada)
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live_server.url}])
    page.set_viewport_size({"width": width, "height": 900})
    findings = {}
    for path in PAGES:
        answer = page.goto(live_server.url + path)
        assert answer is not None
        if answer.status == 404:
            findings[path] = ["There is no such page."]
            continue
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        findings[path] = serious(page) + ([f"{wide} px wider than the window"] if wide > 0 else [])
    assert {path: found for path, found in findings.items() if found} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_log_in_page(page: Page, live_server: LiveServer, theme: str) -> None:
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live_server.url}])
    page.goto(live_server.url + "/account/login/")
    assert serious(page) == []


def test_the_theme_changes_at_once_and_stays(
    page: Page, live_server: LiveServer, ada: User
) -> None:
    log_in(page, live_server, ada)
    page.goto(live_server.url)
    page.get_by_text("Ada Okafor").first.click()
    page.get_by_role("button", name="Dark").click()
    dark = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(dark) == "rgb(19, 22, 21)"
    page.reload()
    assert page.evaluate(dark) == "rgb(19, 22, 21)"

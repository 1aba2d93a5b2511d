"""The pages of imports on a narrow and a wide window, dark and light: whole and accessible."""

from pathlib import Path

import pytest
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from portal.models import User
from tests.browser.test_axe import log_in, serious
from tests.rights.exchange.importing import checked, imported, song, table, uploaded

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(("theme", "width"), [("dark", 390), ("light", 1440)])
def test_import_pages(
    page: Page, live_server: LiveServer, rosa: User, tmp_path: Path, *, theme: str, width: int
) -> None:
    rows = [song(number) for number in range(30)]
    done = imported(rosa, table(rows), "a catalogue with a long name of its own.csv")
    bad = [row | {"ISRC": "no", "BPM": "fast", "Master split": "A 50; B 49"} for row in rows]
    looked = checked(rosa, table([*bad, song(99)]), "problems.csv")
    fresh = uploaded(rosa, table(rows), "fresh.csv")
    log_in(page, live_server, rosa)
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live_server.url}])
    page.set_viewport_size({"width": width, "height": 900})
    findings = {}
    for name, path in {
        "list": "/rights/imports/",
        "new": "/rights/imports/new/",
        "done": done.get_absolute_url(),
        "looked": looked.get_absolute_url(),
        "fresh": fresh.get_absolute_url(),
        "check": f"{fresh.get_absolute_url()}check/",
        "signals": "/rights/signals/",
        "signal": "/rights/signals/new/",
        "exports": "/rights/exports/",
    }.items():
        answer = page.goto(live_server.url + path)
        assert answer is not None
        assert answer.status == 200, path
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        findings[name] = serious(page) + ([f"{wide} px wider than the window"] if wide > 0 else [])
        page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)
    assert {path: found for path, found in findings.items() if found} == {}

"""A real Chromium from the system's packages, and pages in it that fail on script errors."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.patience import LIMIT_SECONDS

# Playwright's own five seconds are little on a busy machine; what comes sooner is not waited for.
expect.set_options(timeout=LIMIT_SECONDS * 1_000 / 5)

# The shell is the same Chromium without its own windows and menus, which take as much of the
# processor as the pages.
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


# Per module: while Playwright's loop runs in this thread, no asyncio test could.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        message = (
            "No Chromium found. To run the browser tests, install it "
            "(Debian, Ubuntu: apt-get install chromium-headless-shell, or chromium)."
        )
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    # Playwright runs an event loop in this thread; Django's ORM is used from it in the tests only.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        launched = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page at 1440 px whose script errors fail the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(LIMIT_SECONDS * 1_000 / 5)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert errors == [], errors

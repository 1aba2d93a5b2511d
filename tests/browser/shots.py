"""Retakes the pictures in docs/shots: `make shots`, with the portal of `make up` running."""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS
from tests.browser.portal import ROOT, Portal, log_in
from workers.demo import PROJECT

FOLDER = ROOT / "docs" / "shots"
P = f"/projects/{PROJECT}/"

# (name, who looks, path). Runs 1 and 2 and test 1 are what a newcomer makes after the README.
PAGES = [
    ("home", "researcher", "/"),
    ("runs", "researcher", P),
    ("new-run", "researcher", f"{P}runs/new/?recipe=flow_matching"),
    ("run", "researcher", f"{P}runs/1/"),
    ("compare", "researcher", f"{P}compare/?runs=1,2"),
    ("sample", "researcher", "/samples/1/"),
    ("recording", "rights", "/rights/recordings/1/"),
    ("why", "rights", "/rights/recordings/30/why/?use=train.generative"),
    ("mine", "artist", "/rights/mine/"),
    ("rate", "listener", "/listen/1/"),
]
LOOKS = {"wide": (1440, 1200, "light"), "narrow": (390, 844, "dark")}


def take(page: Page, portal: Portal, folder: Path) -> None:
    last = ""
    for name, who, path in PAGES:
        if who != last:
            log_in(page, portal, who)
            last = who
        page.goto(portal.url + path)
        # A live page never falls idle: charts and waveforms are drawn by then.
        page.wait_for_timeout(2500)
        page.screenshot(path=folder / f"{name}.png")


def main() -> None:
    executable = shutil.which("chromium")
    if executable is None:
        sys.exit("No Chromium found. Install it (Debian, Ubuntu: apt-get install chromium).")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    portal = Portal(url=f"http://127.0.0.1:{os.environ.get('PORT', '8000')}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        for look, (width, height, scheme) in LOOKS.items():
            target = folder / look
            target.mkdir(parents=True, exist_ok=True)
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            take(context.new_page(), portal, target)
            context.close()
        browser.close()


if __name__ == "__main__":
    main()

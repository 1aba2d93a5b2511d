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

# (name, who looks, path); {run} and {sample} are the newest finished run and its first sample.
PAGES = [
    ("home", "researcher", "/"),
    ("runs", "researcher", P),
    ("new-run", "researcher", f"{P}runs/new/?recipe=flow_matching"),
    ("run", "researcher", f"{P}runs/1/"),
    ("compare", "researcher", f"{P}compare/?runs=1,2"),
    ("samples", "researcher", f"/samples/of/{PROJECT}/"),
    ("sample", "researcher", "/samples/1/"),
    ("datasets", "researcher", f"{P}datasets/"),
    ("rights", "rights", "/rights/"),
    ("recordings", "rights", "/rights/recordings/"),
    ("recording", "rights", "/rights/recordings/1/"),
    ("why", "rights", "/rights/recordings/40/why/?use=train.generative"),
    ("grants", "rights", "/rights/grants/"),
    ("mine", "artist", "/rights/mine/"),
    ("listen", "listener", "/listen/"),
    ("operator", "operator", "/"),
]
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}


def take(page: Page, portal: Portal, folder: Path, *, full: bool) -> None:
    last = ""
    for name, who, path in PAGES:
        if who != last:
            log_in(page, portal, who)
            last = who
        page.goto(portal.url + path)
        page.wait_for_load_state("networkidle", timeout=5000) if "runs/1" not in path else (
            page.wait_for_timeout(2500)
        )
        page.screenshot(path=folder / f"{name}.png", full_page=full)


def main() -> None:
    executable = shutil.which("chromium")
    if executable is None:
        sys.exit("No Chromium found. Install it (Debian, Ubuntu: apt-get install chromium).")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    portal = Portal(url=f"http://127.0.0.1:{os.environ.get('PORT', '8000')}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                target = folder / f"{size}-{scheme}"
                target.mkdir(parents=True, exist_ok=True)
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                take(context.new_page(), portal, target, full=size == "narrow")
                context.close()
        browser.close()


if __name__ == "__main__":
    main()

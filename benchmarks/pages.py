"""Every page of a demo world, as each of its people: queries, bytes and the time of the server.

    .venv/bin/python -m benchmarks.pages FOLDER [most milliseconds]

FOLDER is the STATE_DIR of a portal that `make up` has made (with a run or two, if their pages are
to be measured). A person's links are followed from home: two addresses of each view, each opened
three times, of which the fastest counts. A page over the target is opened twenty times more when
all have been seen: what a neighbour of the machine does lasts for seconds. Queries are the steadier
figure. No peer has these pages.
"""

import os
import re
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urljoin

if TYPE_CHECKING:
    from django.test import Client

PEOPLE = ("researcher", "rights", "artist", "operator", "listener")
EACH_VIEW = 2
TIMES, TIMES_MORE = 3, 20
MOST_PAGES = 400
TARGET_MS = 150.0


@dataclass(frozen=True)
class Page:
    who: str
    view: str
    path: str
    queries: int
    kilobytes: float
    milliseconds: float


def main() -> None:
    folder = sys.argv[1]
    target = float(sys.argv[2]) if len(sys.argv) > 2 else TARGET_MS
    os.environ |= {"STATE_DIR": folder, "DJANGO_SETTINGS_MODULE": "portal.settings"}
    import django

    django.setup()
    pages = [page for who in PEOPLE for page in crawl(who)]
    pages = [again(page) if page.milliseconds > target else page for page in pages]
    pages.sort(key=lambda page: -page.milliseconds)
    print(f"{'ms':>7} {'queries':>7} {'kB':>7}  page")
    for page in pages:
        if page.milliseconds > target or page in pages[:15]:
            print(
                f"{page.milliseconds:7.0f} {page.queries:7} {page.kilobytes:7.0f}  "
                f"{page.who}: {page.path} ({page.view})"
            )
    slow = sum(page.milliseconds > target for page in pages)
    most = max(pages, key=lambda page: page.queries)
    print(
        f"{len(pages)} pages; {slow} over {target:.0f} ms; most queries: {most.queries} "
        f"({most.path})"
    )


def crawl(who: str) -> list[Page]:
    from django.urls import Resolver404, resolve

    client = client_of(who)
    pages: list[Page] = []
    waiting, seen, views = deque(["/"]), {"/"}, Counter[str]()
    while waiting and len(pages) < MOST_PAGES:
        path = waiting.popleft()
        try:
            view = resolve(path.partition("?")[0]).view_name
        except Resolver404:
            continue
        if views[view] >= EACH_VIEW or "logout" in view:
            continue
        page, text = _open(client, who, view, path)
        if page is None:
            continue
        views[view] += 1
        pages.append(page)
        for link in re.findall(r'<a [^>]*?href="([^"]+)"', text):
            target = urldefrag(urljoin(path, unescape(link)))[0]
            if target.startswith("/") and target not in seen:
                seen.add(target)
                waiting.append(target)
    return pages


def again(page: Page) -> Page:
    """Return the page with the fastest of many more times, where it is opened at once."""
    if page.view == "health":
        # It waits for workers that answer.
        return page
    found, _ = _open(client_of(page.who), page.who, page.view, page.path, times=TIMES_MORE)
    return min(page, found or page, key=lambda one: one.milliseconds)


def client_of(who: str) -> "Client":
    from django.test import Client

    from portal.models import User

    client = Client()
    client.force_login(User.objects.get(username=who))
    return client


def _open(
    client: "Client", who: str, view: str, path: str, times: int = TIMES
) -> tuple[Page | None, str]:
    from django.db import connection, reset_queries
    from django.test.utils import CaptureQueriesContext

    taken, queries, text = [], 0, ""
    for _ in range(times):
        reset_queries()
        began = time.perf_counter()
        with CaptureQueriesContext(connection) as captured:
            response = client.get(path, HTTP_HOST="127.0.0.1")
        taken.append(time.perf_counter() - began)
        is_page = response.status_code == 200 and "html" in response.headers["Content-Type"]
        if not is_page or response.streaming:
            return None, ""
        queries, text = len(captured), response.content.decode()
    return Page(who, view, path, queries, len(text) / 1000, min(taken) * 1000), text


if __name__ == "__main__":
    main()

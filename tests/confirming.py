"""Acts that are confirmed, as a person does them: look at the page, then press its button."""

import re
from collections.abc import Mapping
from typing import Any

from django.test import Client

SEAL = re.compile(r'<input type="hidden" name="shown" value="([^"]+)">')


def seal_on(page: str) -> str:
    """The seal of the page's form; the last one where the page has several forms."""
    found = SEAL.findall(page)
    assert found, "This page has no seal."
    return str(found[-1])


def has_seal(page: str) -> bool:
    return bool(SEAL.search(page))


def confirm(
    client: Client,
    url: str,
    data: Mapping[str, object] | None = None,
    *,
    look: str = "",
    at: str = "",
    follow: bool = False,
) -> Any:
    """Confirm what the act's page shows: its own page, or the one `at` an address. `look` is what
    the form is sent to first where the act hangs on what is typed."""
    first = client.post(look, dict(data or {})) if look else client.get(at or url)
    assert first.status_code == 200, first.status_code
    sealed = {**(data or {}), "shown": seal_on(first.content.decode())}
    return client.post(url, sealed, follow=follow)

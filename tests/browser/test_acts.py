"""Acts that cannot be undone, in a real browser with and without scripts."""

import re
from collections.abc import Iterator

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from portal.models import User
from rights.models import OptOut, Party, Recording, Use
from tests.browser.test_axe import log_in, serious
from tests.catalogue import make_allowed, make_party

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def song(rosa: User) -> Recording:
    return make_allowed(rosa, 1, party=make_party(rosa, "Mira Solberg"))[0]


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def browsing(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(
        java_script_enabled=request.param, viewport={"width": 390, "height": 844}
    )
    yield context.new_page()
    context.close()


def test_an_opt_out_is_looked_at_and_confirmed(
    browsing: Page, live_server: LiveServer, rosa: User, song: Recording
) -> None:
    page = browsing
    log_in(page, live_server, rosa)
    page.goto(live_server.url + reverse("rights:opt_out", args=[song.pk]))
    expect(page.get_by_label("Which use ends")).to_have_value("")
    expect(page.get_by_label("For whom")).to_have_value("")
    page.get_by_label("Which use ends").select_option(Use.EVAL.value)
    page.get_by_label("For whom").select_option(label="Mira Solberg")
    page.get_by_label("Reason").fill("They asked for it.")
    # Enter looks, and ends nothing.
    page.get_by_label("Reason").press("Enter")
    ends = page.get_by_role("button", name=re.compile("^End .* for Mira Solberg$"))
    expect(ends).to_have_text("End Evaluation and listening tests for Mira Solberg")
    assert not OptOut.objects.exists()
    # Another use, under the button of the first: nothing ends, and all that was typed stays.
    page.get_by_label("Which use ends").select_option(Use.TRAIN_GENERATIVE.value)
    ends.click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing has happened")
    expect(page.get_by_label("Reason")).to_have_value("They asked for it.")
    expect(ends).to_have_text("End Training of generative models for Mira Solberg")
    assert not OptOut.objects.exists()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    ends.click()
    expect(page).to_have_url(re.compile(rf"/rights/recordings/{song.pk}/$"))
    assert [(opt_out.use, opt_out.party) for opt_out in OptOut.objects.all()] == [
        (Use.TRAIN_GENERATIVE, Party.objects.get(name="Mira Solberg"))
    ]


def test_the_pages_of_acts_are_open_to_everybody(
    page: Page, live_server: LiveServer, rosa: User, song: Recording
) -> None:
    """Nothing serious for axe on a page that shows an effect."""
    log_in(page, live_server, rosa)
    party = Party.objects.get(name="Mira Solberg")
    for path in (
        reverse("rights:party_leave", args=[party.pk]),
        reverse("rights:grant_withdraw", args=[party.grants.all()[0].pk]),
        reverse("rights:grant_suspend", args=[party.grants.all()[0].pk]),
    ):
        page.goto(live_server.url + path)
        assert serious(page) == [], path

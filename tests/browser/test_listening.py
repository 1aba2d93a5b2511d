"""The listener's page in a real Chromium: a clip is heard, the scale opens, the portal knows it."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from audio_samples import samples
from experiments.models import Project, Run
from listening import trials
from listening.models import Hearing, ListeningTest, Rating
from portal.models import User
from tests.audio_samples.cast import make_run
from tests.browser.test_axe import log_in, serious
from tests.browser.test_player import until
from tests.catalogue import make_allowed
from tests.tones import tone

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SHUT = re.compile(r"Listen first; \d s to go\.")
OPEN = "You have heard it: answer, or listen again."
# Seconds, as the player itself counts them.
HEARD = "document.querySelector('clip-player').heard().reduce((sum, [a, b]) => sum + b - a, 0)"


@pytest.fixture
def run(ada: User, rosa: User, project: Project) -> Run:
    return make_run(ada, project, make_allowed(rosa, 1))


@pytest.fixture
def test(ada: User, run: Run) -> ListeningTest:
    """One clip of three seconds."""
    sample = samples.receive(
        run=run, name="final/0", prompt="slow techno", final=True, file=tone(seconds=3.0)
    )
    return trials.open_test(
        by=ada, project=run.project, title="Round", question="Does it groove?", samples=[sample]
    )


def open_page(page: Page, live_server: LiveServer, user: User, test: ListeningTest) -> None:
    log_in(page, live_server, user)
    page.goto(live_server.url + reverse("listening:rate", args=[test.pk]) + "?clip=1")


def play(page: Page) -> None:
    page.get_by_role("button", name="Play").click()


def test_the_scale_opens_once_the_clip_was_heard_and_the_answer_carries_it(
    page: Page, live_server: LiveServer, lou: User, test: ListeningTest
) -> None:
    open_page(page, live_server, lou, test)
    words, four = page.locator("[data-listen]"), page.get_by_role("radio", name="4")
    expect(words).to_have_text("Listen first; 3 s to go.")
    expect(four).to_be_disabled()
    expect(page.get_by_role("button", name="Store and go on")).to_be_disabled()
    expect(page.get_by_role("group", name="Does it groove?")).to_have_accessible_description(
        "Listen first; 3 s to go."
    )
    page.keyboard.press("4")
    expect(page.locator("[data-stored]")).to_have_text(SHUT)
    assert not Rating.objects.exists()
    assert serious(page) == []

    play(page)
    expect(words).to_have_text(OPEN)
    expect(four).to_be_enabled()
    page.keyboard.press("4")
    expect(page.locator("[data-stored]")).to_have_text("Stored: 4")
    rating = Rating.objects.get()
    assert (rating.heard, rating.plays, rating.muted) == (Rating.Heard.WHOLE, 1, False)
    assert rating.seconds_heard is not None
    assert 2.85 <= rating.seconds_heard <= 3.0
    assert serious(page) == []

    # Whoever comes back need not hear it again to change the answer.
    page.reload()
    expect(words).to_have_text(OPEN)
    page.get_by_role("radio", name="2").check()
    expect(page.locator("[data-stored]")).to_have_text("Stored: 2")
    assert Rating.objects.get().changes == 1


def test_the_space_bar_plays_before_the_player_was_ever_used(
    page: Page, live_server: LiveServer, lou: User, test: ListeningTest
) -> None:
    open_page(page, live_server, lou, test)
    page.wait_for_selector("clip-player[data-state=ready]")
    page.keyboard.press(" ")
    until(page, f"{HEARD} > 0.2")
    page.keyboard.press(" ")
    expect(page.locator("clip-player")).to_have_attribute("data-state", "ready")
    # A link keeps its own keys.
    page.get_by_role("link", name="Stop for now").focus()
    page.keyboard.press(" ")
    expect(page.locator("clip-player")).to_have_attribute("data-state", "ready")


def test_the_keys_of_the_page_are_shown_and_hidden_by_a_key(
    page: Page, live_server: LiveServer, lou: User, test: ListeningTest
) -> None:
    open_page(page, live_server, lou, test)
    page.wait_for_selector("clip-player[data-state=ready]")
    keys = page.locator("clip-player .keys")
    expect(keys).to_be_hidden()
    page.keyboard.press("?")
    expect(keys).to_be_visible()
    # The digits answer here.
    assert "switch to that clip" not in keys.inner_text()
    page.keyboard.press("?")
    expect(keys).to_be_hidden()


def test_a_reload_in_the_middle_loses_nothing_and_what_was_skipped_was_not_heard(
    page: Page, live_server: LiveServer, lou: User, test: ListeningTest
) -> None:
    open_page(page, live_server, lou, test)
    play(page)
    until(page, f"{HEARD} > 1")
    page.reload()
    # Of 2.85 seconds.
    expect(page.locator("[data-listen]")).to_have_text(re.compile("Listen first; [12] s to go."))
    [[start, end]] = Hearing.objects.get().stretches
    assert start == 0
    assert 1000 <= end < 2850
    # The last half second alone.
    page.wait_for_selector("clip-player[data-state=ready]")
    page.get_by_role("slider", name="Position").fill("2.5")
    play(page)
    until(page, f"{HEARD} > 0.4 && document.querySelector('clip-player').dataset.state === 'ready'")
    assert float(page.evaluate(HEARD)) == pytest.approx(0.5, abs=0.05)
    # And now what lies between.
    play(page)
    expect(page.locator("[data-listen]")).to_have_text(OPEN)


def test_a_loop_is_heard_once_however_long_it_plays(
    page: Page, live_server: LiveServer, lou: User, test: ListeningTest
) -> None:
    open_page(page, live_server, lou, test)
    page.wait_for_selector("clip-player[data-state=ready]")
    page.evaluate("document.querySelector('clip-player').setLoop({start: 1, end: 1.5})")
    play(page)
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-listen]")).to_have_text("Listen first; 3 s to go.")
    with page.expect_response("**/heard"):
        page.reload()
    assert Hearing.objects.get().stretches == [[1000, 1500]]


def test_a_clip_that_is_withdrawn_while_it_plays_falls_silent_with_the_reason(
    page: Page, live_server: LiveServer, ada: User, lou: User, test: ListeningTest
) -> None:
    open_page(page, live_server, lou, test)
    page.wait_for_selector("clip-player[data-state=ready]")
    page.evaluate("document.querySelector('clip-player').setLoop({start: 0, end: 2})")
    samples.withhold(test.items.get().sample, by=ada, reason="Noor withdrew it")
    play(page)
    line = page.get_by_text("This clip was withdrawn and can no longer be heard.")
    expect(line).to_be_visible()
    expect(page.locator("clip-player button:visible")).to_have_count(0)
    expect(page.locator("form[data-rate]")).to_be_hidden()
    assert "Noor" not in page.content()
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_text("All clips of this test were withdrawn.")).to_be_visible()


def test_a_test_that_is_closed_meanwhile_says_so_and_asks_for_no_answer(
    page: Page, live_server: LiveServer, ada: User, lou: User, test: ListeningTest
) -> None:
    open_page(page, live_server, lou, test)
    play(page)
    expect(page.get_by_role("radio", name="4")).to_be_enabled()
    trials.close_test(test, by=ada)
    page.keyboard.press("4")
    told = page.get_by_text(trials.CLOSED).and_(page.get_by_role("status"))
    expect(told).to_be_visible()
    expect(page.locator("form[data-rate]")).to_be_hidden()
    assert not Rating.objects.exists()


def test_what_is_heard_of_a_test_that_was_closed_opens_no_scale(
    page: Page, live_server: LiveServer, ada: User, lou: User, test: ListeningTest
) -> None:
    open_page(page, live_server, lou, test)
    page.wait_for_selector("clip-player[data-state=ready]")
    trials.close_test(test, by=ada)
    play(page)
    expect(page.get_by_text(trials.CLOSED).and_(page.get_by_role("status"))).to_be_visible()
    expect(page.locator("form[data-rate]")).to_be_hidden()
    assert serious(page) == []


def test_where_our_player_does_not_load_the_browsers_own_is_measured_and_silence_is_not_heard(
    page: Page, live_server: LiveServer, lou: User, test: ListeningTest
) -> None:
    page.route("**/player.js", lambda route: route.abort())
    open_page(page, live_server, lou, test)
    words = page.locator("[data-listen]")
    expect(words).to_have_text("Listen first; 3 s to go.")
    audio = page.locator("audio")
    audio.evaluate("async audio => { audio.muted = true; await audio.play(); }")
    until(page, "document.querySelector('audio').ended")
    expect(words).to_contain_text("The player is mute, which does not count.")
    audio.evaluate("async audio => { audio.muted = false; await audio.play(); }")
    expect(words).to_have_text(OPEN)
    page.get_by_role("radio", name="5").check()
    expect(page.locator("[data-stored]")).to_have_text("Stored: 5")
    assert Rating.objects.get().muted


def test_without_scripts_an_answer_needs_the_clip_to_be_sent(
    browser: Browser, live_server: LiveServer, lou: User, test: ListeningTest
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    open_page(page, live_server, lou, test)
    page.get_by_role("radio", name="4").check()
    page.get_by_role("button", name="Store and go on").click()
    expect(page.get_by_role("alert")).to_contain_text("Play the clip first")
    expect(page.get_by_role("radio", name="4")).to_be_checked()
    # Its controls are the browser's own: what they fetch is fetched here.
    page.request.get(live_server.url + page.get_attribute("audio", "src"))
    page.get_by_role("button", name="Store and go on").click()
    expect(page.get_by_text("You have rated every clip")).to_be_visible()
    assert Rating.objects.get().heard == Rating.Heard.UNMEASURED
    context.close()

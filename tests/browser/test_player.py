"""The player in a real Chromium: one start for all clips, and switching that only turns gains."""

import re
import time
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from audio_samples import samples
from audio_samples.reviews import flags
from experiments.models import Project, Run
from portal.models import User
from rights.models import Party
from tests.audio_samples.cast import make_run, make_sample
from tests.browser.test_axe import log_in, serious
from tests.catalogue import make_allowed
from tests.tones import tone

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Written down from outside, by the browser's own objects: the player has no hooks for tests.
WATCH = """
window.heard = {starts: [], curves: [], stops: 0, contexts: 0};
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, offset) {
  heard.starts.push({when, offset, frames: this.buffer.length});
  return start.call(this, when, offset);
};
const stop = AudioBufferSourceNode.prototype.stop;
AudioBufferSourceNode.prototype.stop = function (when) {
  heard.stops += 1;
  return stop.call(this, when);
};
const curve = AudioParam.prototype.setValueCurveAtTime;
AudioParam.prototype.setValueCurveAtTime = function (values, at, lasts) {
  heard.curves.push({first: values[0], middle: values[16], last: values.at(-1), at, lasts});
  return curve.call(this, values, at, lasts);
};
const Context = window.AudioContext;
window.AudioContext = class extends Context {
  constructor(said) { super(said); heard.contexts += 1; }
};
"""


@pytest.fixture
def page(page: Page) -> Page:
    page.set_viewport_size({"width": 1000, "height": 800})
    page.add_init_script(WATCH)
    return page


@pytest.fixture
def run(ada: User, rosa: User, project: Project) -> Run:
    run = make_run(ada, project, make_allowed(rosa, 1))
    for number, seconds in enumerate((6.0, 5.0, 4.0)):
        file = tone(seconds=seconds, frequency=300 + 100 * number)
        samples.receive(
            run=run, name=f"final/{number}", file=file, prompt="same", seed=number, final=True
        )
    return run


def open_run(page: Page, live_server: LiveServer, user: User, run: Run) -> None:
    show_run(page, live_server, user, run)
    page.wait_for_selector("clip-player[data-state=ready]")


def show_run(page: Page, live_server: LiveServer, user: User, run: Run) -> None:
    log_in(page, live_server, user)
    # The fragment as it is: the run page only puts it into its frame.
    page.goto(f"{live_server.url}/samples/grid/?runs={run.pk}")


def fetch_again(page: Page) -> None:
    """Merge what the fragment is now, as a page does that fetches it every few seconds."""
    page.evaluate("""async () => {
      const {merge} = await import('/static/js/player-merge.js');
      const text = await (await fetch(location.href)).text();
      const page = new DOMParser().parseFromString(text, 'text/html');
      merge(document.querySelector('[data-keyed]'), page.querySelector('[data-keyed]'));
    }""")


def until(page: Page, truth: str) -> None:
    """Waits as Playwright would, but without eval in the page, which the policy forbids."""
    end = time.monotonic() + 60
    while not page.evaluate(truth):
        assert time.monotonic() < end, f"Never came true: {truth}"
        page.wait_for_timeout(50)


def heard(page: Page) -> dict[str, Any]:
    return page.evaluate("heard")  # type: ignore[no-any-return]


def position(page: Page) -> float:
    return float(page.evaluate("document.querySelector('clip-player').engine.position"))


def test_all_clips_start_at_one_time_and_switching_turns_gains_only(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    open_run(page, live_server, ada, run)
    page.select_option("clip-player select", "aligned")
    page.click("clip-player .play")
    until(page, "heard.starts.length === 3")
    starts = heard(page)["starts"]
    assert len({start["when"] for start in starts}) == 1
    assert {start["offset"] for start in starts} == {0}
    assert len({start["frames"] for start in starts}) == 1
    until(page, "document.querySelector('clip-player').engine.position > 0.3")
    before = position(page)
    for key in "2313":
        page.keyboard.press(key)
    page.wait_for_timeout(150)
    after = heard(page)
    assert len(after["starts"]) == 3
    assert after["stops"] == 0
    assert after["contexts"] == 1
    # Each switch is one falling and one rising curve at the same time, of equal power, 10 ms long.
    curves = after["curves"]
    assert len(curves) == 8
    for fall, rise in zip(curves[::2], curves[1::2], strict=True):
        assert (fall["at"], fall["lasts"], rise["lasts"]) == (rise["at"], 0.01, 0.01)
        assert [fall["first"], rise["last"]] == pytest.approx([1, 1])
        assert [fall["last"], rise["first"]] == pytest.approx([0, 0], abs=1e-6)
        assert fall["middle"] ** 2 + rise["middle"] ** 2 == pytest.approx(1, abs=0.06)
    assert before < position(page) < before + 3
    assert page.get_attribute(".lane:nth-child(3) .pick", "aria-pressed") == "true"


def test_restart_mode_begins_again_and_space_pauses(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    open_run(page, live_server, ada, run)
    page.focus("clip-player .pick")
    page.keyboard.press(" ")
    until(page, "document.querySelector('clip-player').engine.position > 0.4")
    page.keyboard.press("2")
    until(page, "heard.starts.length === 6")
    again = heard(page)["starts"][3:]
    assert len({start["when"] for start in again}) == 1
    assert {start["offset"] for start in again} == {0}
    page.keyboard.press(" ")
    expect(page.locator("clip-player .play")).to_have_text("Play")
    until(page, "location.hash.includes('clip=')")


def test_a_dragged_region_loops_and_stands_in_the_address(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    open_run(page, live_server, ada, run)
    box = page.locator("clip-player canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 10, steps=4)
    page.mouse.up()
    until(page, "location.hash.includes('loop=')")
    start, end = page.evaluate("location.hash").split("loop=")[1].split("-")
    assert [float(start), float(end)] == pytest.approx([3.0, 4.5], abs=0.05)
    page.click("clip-player .play")
    page.wait_for_timeout(2000)
    assert 3.0 <= position(page) <= 4.6
    page.reload()
    page.wait_for_selector("clip-player[data-state=ready]")
    assert position(page) >= 3.0


def test_a_new_clip_joins_without_stopping_the_sound(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    open_run(page, live_server, ada, run)
    make_sample(run, "final/new", prompt="same", seed=9)
    page.click("clip-player .play")
    until(page, "heard.starts.length === 3")
    fetch_again(page)
    until(page, "document.querySelectorAll('.lane').length === 4")
    assert heard(page)["stops"] == 0
    assert page.inner_text("clip-player .play") == "Pause"


def test_a_withheld_clip_says_why_and_the_others_play(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    samples.withhold(run.samples.get(seed=1), by=ada, reason="Noor withdrew it")
    open_run(page, live_server, ada, run)
    assert "Withheld: Noor withdrew it." in page.inner_text("clip-player")
    page.click("clip-player .play")
    until(page, "heard.starts.length === 2")


def test_a_row_of_withheld_clips_is_one_line_and_nothing_to_press(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    for sample in run.samples.all():
        samples.withhold(sample, by=ada, reason="Noor withdrew it")
    show_run(page, live_server, ada, run)
    page.wait_for_selector("clip-player[data-state=silent]")
    assert page.inner_text("clip-player") == "All 3 clips. Withheld: Noor withdrew it."
    expect(page.locator("clip-player button:visible")).to_have_count(0)


def test_clips_that_are_withheld_while_the_page_is_open_say_so_and_are_not_tried_again(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    def withhold(route: Route) -> None:
        """Between the page and its first clip."""
        for sample in run.samples.filter(withheld_at=None):
            samples.withhold(sample, by=ada, reason="Noor withdrew it")
        route.continue_()

    page.route("**/samples/*/audio", withhold)
    show_run(page, live_server, ada, run)
    page.wait_for_selector("clip-player[data-state=silent]")
    assert page.inner_text("clip-player") == "All 3 clips. Withheld: Noor withdrew it."
    expect(page.get_by_text("Load again")).to_have_count(0)


def test_a_clip_that_is_back_is_loaded_again(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    for sample in run.samples.all():
        samples.withhold(sample, by=ada, reason="A mistake")
    show_run(page, live_server, ada, run)
    page.wait_for_selector("clip-player[data-state=silent]")
    run.samples.update(withheld_at=None, withheld_reason="")
    fetch_again(page)
    page.wait_for_selector("clip-player[data-state=ready]")
    assert "Withheld" not in page.inner_text("clip-player")
    expect(page.locator("clip-player .play")).to_have_text("Play")


def test_only_a_clip_that_did_not_arrive_is_loaded_again(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    page.route("**/samples/*/audio", lambda route: route.abort())
    show_run(page, live_server, ada, run)
    play = page.locator("clip-player .play")
    expect(play).to_have_text("Load again")
    expect(page.locator("clip-player .words")).to_contain_text("Is the portal reachable?")
    page.unroute("**/samples/*/audio")
    play.click()
    expect(play).to_have_text("Play")


def test_the_picker_of_a_test_fetches_a_clip_when_it_is_played(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    fetched: list[str] = []
    page.on("request", lambda one: fetched.append(one.url) if "/audio" in one.url else None)
    log_in(page, live_server, ada)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(live_server.url + reverse("listening:new", args=[run.project.slug]))
    first = page.locator("clip-player").first
    expect(first.get_by_role("button", name="Play")).to_be_enabled()
    assert fetched == []
    first.get_by_role("button", name="Play").press(" ")
    expect(first.get_by_role("button", name="Pause")).to_be_visible()
    assert len(fetched) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious(page) == []


def test_the_place_of_a_player_does_not_follow_to_what_a_form_opens(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    log_in(page, live_server, ada)
    page.goto(live_server.url + reverse("listening:new", args=[run.project.slug]))
    first = page.locator("clip-player").first
    first.get_by_role("button", name="Play").click()
    first.get_by_role("button", name="Pause").click()
    until(page, "location.hash.startsWith('#player=')")
    page.get_by_label("Title").fill("Round")
    page.get_by_label("Question").fill("Does it groove?")
    page.locator("input[name=samples]").first.check()
    page.get_by_role("button", name="Open the test").click()
    page.wait_for_url(re.compile(r"/\d+/(#.*)?$"))
    assert page.evaluate("location.hash") == ""


def test_the_browsers_own_player_gives_way_to_the_reason(
    page: Page, live_server: LiveServer, rosa: User, noor: User, run: Run
) -> None:
    party = Party.objects.get()
    party.people.add(noor)
    sample = run.samples.first()
    assert sample is not None
    flag = flags.flag(by=noor, party=party, sample=sample, reason="Too close.")
    log_in(page, live_server, rosa)
    page.goto(live_server.url + reverse("audio_samples:flag", args=[flag.pk]))
    page.route("**/flags/*/audio", lambda route: route.fulfill(
        status=410, content_type="text/plain; charset=utf-8", body="Withheld: it was recalled."
    ))  # fmt: skip
    page.locator("audio").evaluate("audio => audio.play().catch(() => {})")
    expect(page.get_by_text("Withheld: it was recalled.")).to_be_visible()
    expect(page.locator("audio")).to_have_count(0)


def test_controls_dock_at_the_bottom_of_a_narrow_screen(
    page: Page, live_server: LiveServer, ada: User, run: Run
) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    open_run(page, live_server, ada, run)
    page.click("clip-player .play")
    expect(page.locator("clip-player .play")).to_have_text("Pause")
    box = page.locator("clip-player .controls").bounding_box()
    assert box is not None
    assert round(box["y"] + box["height"]) == 800
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

"""Forms in a real browser: what is folded is found, errors are links, acts are asked about."""

import re
from collections.abc import Iterator

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from experiments.models import Project, Run
from experiments.runs import runs
from portal.models import User
from tests.browser.test_axe import log_in, serious

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def new_run(live_server: LiveServer, project: Project) -> str:
    address = reverse("experiments:run_new", args=[project.slug])
    return f"{live_server.url}{address}?recipe=flow_matching"


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


@pytest.fixture
def scriptless(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


def test_a_folded_setting_is_found_by_a_word_of_its_help(
    page: Page, live_server: LiveServer, ada: User, new_run: str
) -> None:
    log_in(page, live_server, ada)
    page.goto(new_run)
    expect(page.get_by_label("Warm-up steps")).to_be_hidden()
    page.get_by_label("Find a setting").fill("rises ZERO")
    expect(page.get_by_label("Warm-up steps")).to_be_visible()
    expect(page.get_by_label("Averaging of weights")).to_be_hidden()
    expect(page.get_by_role("status")).to_have_text("1 found.")
    # Enter goes there, and queues nothing.
    page.keyboard.press("Enter")
    expect(page.get_by_label("Warm-up steps")).to_be_focused()
    assert page.url == new_run


def test_a_search_is_emptied_and_the_groups_fold_again(
    page: Page, live_server: LiveServer, ada: User, new_run: str
) -> None:
    log_in(page, live_server, ada)
    page.goto(new_run)
    box = page.get_by_label("Find a setting")
    box.fill("no such thing")
    expect(page.get_by_role("status")).to_have_text(
        "No setting has “no such thing” in its name or explanation."
    )
    box.press("Escape")
    expect(page.get_by_text("6 settings")).to_be_visible()
    expect(page.get_by_label("Width")).to_be_hidden()


def test_a_group_says_what_was_changed_in_it(
    page: Page, live_server: LiveServer, ada: User, new_run: str
) -> None:
    log_in(page, live_server, ada)
    page.goto(new_run)
    page.get_by_text("Training", exact=True).click()
    page.get_by_label("Warm-up steps").fill("60")
    expect(page.get_by_text("1 changed: Warm-up steps")).to_be_visible()
    # The same number, written in another way.
    page.get_by_label("Warm-up steps").fill("50.0")
    expect(page.get_by_text("1 changed")).to_have_count(0)


def test_numbers_that_were_typed_are_there_again_after_going_back(
    page: Page, live_server: LiveServer, ada: User, new_run: str
) -> None:
    log_in(page, live_server, ada)
    page.goto(new_run)
    page.get_by_label("Name").first.fill("mine")
    page.locator("#config-batch_size").fill("3")
    page.locator("#id_max_hours").fill("7")
    # Back from another page, and made anew: no page is kept alive here.
    page.goto(live_server.url + "/")
    page.go_back()
    expect(page.locator("#config-batch_size")).to_have_value("3")
    expect(page.locator("#id_max_hours")).to_have_value("7")


def test_each_error_leads_to_its_field(
    page: Page, live_server: LiveServer, ada: User, new_run: str
) -> None:
    log_in(page, live_server, ada)
    page.goto(new_run)
    page.get_by_text("Model", exact=True).click()
    page.get_by_label("Width").fill("-1")
    page.get_by_label("GPUs").fill("99")
    page.get_by_role("button", name="Queue the run").click()
    found = page.get_by_role("alert")
    expect(found).to_be_focused()
    expect(found.get_by_role("link")).to_have_text(
        ["GPUs must be at most 8.", "Width must be at least 16."]
    )
    # Even when somebody has folded it again.
    page.get_by_text("Model", exact=True).click()
    expect(page.get_by_label("Width")).to_be_hidden()
    found.get_by_role("link", name="Width").click()
    expect(page.get_by_label("Width")).to_be_focused()
    assert serious(page) == []


def test_errors_of_any_form_are_links_too(page: Page, live_server: LiveServer, rosa: User) -> None:
    log_in(page, live_server, rosa)
    page.goto(live_server.url + reverse("rights:grant_new"))
    page.get_by_role("button", name=re.compile("Offer|Draft")).click()
    found = page.get_by_role("alert")
    expect(found).to_be_focused()
    found.get_by_role("link", name="Uses").click()
    expect(page.get_by_role("checkbox").first).to_be_focused()


def test_without_scripts_all_settings_can_be_opened_and_sent(
    scriptless: Page, live_server: LiveServer, ada: User, new_run: str
) -> None:
    page = scriptless
    log_in(page, live_server, ada)
    page.goto(new_run)
    expect(page.get_by_label("Find a setting")).to_be_hidden()
    page.get_by_text("Model", exact=True).click()
    page.get_by_label("Width").fill("-1")
    page.get_by_role("button", name="Queue the run").click()
    expect(page.get_by_label("Width")).to_be_visible()
    expect(page.get_by_text("1 changed: Width")).to_be_visible()
    page.get_by_role("link", name="Width must be at least 16.").click()
    assert page.url.endswith("#config-width")


def test_the_queue_button_stays_in_sight_and_covers_no_field(
    phone: Page, live_server: LiveServer, ada: User, new_run: str
) -> None:
    log_in(phone, live_server, ada)
    phone.goto(new_run)
    button = phone.get_by_role("button", name="Queue the run")
    expect(button).to_be_in_viewport()
    expect(phone.locator(".act-bar")).to_contain_text("At most 24 hours of 2 cores")
    covered = []
    for field in phone.locator("[data-run-form] :is(input, select, textarea):visible").all():
        field.focus()
        box, bar = field.bounding_box(), phone.locator(".act-bar").bounding_box()
        assert box is not None
        assert bar is not None
        if box["y"] + box["height"] > bar["y"]:
            covered.append(field.get_attribute("name"))
    assert covered == []
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_cancelling_is_asked_about_in_the_pages_own_words(
    page: Page, live_server: LiveServer, ada: User, project: Project
) -> None:
    run = runs.submit(by=ada, project=project, recipe="tone_check", config={}, dataset=None)
    log_in(page, live_server, ada)
    page.goto(live_server.url + run.get_absolute_url())
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    cancel.focus()
    cancel.press("Enter")
    question = page.get_by_role("dialog", name="Cancel run 1?")
    expect(question.get_by_role("button", name="Let it run")).to_be_focused()
    assert serious(page) == []
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(cancel).to_be_focused()
    run.refresh_from_db()
    assert run.state == Run.State.QUEUED

    cancel.press("Enter")
    question.get_by_role("button", name="Cancel run 1").click()
    expect(page.get_by_text("Cancelled.")).to_be_visible()
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED

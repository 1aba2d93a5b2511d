"""From a rule to the inbox to a conversation about the run, by mouse and keyboard."""

import os
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from experiments.alerts import watching, webhooks
from experiments.discussion import comments, subjects
from experiments.models import Comment, Membership, Project
from portal.models import User
from tests.browser.test_axe import log_in, serious
from tests.experiments.alerts.cast import log, rule, running

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# For looking at the pages: a folder for pictures of all of them.
SHOTS = os.environ.get("INBOX_SHOTS", "")


def test_an_alert_is_heard_of_read_and_talked_about(
    page: Page, live_server: LiveServer, ada: User, ben: User, project: Project
) -> None:
    Membership.objects.create(project=project, user=ben)
    run = running(ada, project, "Warm pads, second try")
    log(run, [3.0, float("nan")])
    rule(ada, project, "not_finite", metric="loss", level="error")
    rule(ada, project, "stalled", metric="loss", better="lower", value=500)
    rule(ben, project, scope="query", query="state:running", name="Loss above ten")
    watching.run_pass()
    about = subjects.of_run(run)
    root = comments.post(by=ben, subject=about, text="**Why** NaN at step 1? @ada").comment
    comments.post(by=ada, subject=about, text="The learning rate, I think.", parent=root)
    webhook, _ = webhooks.create(
        by=ada, project=project, name="#training", kind="slack",
        url="https://hooks.example.com/services/T0/B0/abcdef",
    )  # fmt: skip
    webhooks.send_test(by=ada, webhook=webhook)
    log_in(page, live_server, ada)

    page.goto(live_server.url)
    bell = page.locator("#bell")
    expect(bell).to_contain_text("2")
    bell.click()
    page.get_by_role("link", name="loss is NaN or infinite: Warm pads").click()
    page.wait_for_url(live_server.url + run.get_absolute_url())
    # What was opened is read.
    page.goto(live_server.url + reverse("inbox"))
    expect(page.locator("#bell")).to_contain_text("1")

    page.goto(live_server.url + about.address)
    field = page.get_by_role("textbox", name="Comment on 1 Warm pads, second try")
    field.press_sequentially("Ask @b")
    expect(page.get_by_role("option", name="@ben Ben Sato")).to_be_visible()
    field.press("Enter")
    expect(field).to_have_value("Ask @ben ")
    field.press_sequentially("and @nobody")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.locator(".comment.is-new")).to_contain_text("Ask @ben and @nobody")
    expect(page.get_by_role("status")).to_contain_text("Not told: @nobody.")
    assert Comment.objects.count() == 3

    addresses = {
        "inbox": reverse("inbox") + "?show=all",
        "away": reverse("inbox_away"),
        "settings": reverse("inbox_settings"),
        "alerts": reverse("experiments:alerts", args=[project.slug]),
        "kinds": reverse("experiments:rule_new", args=[project.slug]),
        "rule": reverse("experiments:rule_new", args=[project.slug]) + "?kind=metric",
        "webhooks": reverse("experiments:webhooks", args=[project.slug]),
        "webhook": reverse("experiments:webhook", args=[project.slug, webhook.pk]),
        "discussion": about.address,
        "edit": reverse("comment_edit", args=[Comment.objects.filter(author=ada).first().pk]),
    }
    findings = {}
    for theme, width in (("light", 1440), ("dark", 390)):
        page.context.add_cookies([{"name": "theme", "value": theme, "url": live_server.url}])
        page.set_viewport_size({"width": width, "height": 900})
        for name, address in addresses.items():
            if width > 1000 and name not in {"inbox", "alerts", "discussion"} and not SHOTS:
                continue
            page.goto(live_server.url + address)
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            found = serious(page) + ([f"{wide} px wider than the window"] if wide > 0 else [])
            findings[f"{name}, {theme}, {width}"] = found
            if SHOTS:
                path = Path(SHOTS) / f"{name}-{width}-{theme}.png"
                page.screenshot(path=path, full_page=True)
    assert {where: found for where, found in findings.items() if found} == {}

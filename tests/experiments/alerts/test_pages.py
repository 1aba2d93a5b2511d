"""The pages of alerts, rules and webhooks, for each who may or may not see them."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from experiments.alerts import watching, webhooks
from experiments.models import AlertRule, Membership, Project, Run, Webhook
from portal.models import User
from tests.confirming import confirm
from tests.experiments.alerts.cast import log, rule, running

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert('x')</script>"


def page(name: str, project: Project, *args: object) -> str:
    return reverse(f"experiments:{name}", args=[project.slug, *args])


def typed(**fields: Any) -> dict[str, Any]:
    return {
        "metric": "loss", "summary": "last", "comparison": "gt", "value": "10", "scope": "all",
        "audience": "owner", "level": "error", "cooldown_minutes": "5", **fields,
    }  # fmt: skip


@pytest.fixture
def viewer(ben: User, project: Project) -> User:
    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    return ben


def test_a_rule_is_made_on_its_page_and_then_says_what_it_watches(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    kinds = client.get(page("rule_new", project)).content.decode()
    assert all(f"?kind={kind}" in kinds for kind in AlertRule.Kind.values)
    for kind in AlertRule.Kind.values:
        assert client.get(page("rule_new", project) + f"?kind={kind}").status_code == 200
    made = client.post(page("rule_new", project) + "?kind=metric", typed())
    assert made.status_code == 302
    assert "loss: the last value above 10" in client.get(made.headers["Location"]).content.decode()


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        ("metric", {"value": "nan"}, "Enter a number"),
        ("metric", {"value": "1e999"}, "Enter a number"),
        ("metric", {"metric": ""}, "This field is required"),
        ("metric", {"scope": "query"}, "Write which runs"),
        ("metric", {"scope": "query", "query": "colour=blue"}, "Runs have no"),
        ("metric", {"cooldown_minutes": "-1"}, "greater than or equal to 0"),
        ("stalled", {"better": "lower", "value": "0"}, "Give a number from 1"),
        ("waiting", {"value": "1e12"}, "Give a number from 0"),
        ("state", {}, "This field is required"),
        ("state", {"states": ["running"]}, "Select a valid choice"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_a_sentence_and_what_was_typed(  # noqa: PLR0917
    client: Client, ada: User, project: Project, kind: str, fields: dict[str, Any], sentence: str
) -> None:
    client.force_login(ada)
    answer = client.post(page("rule_new", project) + f"?kind={kind}", typed(name="Mine", **fields))
    assert answer.status_code == 422
    text = answer.content.decode()
    assert sentence in text
    assert 'value="Mine"' in text
    assert not AlertRule.objects.exists()


def test_a_link_may_say_what_the_form_begins_with(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    link = "?kind=state&states=failed&states=finished&scope=query&query=run%3A3&audience=me"
    text = client.get(page("rule_new", project) + link).content.decode()
    assert 'value="run:3"' in text
    assert text.count("checked") == 2
    assert '<option value="query" selected>' in text
    made = typed(states=["failed"], scope="query", query="run:3", audience="me")
    assert client.post(page("rule_new", project) + link, made).status_code == 302
    assert AlertRule.objects.get().states == ["failed"]


def test_a_rule_is_changed_switched_and_deleted(
    client: Client, ada: User, project: Project
) -> None:
    made = rule(ada, project)
    client.force_login(ada)
    assert 'value="10.0"' in client.get(page("rule", project, made.pk)).content.decode()
    client.post(page("rule", project, made.pk), typed(value="0.5", name="Half"))
    made.refresh_from_db()
    assert (made.value, made.name, made.level) == (0.5, "Half", "error")
    client.post(page("rule_switch", project, made.pk), {"on": "no"})
    made.refresh_from_db()
    assert not made.enabled
    confirm(client, page("rule_delete", project, made.pk))
    assert not AlertRule.objects.exists()


def test_a_viewer_may_watch_for_themselves_and_set_up_nothing_for_others(
    client: Client, ada: User, viewer: User, project: Project
) -> None:
    theirs = rule(ada, project)
    client.force_login(viewer)
    url = page("rule_new", project) + "?kind=metric"
    assert client.post(url, typed(audience="members")).status_code == 422
    assert client.post(url, typed(audience="me")).status_code == 302
    client.post(page("rule_switch", project, theirs.pk), {"on": "no"})
    assert client.get(page("rule_delete", project, theirs.pk)).status_code == 302
    theirs.refresh_from_db()
    assert theirs.enabled
    # And the owner neither sees nor changes what the viewer watches for.
    own = AlertRule.objects.get(created_by=viewer)
    client.force_login(ada)
    assert client.get(page("rule", project, own.pk)).status_code == 404
    assert client.post(page("rule_delete", project, own.pk)).status_code == 404


def test_names_of_runs_and_rules_are_text_on_the_page(
    client: Client, ada: User, project: Project
) -> None:
    rule(ada, project, name=SCRIPT)
    log(running(ada, project, SCRIPT), [99.0])
    watching.run_pass()
    client.force_login(ada)
    for url in (page("alerts", project), reverse("inbox"), reverse("inbox_away")):
        text = client.get(url).content.decode()
        assert "&lt;script&gt;" in text
        assert SCRIPT not in text


def test_alerts_are_filtered_by_level_and_rule(client: Client, ada: User, project: Project) -> None:
    loud, soft = rule(ada, project, level="error", name="L"), rule(ada, project, level="info")
    log(running(ada, project), [99.0])
    watching.run_pass()
    client.force_login(ada)
    for query, count in (
        ("", 2), ("?level=warn", 1), (f"?rule={soft.pk}", 1), ("?level=x", 2), ("?run=1", 2),
        ("?run=2", 0),
    ):  # fmt: skip
        answer = client.get(page("alerts", project) + query)
        assert answer.context["page"].paginator.count == count, query
    assert loud.pk != soft.pk


def test_a_webhook_is_entered_and_its_secret_shown_this_once(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    url = "https://hooks.example.com/services/secretpart"
    fields = {"name": "pager", "kind": "json", "url": url, "least_level": "info"}
    answer = client.post(page("webhook_new", project), fields)
    assert "whsec_" in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    webhook = Webhook.objects.get()
    shown = client.get(page("webhook", project, webhook.pk)).content.decode()
    assert "whsec_" not in shown
    assert "secretpart" not in shown
    assert "https://hooks.example.com/…part" in shown
    renewed = confirm(client, page("webhook_secret", project, webhook.pk)).content.decode()
    assert "whsec_" in renewed
    client.post(page("webhook_test", project, webhook.pk))
    assert webhook.deliveries.get().event == "test"
    change = {"name": "other", "url": "", "least_level": "error"}
    assert client.post(page("webhook_change", project, webhook.pk), change).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.name, webhook.least_level, webhook.host) == (
        "other", "error", "hooks.example.com",
    )  # fmt: skip
    confirm(client, page("webhook_delete", project, webhook.pk))
    assert not Webhook.objects.exists()


def test_a_private_address_is_refused_on_the_form_with_what_was_typed(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    fields = {"name": "x", "kind": "json", "url": "https://169.254.169.254/", "least_level": "info"}
    answer = client.post(page("webhook_new", project), fields)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "private network" in text
    assert 'value="https://169.254.169.254/"' in text
    made, _ = webhooks.create(
        by=ada, project=project, name="x", kind="json", url="https://hooks.example.com/"
    )
    fields = {"name": "x", "url": "http://10.0.0.1/", "least_level": "info"}
    assert client.post(page("webhook_change", project, made.pk), fields).status_code == 422


def test_webhooks_are_for_owners_and_of_one_project(  # noqa: PLR0917 - the cast.
    client: Client, ada: User, ben: User, olga: User, lou: User, project: Project
) -> None:
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(project=other, user=ben, level=Membership.Level.OWNER)
    Membership.objects.create(project=project, user=lou)
    made, _ = webhooks.create(
        by=ada, project=project, name="x", kind="json", url="https://hooks.example.com/"
    )
    own, foreign = page("webhook", project, made.pk), page("webhook", other, made.pk)
    for user, url, status in (
        (ada, own, 200), (olga, own, 200), (lou, own, 403), (ben, own, 404), (ben, foreign, 404),
    ):  # fmt: skip
        client.force_login(user)
        assert client.get(url).status_code == status, (user, url)


def test_the_state_of_a_run_is_no_business_of_outsiders(
    client: Client, ada: User, ben: User, project: Project
) -> None:
    made = rule(ada, project)
    client.force_login(ben)
    for url in (page("alerts", project), page("rule_new", project), page("rule", project, made.pk)):
        assert client.get(url).status_code == 404
    assert Run.objects.count() == 0

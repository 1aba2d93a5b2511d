"""The shell's pages: who gets in, what each role finds, tokens and theme."""

import pytest
from django.test import Client
from django.urls import reverse

from portal import tokens
from portal.models import ApiToken, AuditEvent, Role, User
from tests.confirming import confirm

pytestmark = pytest.mark.django_db


def test_a_stranger_is_sent_to_the_log_in_page(client: Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/account/login/")


def test_log_in_by_password(client: Client, ada: User) -> None:
    sent = {"login": "ada", "password": "a long enough password"}
    answer = client.post("/account/login/", sent, follow=True)
    assert answer.status_code == 200
    assert b"Ada Okafor" in answer.content


def test_a_wrong_password_is_told_beside_the_form(client: Client, ada: User) -> None:
    answer = client.post("/account/login/", {"login": "ada", "password": "wrong"})
    assert b"data-errors" in answer.content


def test_nobody_signs_up_from_outside(client: Client) -> None:
    answer = client.get("/account/signup/")
    assert b"Accounts are made by an operator" in answer.content
    sent = {"username": "eve", "password1": "x" * 12 + "Q1", "password2": "x" * 12 + "Q1"}
    client.post("/account/signup/", sent)
    assert not User.objects.filter(username="eve").exists()


@pytest.mark.parametrize("role", list(Role))
def test_home_opens_for_every_role(client: Client, ada: User, role: Role) -> None:
    ada.roles = [role.value]
    ada.save()
    client.force_login(ada)
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")


def test_home_of_somebody_without_a_role_says_whom_to_ask(client: Client, ada: User) -> None:
    ada.roles = []
    ada.save()
    client.force_login(ada)
    assert b"ask an operator" in client.get("/").content


@pytest.mark.parametrize(
    "path",
    ["/profile", "/tokens", "/account/2fa/", "/account/password/change/", "/account/email/"],
)
def test_account_pages_open(client: Client, ada: User, path: str) -> None:
    client.force_login(ada)
    assert client.get(path).status_code == 200


def test_a_token_is_shown_once_and_kept_as_a_digest(client: Client, ada: User) -> None:
    client.force_login(ada)
    answer = client.post(reverse("token_new"), {"label": "notebook", "days": "30"})
    token = ApiToken.objects.get(user=ada)
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert token.digest == ApiToken.digest_of(secret)
    assert token.expires_at is not None
    assert secret not in client.get(reverse("tokens")).content.decode()
    assert AuditEvent.objects.get(verb="token.issued").actor == ada


def test_a_token_without_a_label_is_refused_beside_the_field(client: Client, ada: User) -> None:
    client.force_login(ada)
    answer = client.post(reverse("token_new"), {"label": "", "days": "30"})
    assert answer.status_code == 422
    assert not ApiToken.objects.exists()


def test_revoking_ends_a_token_once(client: Client, ada: User) -> None:
    token, _ = tokens.issue(ada, "notebook", by=ada)
    client.force_login(ada)
    revoke = reverse("token_revoke", args=[token.pk])
    assert client.post(revoke).status_code == 409
    assert ApiToken.objects.usable().exists()
    for _ in range(2):
        confirm(client, revoke)
    assert not ApiToken.objects.usable().exists()
    assert AuditEvent.objects.filter(verb="token.revoked").count() == 1


def test_somebody_elses_token_is_not_there(client: Client, ada: User, ben: User) -> None:
    token, _ = tokens.issue(ada, "notebook", by=ada)
    client.force_login(ben)
    assert client.post(reverse("token_revoke", args=[token.pk])).status_code == 404
    assert ApiToken.objects.usable().exists()


def test_tokens_of_single_runs_are_not_listed(client: Client, ada: User) -> None:
    tokens.issue(ada, "attempt 1", scope="run:0")
    client.force_login(ada)
    assert b"attempt 1" not in client.get(reverse("tokens")).content


def test_the_theme_is_kept_in_a_cookie_and_never_leads_away(client: Client) -> None:
    answer = client.post("/theme", {"theme": "dark", "next": "https://elsewhere.example/"})
    assert answer.headers["Location"] == "/"
    assert client.cookies["theme"].value == "dark"
    assert b'data-theme="dark"' in client.get("/account/login/").content


def test_a_theme_that_is_none_is_ignored(client: Client) -> None:
    client.cookies["theme"] = '"><script>'
    assert b'data-theme="auto"' in client.get("/account/login/").content


def test_only_operators_see_records_and_health(client: Client, ada: User, olga: User) -> None:
    client.force_login(ada)
    assert client.get("/health").status_code == 403
    assert client.get("/operator/", follow=True).status_code == 403
    client.logout()
    assert client.get("/operator/", follow=True).redirect_chain[-1][0].startswith("/account/login/")
    client.force_login(olga)
    assert client.get("/health").status_code == 200
    assert client.get("/operator/").status_code == 200


def test_records_are_for_looking(client: Client, ada: User, olga: User) -> None:
    client.force_login(olga)
    assert client.get("/operator/portal/auditevent/add/").status_code == 403
    tokens.issue(ada, "notebook", by=ada)
    token = ApiToken.objects.get()
    page = client.get(f"/operator/portal/apitoken/{token.pk}/change/")
    assert page.status_code == 200
    assert token.digest not in page.content.decode()


def test_an_operator_gives_roles_and_it_is_written_down(
    client: Client, ada: User, olga: User
) -> None:
    client.force_login(olga)
    sent = {"username": "ada", "is_active": "on", "roles": ["listener", "researcher"]}
    client.post(f"/operator/portal/user/{ada.pk}/change/", sent)
    ada.refresh_from_db()
    assert ada.roles == ["listener", "researcher"]
    assert AuditEvent.objects.get(verb="person.changed").actor == olga


def test_an_address_that_is_nowhere_says_so(client: Client, ada: User) -> None:
    client.force_login(ada)
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert b"nothing at this address" in answer.content


def test_the_process_says_that_it_is_alive(client: Client) -> None:
    assert client.get("/healthz").status_code == 200


def test_what_was_typed_outlives_a_session_that_has_ended(client: Client) -> None:
    typed = {"first_name": '<b>"Ada"</b>', "password": "not to be seen", "many": ["1", "2"]}
    answer = client.post("/profile", typed)
    assert answer.status_code == 401
    page = answer.content.decode()
    assert 'name="first_name" value="&lt;b&gt;&quot;Ada&quot;&lt;/b&gt;"' in page
    assert page.count('name="many"') == 2
    assert "not to be seen" not in page


@pytest.mark.parametrize("header", [{"HX-Request": "true"}, {"Sec-Fetch-Dest": "empty"}])
def test_a_script_of_a_page_learns_that_its_reader_is_logged_out(
    client: Client, header: dict[str, str]
) -> None:
    answer = client.get("/", headers=header)
    assert answer.status_code == 401
    assert b"<main" not in answer.content

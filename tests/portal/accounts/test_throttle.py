"""Guessing is slow, and nobody is locked out by somebody else's guesses."""

import re
from datetime import timedelta
from unittest import mock

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.core.cache import cache
from django.db.models import F
from django.test import Client, RequestFactory

from portal import tokens
from portal.accounts import devices, throttle
from portal.models import FailedTry, User
from portal.processes import embedded
from tests.conftest import person

pytestmark = pytest.mark.django_db

PASSWORD = "a long enough password"
HOME, AWAY = "192.0.2.7", "198.51.100.9"
TOO_MANY = "Too many tries"


def at(address: str) -> Client:
    return Client(REMOTE_ADDR=address)


def log_in(client: Client, login: str = "ada", password: str = PASSWORD, **more: str) -> str:
    """What the page says; empty where it let the person in."""
    answer = client.post("/account/login/", {"login": login, "password": password} | more)
    return "" if answer.status_code == 302 else answer.content.decode()


def guess(client: Client, times: int = 5, login: str = "ada") -> None:
    for number in range(times):
        assert TOO_MANY not in log_in(client, login, f"guess number {number}")


def alike(page: str, login: str) -> str:
    """The page without what differs between any two: the name, random tokens, the time of day."""
    page = re.sub(r"[xz]{32,}", "TOKEN", page.replace(login, "NAME"))
    return re.sub(r"in \d+ minutes?, at \d\d:\d\d UTC", "THEN", page)


def minutes_pass(minutes: int) -> None:
    FailedTry.objects.update(at=F("at") - timedelta(minutes=minutes))


# --- Passwords ---------------------------------------------------------------------------------


def test_the_sixth_guess_from_an_address_waits_and_is_told_how_long(ada: User) -> None:
    client = at(HOME)
    guess(client)
    page = log_in(client)
    assert TOO_MANY in page
    assert "in 5 minutes, at " in page


def test_the_owner_gets_in_from_another_address(ada: User) -> None:
    guess(at(HOME))
    assert log_in(at(AWAY)) == ""


def test_waiting_ends_however_often_it_was_tried_meanwhile(ada: User) -> None:
    client = at(HOME)
    guess(client)
    for _ in range(20):
        assert TOO_MANY in log_in(client, password="again")
    minutes_pass(5)
    assert log_in(client) == ""


@pytest.mark.parametrize("other", ["ada@lab.example", "ADA", " ada ", "Ada@Lab.Example"])
def test_every_name_of_an_account_counts_as_the_account(ada: User, other: str) -> None:
    client = at(HOME)
    guess(client, 3)
    guess(client, 2, other)
    assert TOO_MANY in log_in(client)
    assert TOO_MANY in log_in(client, other)


def test_another_account_is_not_touched(ada: User, ben: User) -> None:
    client = at(HOME)
    guess(client)
    assert log_in(client, "ben") == ""


def test_a_right_password_in_between_buys_no_further_guesses(ada: User, ben: User) -> None:
    guess(at(HOME), 4)
    assert log_in(at(HOME)) == ""
    guess(at(HOME), 1)
    assert TOO_MANY in log_in(at(HOME))


@pytest.mark.parametrize("typed", ["nobody", "nobody@lab.example"])
def test_a_name_that_is_nobodys_is_answered_alike(ada: User, typed: str) -> None:
    known = "ada@lab.example" if "@" in typed else "ada"
    pages = {}
    for login in (known, typed):
        client = at(HOME)
        client.get("/account/login/")
        said = [log_in(client, login, f"guess {number}") for number in range(6)]
        pages[login] = [alike(page, login) for page in said]
    assert pages[known] == pages[typed]
    assert TOO_MANY in pages[typed][-1]


def test_as_many_passwords_are_hashed_for_a_name_that_is_nobodys(ada: User) -> None:
    """What takes longest takes it for both: the time tells nobody which accounts exist."""
    counts = []
    for login in ("ada", "nobody"):
        with mock.patch(
            "django.contrib.auth.hashers.MD5PasswordHasher.encode",
            return_value="md5$salt$0" * 3,
        ) as encode:
            log_in(at(HOME), login, "wrong")
        counts.append(encode.call_count)
    assert counts[0] == counts[1]


def test_many_accounts_from_one_address_wait(ada: User) -> None:
    request = RequestFactory().post("/account/login/", REMOTE_ADDR=HOME)
    for number in range(throttle.ADDRESS.tries):
        throttle.log_in(request, f"name{number}")
    assert TOO_MANY in log_in(at(HOME))
    assert log_in(at(AWAY)) == ""


@pytest.fixture
def _attacked(ada: User) -> None:
    """Guesses at one account from many addresses."""
    for number in range(throttle.ACCOUNT.tries):
        request = RequestFactory().post("/", REMOTE_ADDR=f"203.0.113.{number}")
        throttle.log_in(request, "ada")


@pytest.mark.usefixtures("_attacked")
def test_an_account_that_many_addresses_try_is_open_to_who_knows_the_password() -> None:
    assert log_in(at(HOME)) == ""


@pytest.mark.usefixtures("_attacked")
def test_each_of_many_addresses_has_one_try_in_a_long_time() -> None:
    guess(at(HOME), 1)
    assert TOO_MANY in log_in(at(HOME))
    minutes_pass(10)
    assert TOO_MANY in log_in(at(HOME))
    minutes_pass(5)
    assert log_in(at(HOME)) == ""


def test_one_network_of_ipv6_is_one_address(ada: User) -> None:
    guess(at("2001:db8:1:2::1"))
    assert TOO_MANY in log_in(at("2001:db8:1:2:ffff::9"))
    assert log_in(at("2001:db8:1:3::1")) == ""


def test_a_header_that_names_another_address_is_not_believed(ada: User) -> None:
    for number in range(5):
        log_in(
            Client(REMOTE_ADDR=HOME, headers={"X-Forwarded-For": f"10.0.0.{number}"}), "ada", "x"
        )
    forged = Client(REMOTE_ADDR=HOME, headers={"X-Forwarded-For": AWAY, "X-Real-IP": AWAY})
    assert TOO_MANY in log_in(forged)


def test_the_embedded_server_believes_no_proxy_that_was_not_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    assert "--no-proxy-headers" in embedded.web("127.0.0.1", 8000).command
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    assert "--no-proxy-headers" not in embedded.web("127.0.0.1", 8000).command


def test_counts_are_kept_over_a_restart(ada: User) -> None:
    """They are rows: a cache that is emptied, or a broker that is gone, forgets none."""
    guess(at(HOME))
    cache.clear()
    assert TOO_MANY in log_in(at(HOME))


def test_what_was_typed_is_kept_nowhere(ada: User) -> None:
    guess(at(HOME), 1, "my password by mistake")
    assert all(len(row.key) == 64 and row.key.isalnum() for row in FailedTry.objects.all())


def test_old_counts_go(ada: User) -> None:
    guess(at(HOME), 3)
    minutes_pass(61)
    guess(at(AWAY), 1)
    assert FailedTry.objects.count() == 3


def test_a_name_longer_than_any_is_told_so(ada: User) -> None:
    assert "shorter than that" in log_in(at(HOME), "x" * 7_000)
    assert "Shorten it" in log_in(at(HOME), "x" * 100_000)


# --- A device that is known ----------------------------------------------------------------------


@pytest.fixture
def own(ada: User) -> Client:
    """Ada's browser, in which she has logged in before."""
    client = at(HOME)
    assert log_in(client) == ""
    client.post("/account/logout/")
    return client


def test_a_known_device_gets_in_while_its_address_waits(own: Client) -> None:
    guess(at(HOME))
    assert TOO_MANY in log_in(at(HOME))
    assert log_in(own) == ""


def test_a_known_device_gets_in_while_everybody_at_its_address_waits(own: Client) -> None:
    request = RequestFactory().post("/account/login/", REMOTE_ADDR=HOME)
    for number in range(throttle.ADDRESS.tries):
        throttle.log_in(request, f"name{number}")
    assert log_in(own) == ""


def test_a_known_device_does_not_guess_for_ever(own: Client) -> None:
    guess(own, throttle.DEVICE.tries)
    assert TOO_MANY in log_in(own)


def test_a_device_is_known_to_whom_used_it_alone(own: Client, ben: User) -> None:
    guess(at(HOME), login="ben")
    assert TOO_MANY in log_in(own, "ben")


def test_a_changed_password_forgets_devices(own: Client, ada: User) -> None:
    ada.set_password("another good password")
    ada.save()
    guess(at(HOME))
    assert TOO_MANY in log_in(own, password="another good password")


def test_a_forged_device_is_unknown(own: Client) -> None:
    guess(at(HOME))
    forged = own.cookies[devices.COOKIE].value + "x"
    stranger = at(HOME)
    stranger.cookies[devices.COOKIE] = forged
    assert TOO_MANY in log_in(stranger)


def test_a_device_of_several_people_is_known_to_each(own: Client, ben: User) -> None:
    assert log_in(own, "ben") == ""
    own.post("/account/logout/")
    guess(at(HOME))
    guess(at(HOME), login="ben")
    assert log_in(own) == ""
    own.post("/account/logout/")
    assert log_in(own, "ben") == ""


def test_the_cookie_is_not_for_scripts(own: Client) -> None:
    cookie = own.cookies[devices.COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


# --- The second factor ---------------------------------------------------------------------------


@pytest.fixture
def secret(ada: User) -> str:
    made = totp.generate_totp_secret()
    totp.TOTP.activate(ada, made)
    return made


def code_of(secret: str) -> str:
    counter = next(iter(totp.yield_hotp_counters_from_time()))
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def wrong_code(secret: str) -> str:
    right = {
        totp.format_hotp_value(totp.hotp_value(secret, counter))
        for counter in totp.yield_hotp_counters_from_time()
    }
    return next(f"{number:06d}" for number in range(9) if f"{number:06d}" not in right)


def inside(client: Client) -> bool:
    return client.get("/profile").status_code == 200


def test_the_second_factor_gets_in_where_the_password_alone_waits(secret: str) -> None:
    client = at(HOME)
    guess(client)
    page = log_in(client)
    assert TOO_MANY in page
    assert 'name="code"' in page
    assert log_in(client, code=code_of(secret)) == ""
    assert inside(client)


def test_the_second_factor_alone_opens_nothing(secret: str) -> None:
    client = at(HOME)
    guess(client)
    assert "not correct" in log_in(client, password="wrong", code=code_of(secret))
    assert not inside(client)


def test_a_wrong_code_is_answered_as_an_account_without_one(secret: str, ben: User) -> None:
    pages = {}
    for login in ("ada", "ben", "nobody"):
        client = at(HOME)
        client.get("/account/login/")
        for number in range(5):
            log_in(client, login, f"guess {number}")
        pages[login] = alike(log_in(client, login, code=wrong_code(secret)), login)
    assert TOO_MANY in pages["ada"]
    assert pages["ada"] == pages["ben"] == pages["nobody"]


def test_codes_before_the_password_are_counted(secret: str) -> None:
    client = at(HOME)
    guess(client)
    for _ in range(5):
        log_in(client, code=wrong_code(secret))
    assert TOO_MANY in log_in(client, code=code_of(secret))


def after_password(address: str) -> Client:
    client = at(address)
    assert (
        client.post("/account/login/", {"login": "ada", "password": PASSWORD})
        .headers["Location"]
        .startswith("/account/2fa/authenticate/")
    )
    return client


def give(client: Client, code: str) -> str:
    answer = client.post("/account/2fa/authenticate/", {"code": code})
    return "" if answer.status_code == 302 else answer.content.decode()


def test_codes_after_the_password_wait_by_address(secret: str) -> None:
    client = after_password(HOME)
    for _ in range(5):
        assert "Incorrect code" in give(client, wrong_code(secret))
    assert TOO_MANY in give(client, code_of(secret))
    assert give(after_password(AWAY), code_of(secret)) == ""


def test_codes_have_a_limit_over_all_addresses(secret: str, ada: User) -> None:
    """Six digits and a known password would not stand a thousand addresses."""
    for number in range(throttle.CODES.tries):
        throttle.code(RequestFactory().post("/", REMOTE_ADDR=f"203.0.113.{number}"), ada)
    assert TOO_MANY in give(after_password(AWAY), code_of(secret))


def test_codes_before_the_password_use_up_none_after_it(secret: str, ada: User) -> None:
    for number in range(throttle.CODES.tries):
        request = RequestFactory().post("/", REMOTE_ADDR=f"203.0.113.{number}")
        throttle.code(request, ada, first=True)
    assert give(after_password(AWAY), code_of(secret)) == ""


def test_a_recovery_code_gets_in_too(secret: str, ada: User) -> None:
    codes = RecoveryCodes.activate(ada).get_unused_codes()
    client = at(HOME)
    guess(client)
    assert log_in(client, code=codes[0]) == ""
    assert Authenticator.objects.filter(user=ada).count() == 2


# --- What else can be tried --------------------------------------------------------------------


def test_the_old_password_is_not_guessed_in_an_open_session(ada: User) -> None:
    client = at(HOME)
    client.force_login(ada)
    sent = {"password1": "brand new secret", "password2": "brand new secret"}
    for number in range(5):
        client.post("/account/password/change/", {"oldpassword": f"guess {number}"} | sent)
    answer = client.post("/account/password/change/", {"oldpassword": PASSWORD} | sent)
    assert TOO_MANY in answer.content.decode()
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_the_password_is_not_guessed_where_it_is_asked_again(ada: User) -> None:
    client = at(HOME)
    client.force_login(ada)
    for number in range(5):
        client.post("/account/reauthenticate/", {"password": f"guess {number}"})
    answer = client.post("/account/reauthenticate/", {"password": PASSWORD})
    assert TOO_MANY in answer.content.decode()


@pytest.mark.parametrize("mailbox", ["ada@lab.example", "nobody@lab.example"])
def test_mails_for_a_new_password_are_few_whoever_is_asked_for(ada: User, mailbox: str) -> None:
    client = at(HOME)
    for _ in range(3):
        assert client.post("/account/password/reset/", {"email": mailbox}).status_code == 302
    sent = len(mail.outbox)
    answer = client.post("/account/password/reset/", {"email": mailbox})
    assert TOO_MANY in answer.content.decode()
    assert len(mail.outbox) == sent
    assert at(AWAY).post("/account/password/reset/", {"email": mailbox}).status_code == 302


def test_a_mail_leads_in_while_the_password_is_guessed(ada: User) -> None:
    guess(at(HOME))
    client = at(HOME)
    client.post("/account/password/reset/", {"email": "ada@lab.example"})
    body = str(mail.outbox[0].body)
    path = "/account/" + body.split("/account/")[1].split(maxsplit=1)[0]
    form = client.get(path).headers["Location"]
    client.post(form, {"password1": "brand new secret", "password2": "brand new secret"})
    assert inside(client)


def test_wrong_tokens_stop_no_right_one_and_cost_no_write(ada: User) -> None:
    """A token has 256 random bits: there is nothing to guess, and a program that has lost its own
    must not keep the others behind its address out."""
    client = at(HOME)
    _, secret = tokens.issue(ada, "script", by=ada)
    for number in range(100):
        headers = {"Authorization": f"Bearer bl_{number}"}
        assert client.get("/api/v1/projects", headers=headers).status_code == 401
    assert not FailedTry.objects.exists()
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/projects", headers=headers).status_code == 200


def test_two_people_with_one_mailbox_are_both_counted(ada: User) -> None:
    other = person("cleo", "Cleo Ray")
    User.objects.filter(pk=other.pk).update(email="ada@lab.example")
    guess(at(HOME), login="ada@lab.example")
    assert TOO_MANY in log_in(at(HOME), "ada")
    assert TOO_MANY in log_in(at(HOME), "cleo")

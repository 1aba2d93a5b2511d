"""Devices on which a user has logged in before, recognised by a signed cookie.

An attacker who guesses passwords has no such cookie. So tries on such a device are counted
separately (portal/accounts/throttle.py), and nobody who tries from elsewhere, or from the same
address, can lock its owner out.
"""

import secrets
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from portal.models import User

COOKIE = "device"
SALT = "portal.accounts.devices"
AGE = 180 * 86_400
# The most users remembered on one device; the ones longest away are forgotten.
MOST_PEOPLE = 8


def known_device(request: HttpRequest, user: User) -> str:
    """Return the device's own number if this user has logged in on it since they last changed
    their password; empty if not."""
    number, people = _read(request)
    return number if people.get(str(user.pk)) == _password_mark(user) else ""


def remember(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Remember the user on this device; called after a complete log-in with its second factor."""
    number, people = _read(request)
    people.pop(str(user.pk), None)
    newest = dict(list(people.items())[-(MOST_PEOPLE - 1) :]) | {str(user.pk): _password_mark(user)}
    value = signing.dumps([number or secrets.token_hex(12), newest], salt=SALT, compress=True)
    response.set_cookie(
        COOKIE,
        value,
        max_age=AGE,
        httponly=True,
        samesite="Lax",
        secure=bool(settings.SESSION_COOKIE_SECURE),
        path="/account/",
    )


def _read(request: HttpRequest) -> tuple[str, dict[str, str]]:
    try:
        payload: Any = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=AGE)
        number, people = payload
    except (signing.BadSignature, ValueError, TypeError):
        return "", {}
    return str(number), dict(people)


def _password_mark(user: User) -> str:
    """Return a mark that changes with the password: a cookie stolen before the change is void."""
    return salted_hmac(SALT, f"{user.pk}:{user.password}", algorithm="sha256").hexdigest()[:20]

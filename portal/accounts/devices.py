"""Devices that somebody has logged in on before, by a signed cookie.

Who guesses passwords has none. So tries on such a device are counted apart
(portal/accounts/throttle.py), and nobody who tries from elsewhere, or from the same address, can
keep its owner out.
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
# People who share a device; the ones longest away are forgotten.
MOST_PEOPLE = 8


def known_device(request: HttpRequest, user: User) -> str:
    """The device's own number, where this person has logged in on it since they last changed
    their password; empty where not."""
    number, people = _read(request)
    return number if people.get(str(user.pk)) == _password_mark(user) else ""


def remember(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """After a whole log-in, with its second factor."""
    number, people = _read(request)
    people.pop(str(user.pk), None)
    kept = dict(list(people.items())[-(MOST_PEOPLE - 1) :]) | {str(user.pk): _password_mark(user)}
    value = signing.dumps([number or secrets.token_hex(12), kept], salt=SALT, compress=True)
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
        found: Any = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=AGE)
        number, people = found
    except (signing.BadSignature, ValueError, TypeError):
        return "", {}
    return str(number), dict(people)


def _password_mark(user: User) -> str:
    """Another one after each change of the password: a cookie that was stolen before it is void."""
    return salted_hmac(SALT, f"{user.pk}:{user.password}", algorithm="sha256").hexdigest()[:20]

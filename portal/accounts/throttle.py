"""Limits on tries: passwords, codes of a second factor, mails for a new password.

Wrong passwords are counted for an account and an address together, so nobody can lock somebody
else out: from another address, and on a device where they have logged in before (devices.py), the
owner of the account gets in while it is attacked. Where many addresses try one account, each of
them has one try at long intervals. Every name and e-mail of an account counts as that account. An
unknown name counts in the same way, so the answers do not show which accounts exist.

Counts are rows: they hold for all processes of the portal and over a restart, and need no Redis.
Keys are keyed digests: neither what was typed nor the address can be read from them.
"""

import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.account.internal.userkit import filter_users_by_email, get_user_by_username
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from portal.accounts import devices
from portal.models import FailedTry, User


@dataclass(frozen=True)
class Limit:
    """At most `tries` in `seconds`."""

    tries: int
    seconds: int

    @property
    def since(self) -> datetime:
        return timezone.now() - timedelta(seconds=self.seconds)


# One account from one address, and on a device known for it.
PER_ADDRESS = Limit(5, 5 * 60)
DEVICE = Limit(10, 5 * 60)
# All accounts from one address: a lab with many people may be behind it.
ADDRESS = Limit(60, 10 * 60)
# One account from all addresses; beyond this SLOW holds for each address.
ACCOUNT = Limit(100, 60 * 60)
SLOW = Limit(1, 15 * 60)
# A second factor is asked of people who know the password, and has six digits. So this count is a
# limit for all addresses together, except for the account's known devices.
CODES = Limit(20, 60 * 60)
# Mails for a new password: one mailbox from one address, all mailboxes from one address.
MAILS = Limit(3, 60 * 60)
MAILS_ADDRESS = Limit(20, 60 * 60)
MAX_WINDOW = timedelta(hours=1)


class Wait(Exception):
    """Too many tries; the message says when to try again, and is the same for every reason."""

    def __init__(self, until: datetime) -> None:
        self.until = until
        minutes = max(1, math.ceil((until - timezone.now()).total_seconds() / 60))
        unit = "minute" if minutes == 1 else "minutes"
        super().__init__(
            f"Too many tries. The next one counts in {minutes} {unit}, at {until:%H:%M} UTC."
        )


@dataclass(frozen=True)
class Rule:
    key: str
    # None where tries are only counted, for `log_in` to look at.
    limit: Limit | None = None


@dataclass(frozen=True)
class Try:
    """A try that is under way: it counts as wrong until it is forgiven."""

    rows: Sequence[int]

    def forgive(self) -> None:
        """Uncount a right try. Earlier ones stay: being right in between buys no more guesses."""
        FailedTry.objects.filter(pk__in=self.rows).delete()


def log_in(request: HttpRequest, login: str) -> Try:
    """Count a try before the password for this name or e-mail is checked. Raises Wait."""
    people = accounts(login)
    ip = address(request)
    if device := next(
        (number for person in people if (number := devices.known_device(request, person))), ""
    ):
        return _count_try(
            [Rule(_key("device", login_of(person), device), DEVICE) for person in people]
        )
    subjects = [login_of(person) for person in people] or [f"typed:{login.strip().lower()}"]
    rules = [Rule(_key("address", ip), ADDRESS)]
    for subject in subjects:
        account_key = _key("account", subject)
        attacked = _count(account_key, ACCOUNT) >= ACCOUNT.tries
        rules += [
            Rule(_key("here", subject, ip), SLOW if attacked else PER_ADDRESS),
            Rule(account_key),
        ]
    return _count_try(rules)


def code(request: HttpRequest, user: User, *, first: bool = False) -> Try:
    """Count a try before a code of the second factor is checked. Raises Wait.

    `first` is before the password: people who do not know it use up no tries of those who do.
    """
    kind = "code-first" if first else "code"
    if device := devices.known_device(request, user):
        return _count_try([Rule(_key(f"{kind}-device", login_of(user), device), DEVICE)])
    return _count_try(
        [
            Rule(_key(f"{kind}-here", login_of(user), address(request)), PER_ADDRESS),
            Rule(_key(kind, login_of(user)), CODES),
        ]
    )


def mail(request: HttpRequest, mailbox: str) -> Try:
    """Count each mail for a new password before it is sent. Raises Wait."""
    ip = address(request)
    return _count_try(
        [
            Rule(_key("mail", mailbox.strip().lower(), ip), MAILS),
            Rule(_key("mail-address", ip), MAILS_ADDRESS),
        ]
    )


def accounts(login: str) -> list[User]:
    """Return the users with this name or e-mail. Both are searched, whatever it looks like."""
    login = login.strip()
    by_name = get_user_by_username(login)
    by_mail = filter_users_by_email(login, for_login=True)
    users = {user.pk: user for user in [*([by_name] if by_name else []), *by_mail]}
    return [users[pk] for pk in sorted(users)]


def login_of(user: User) -> str:
    return f"user:{user.pk}"


def address(request: HttpRequest) -> str:
    """Return the request's address as the server knows it, which trusts X-Forwarded-For from
    FORWARDED_ALLOW_IPS only. For IPv6 it is the network, which one customer has to themselves."""
    text = str(request.META.get("REMOTE_ADDR", ""))
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
    return text


def _key(*parts: str) -> str:
    return salted_hmac("portal.accounts.throttle", "\0".join(parts), algorithm="sha256").hexdigest()


def _count_try(rules: Sequence[Rule]) -> Try:
    """Count the try, unless it is one too many: a refused try does not count, so waiting ends.

    It is counted before it is checked: among many at the same moment none passes uncounted.
    """
    for rule in rules:
        _refuse_beyond(rule, extra=0)
    now = timezone.now()
    FailedTry.objects.filter(at__lt=now - MAX_WINDOW).delete()
    rows = FailedTry.objects.bulk_create(FailedTry(key=rule.key, at=now) for rule in rules)
    attempt = Try([row.pk for row in rows])
    try:
        for rule in rules:
            _refuse_beyond(rule, extra=1)
    except Wait:
        attempt.forgive()
        raise
    return attempt


def _refuse_beyond(rule: Rule, *, extra: int) -> None:
    if rule.limit is None:
        return
    rows = FailedTry.objects.filter(key=rule.key, at__gt=rule.limit.since).order_by("-at")
    newest = list(rows.values_list("at", flat=True)[: rule.limit.tries + extra])
    if len(newest) >= rule.limit.tries + extra:
        # The try that has to expire before another one is allowed.
        raise Wait(newest[rule.limit.tries + extra - 1] + timedelta(seconds=rule.limit.seconds))


def _count(key: str, limit: Limit) -> int:
    return FailedTry.objects.filter(key=key, at__gt=limit.since).count()

"""How often somebody may be wrong: passwords, codes of a second factor, mails for a new password.

Wrong passwords are counted for an account and an address together, so nobody can lock somebody
else out: from another address, and on a device where they have logged in before (devices.py), the
owner of the account gets in while it is attacked. Where many addresses try one account, each of
them has one try at long intervals. Every name and address of an account counts as that account.
What is typed that is no account's counts in the same way, so the answers tell nobody which exist.

Counts are rows: they hold for all processes of the portal and over a restart, and want no Redis.
Keys are keyed digests: neither what was typed nor where from can be read from them.
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
    """So many in so many seconds."""

    tries: int
    seconds: int

    @property
    def since(self) -> datetime:
        return timezone.now() - timedelta(seconds=self.seconds)


# One account from one address, and on a device that it knows.
HERE = Limit(5, 5 * 60)
DEVICE = Limit(10, 5 * 60)
# All accounts from one address: a lab behind one address has as many people as it has.
ADDRESS = Limit(60, 10 * 60)
# One account from all addresses; beyond this each address has one try in SLOW's time.
ACCOUNT = Limit(100, 60 * 60)
SLOW = Limit(1, 15 * 60)
# A second factor is asked for by who knows the password, and has six digits. So its count is a
# limit, but for the devices that the account knows.
CODES = Limit(20, 60 * 60)
# Mails for a new password: one mailbox from one address, all mailboxes from one address.
MAILS = Limit(3, 60 * 60)
MAILS_ADDRESS = Limit(20, 60 * 60)
LONGEST = timedelta(hours=1)


class Wait(Exception):
    """Too often wrong; the sentence says when to come again, and is the same for every reason."""

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
    # None where it is counted for others to look at.
    limit: Limit | None = None


@dataclass(frozen=True)
class Try:
    """One that is under way: it counts as wrong until it is forgiven."""

    rows: Sequence[int]

    def forgive(self) -> None:
        """It was right. Earlier ones stay: a right one in between buys no further guesses."""
        FailedTry.objects.filter(pk__in=self.rows).delete()


def log_in(request: HttpRequest, login: str) -> Try:
    """Before a password is checked for what was typed as name or e-mail. Raises Wait."""
    people = accounts(login)
    here = address(request)
    if device := next(
        (found for person in people if (found := devices.known_device(request, person))), ""
    ):
        return _take([Rule(_key("device", login_of(person), device), DEVICE) for person in people])
    subjects = [login_of(person) for person in people] or [f"typed:{login.strip().lower()}"]
    rules = [Rule(_key("address", here), ADDRESS)]
    for subject in subjects:
        whole = _key("account", subject)
        attacked = _count(whole, ACCOUNT) >= ACCOUNT.tries
        rules += [Rule(_key("here", subject, here), SLOW if attacked else HERE), Rule(whole)]
    return _take(rules)


def code(request: HttpRequest, user: User, *, first: bool = False) -> Try:
    """Before a code of the second factor is checked. Raises Wait.

    `first` is before the password: who does not know that uses up no try of those who do.
    """
    kind = "code-first" if first else "code"
    if device := devices.known_device(request, user):
        return _take([Rule(_key(f"{kind}-device", login_of(user), device), DEVICE)])
    return _take(
        [
            Rule(_key(f"{kind}-here", login_of(user), address(request)), HERE),
            Rule(_key(kind, login_of(user)), CODES),
        ]
    )


def mail(request: HttpRequest, mailbox: str) -> Try:
    """Before a mail for a new password goes out. Each one counts. Raises Wait."""
    here = address(request)
    return _take(
        [
            Rule(_key("mail", mailbox.strip().lower(), here), MAILS),
            Rule(_key("mail-address", here), MAILS_ADDRESS),
        ]
    )


def accounts(login: str) -> list[User]:
    """Whose name or e-mail it is. Both are looked for, whatever it looks like."""
    login = login.strip()
    by_name = get_user_by_username(login)
    by_mail = filter_users_by_email(login, for_login=True)
    found = {user.pk: user for user in [*([by_name] if by_name else []), *by_mail]}
    return [found[pk] for pk in sorted(found)]


def login_of(user: User) -> str:
    return f"user:{user.pk}"


def address(request: HttpRequest) -> str:
    """Where the request comes from, as the server knows it: it believes X-Forwarded-For from
    FORWARDED_ALLOW_IPS alone. Of IPv6 the network, which one customer has to themselves."""
    text = str(request.META.get("REMOTE_ADDR", ""))
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
    return text


def _key(*parts: str) -> str:
    return salted_hmac("portal.accounts.throttle", "\0".join(parts), algorithm="sha256").hexdigest()


def _take(rules: Sequence[Rule]) -> Try:
    """Count the try, unless it is one too many: what is refused does not count, so waiting ends.

    It is counted before it is checked: of many at the same moment none passes uncounted.
    """
    for rule in rules:
        _refuse_beyond(rule, extra=0)
    now = timezone.now()
    FailedTry.objects.filter(at__lt=now - LONGEST).delete()
    made = FailedTry.objects.bulk_create(FailedTry(key=rule.key, at=now) for rule in rules)
    begun = Try([row.pk for row in made])
    try:
        for rule in rules:
            _refuse_beyond(rule, extra=1)
    except Wait:
        begun.forgive()
        raise
    return begun


def _refuse_beyond(rule: Rule, *, extra: int) -> None:
    if rule.limit is None:
        return
    rows = FailedTry.objects.filter(key=rule.key, at__gt=rule.limit.since).order_by("-at")
    newest = list(rows.values_list("at", flat=True)[: rule.limit.tries + extra])
    if len(newest) >= rule.limit.tries + extra:
        # The one that has to grow old before there is room for another.
        raise Wait(newest[rule.limit.tries + extra - 1] + timedelta(seconds=rule.limit.seconds))


def _count(key: str, limit: Limit) -> int:
    return FailedTry.objects.filter(key=key, at__gt=limit.since).count()

"""What is posted is what was shown: for acts that cannot be undone.

The page of such an act rehearses it: the verb itself runs in a transaction that is rolled back, so
what the page tells is what would be done, by whatever the verb does. The page carries a seal of
that, a signed digest for this person and this act. The post runs the verb again, holds what it did
against the seal within the same transaction, and undoes all of it where they differ: nothing can
come between the look and the act. Without JavaScript, and with nothing kept on the server.

Bound are what a page tells before the act (`facts`), and the lines that the act leaves in the
audit log. What goes on growing by itself, such as the samples of a run at work, is bound by none:
a holder's no must not have to wait until the lab is quiet.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from django.core import signing
from django.db import transaction
from django.http import HttpRequest

from portal import audit
from portal.database import commit_order
from portal.database.rehearsal import rehearsed
from portal.inputs import parameters
from portal.models import AuditEvent, User

# The name of the field that carries a page's seal.
FIELD = "shown"
# A page that was left open for longer is looked at again.
GOOD_FOR = timedelta(days=1)
# Given to a verb that wants a reason, where it is only rehearsed: none has been typed yet.
UNSAID = "It was shown what this would do."
# Numbers of rows that the act itself makes, and salted digests: others at each rehearsal.
FRESH = frozenset({"private", "sheet", "signal", "flag", "case", "credential", "sha256"})
# Cases follow from what ended: whether one is opened or joined hangs on the reason's wording.
FOLLOWS = "case."

S = TypeVar("S")
T = TypeVar("T")

NOT_SHOWN = "Nothing has happened yet. Read below what this does, and confirm it then."
CHANGED = (
    "Nothing has happened: what this would do is not what the page showed you. Read it again "
    "below, and confirm it then."
)
STALE = (
    "Nothing has happened: the page was opened by somebody else, or more than a day ago. Read "
    "below what this does now, and confirm it then."
)


class PreviewChanged(ValueError):
    """What was posted is not what was shown; nothing was done. The text is for the page."""


@dataclass(frozen=True)
class Act(Generic[S, T]):
    """One act of one person on one thing. `name` holds the thing's number: "grant.withdraw:7".

    `look` is what its page tells beforehand, and `facts` what of it has to be the same when it is
    done, as plain JSON. `verb` does it: on rows that it fetches itself, for it runs twice.
    """

    by: User
    name: str
    look: Callable[[], S]
    facts: Callable[[S], object]
    verb: Callable[[], T]


@dataclass(frozen=True)
class Preview(Generic[S]):
    """What a page tells of an act, and the seal for its form."""

    seen: S
    lines: list[AuditEvent]
    seal: str


def rehearse(act: Act[S, T]) -> Preview[S]:
    """What the act would do now, with nothing of it done. Raises what its verb raises."""
    # Not within the turn, in which others wait: what changes meanwhile is found by `perform`.
    seen = act.look()
    with rehearsed():
        lines, _ = _do(act)
    return Preview(seen, lines, seal(by=act.by, name=act.name, facts=_facts(act, seen, lines)))


def perform(act: Act[S, T], posted: str) -> T:
    """Do the act if it does what was shown. Raises Changed, and what its verb raises; nothing is
    done then."""
    with transaction.atomic():
        commit_order.moment()
        seen = act.look()
        lines, result = _do(act)
        check(posted, by=act.by, name=act.name, facts=_facts(act, seen, lines))
    return result


def seal(*, by: User, name: str, facts: object) -> str:
    """For an act that is not rehearsed: its page shows rows that never change, or does for good
    what lies outside of the database."""
    return _signer(by, name).sign(hashlib.sha256(audit.canonical(facts)).hexdigest())


def check(posted: str, *, by: User, name: str, facts: object) -> None:
    """Raises Changed where the seal is missing, or of other facts, another person or act."""
    if not posted:
        raise PreviewChanged(NOT_SHOWN)
    try:
        digest = _signer(by, name).unsign(posted, max_age=GOOD_FOR)
    except signing.BadSignature as error:
        raise PreviewChanged(STALE) from error
    if digest != hashlib.sha256(audit.canonical(facts)).hexdigest():
        raise PreviewChanged(CHANGED)


@contextmanager
def as_shown(posted: str, *, by: User, name: str, facts: Callable[[], object]) -> Iterator[None]:
    """What lies within is done if these facts are still what was shown; nothing of it otherwise.

    For an answer of which a page offers several: its seal is of what they hang on.
    """
    with transaction.atomic():
        commit_order.moment()
        check(posted, by=by, name=name, facts=facts())
        yield


def posted(request: HttpRequest) -> str:
    """The seal that came with a form; empty where there was none."""
    return parameters.sent(request).text(FIELD)


def _signer(by: User, name: str) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"{__name__}:{by.pk}:{name}")


def _do(act: Act[S, T]) -> tuple[list[AuditEvent], T]:
    """In this transaction's turn: from here to its end nobody else adds a line."""
    commit_order.moment()
    before = AuditEvent.objects.order_by("-seq").values_list("seq", flat=True).first() or 0
    result = act.verb()
    return list(AuditEvent.objects.filter(seq__gt=before).order_by("seq")), result


def _facts(act: Act[S, T], seen: S, lines: list[AuditEvent]) -> object:
    done = [_line_facts(line) for line in lines if not line.verb.startswith(FOLLOWS)]
    return [act.facts(seen), done]


def _line_facts(line: AuditEvent) -> list[Any]:
    body = {key: value for key, value in line.body.items() if key not in FRESH}
    return [line.verb, line.subject_type, line.subject_id, body]

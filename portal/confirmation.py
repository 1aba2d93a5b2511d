"""Checks that what is posted is what was shown, for acts that cannot be undone.

The page of such an act rehearses it: the verb itself runs in a transaction that is rolled back, so
the page shows exactly what the verb would do. The page carries a seal of that, a signed digest for
this person and this act. The post runs the verb again, compares what it did with the seal in the
same transaction, and rolls all of it back where they differ: nothing can change between the preview
and the act. It needs no JavaScript and stores nothing on the server.

The seal covers what a page shows before the act (`facts`), and the lines that the act leaves in the
audit log. It leaves out what keeps growing by itself, such as the samples of an active run: a
holder's refusal must not have to wait until the lab is quiet.
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
from portal.database.rehearsal import rehearsed, remembering
from portal.inputs import parameters
from portal.models import AuditEvent, User

# The name of the field that carries a page's seal.
FIELD = "shown"
# A page that was open for longer has to be read again.
GOOD_FOR = timedelta(days=1)
# The reason given to a verb in a rehearsal, where none has been typed yet.
REHEARSAL_REASON = "It was shown what this would do."
# Keys of ids of rows that the act itself makes, and of salted digests: new at each rehearsal.
VOLATILE_KEYS = frozenset({"private", "sheet", "signal", "flag", "case", "credential", "sha256"})
# Cases follow from what ended: the reason's wording decides if a case is opened or joined.
CASE_PREFIX = "case."

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
    """One act of one person on one object. `name` contains its id: "grant.withdraw:7".

    `look` returns what its page shows beforehand, and `facts` the part of it that has to be the
    same when it is done, as plain JSON. `verb` does it, on rows that it fetches itself, as it runs
    twice.
    """

    by: User
    name: str
    look: Callable[[], S]
    facts: Callable[[S], object]
    verb: Callable[[], T]


@dataclass(frozen=True)
class Preview(Generic[S]):
    """What a page shows of an act, and the seal for its form."""

    content: S
    lines: list[AuditEvent]
    seal: str


def rehearse(act: Act[S, T]) -> Preview[S]:
    """Return what the act would do now, without doing it. Raises what its verb raises."""
    # Outside of the turn, in which others wait: `perform` finds what changes meanwhile.
    with remembering():
        content = act.look()
        with rehearsed():
            lines, _ = _do(act)
    return Preview(
        content, lines, seal(by=act.by, name=act.name, facts=_facts(act, content, lines))
    )


def perform(act: Act[S, T], posted: str) -> T:
    """Do the act if it does what was shown. Raises PreviewChanged, and what its verb raises;
    nothing is done then."""
    with transaction.atomic():
        commit_order.moment()
        content = act.look()
        lines, result = _do(act)
        check(posted, by=act.by, name=act.name, facts=_facts(act, content, lines))
    return result


def seal(*, by: User, name: str, facts: object) -> str:
    """Return the seal of these facts. Called directly for an act that is not rehearsed: its page
    shows rows that never change, or it does something final outside of the database."""
    return _signer(by, name).sign(hashlib.sha256(audit.canonical(facts)).hexdigest())


def check(posted: str, *, by: User, name: str, facts: object) -> None:
    """Raise PreviewChanged if the seal is missing, or of other facts, another person or act."""
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
    """Run the block if these facts are still what was shown; else raise PreviewChanged before it.

    For a page that offers several answers: its seal covers the facts that they depend on.
    """
    with transaction.atomic():
        commit_order.moment()
        check(posted, by=by, name=name, facts=facts())
        yield


def posted(request: HttpRequest) -> str:
    """Return the seal that came with a form; empty if there was none."""
    return parameters.posted_parameters(request).text(FIELD)


def _signer(by: User, name: str) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"{__name__}:{by.pk}:{name}")


def _do(act: Act[S, T]) -> tuple[list[AuditEvent], T]:
    """Run the verb in this transaction's turn: from here to its end nobody else adds a line."""
    commit_order.moment()
    last_seq = AuditEvent.objects.order_by("-seq").values_list("seq", flat=True).first() or 0
    result = act.verb()
    return list(AuditEvent.objects.filter(seq__gt=last_seq).order_by("seq")), result


def _facts(act: Act[S, T], content: S, lines: list[AuditEvent]) -> object:
    line_facts = [_line_facts(line) for line in lines if not line.verb.startswith(CASE_PREFIX)]
    return [act.facts(content), line_facts]


def _line_facts(line: AuditEvent) -> list[Any]:
    body = {key: value for key, value in line.body.items() if key not in VOLATILE_KEYS}
    return [line.verb, line.subject_type, line.subject_id, body]

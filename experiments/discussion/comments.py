"""Comments: written, answered, changed with their history, taken back; and who is told of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.html import strip_tags

from backline import bounds
from experiments.alerts import webhooks
from experiments.discussion import mentions, subjects
from experiments.discussion.mentions import Mentions
from experiments.discussion.subjects import Subject
from experiments.inbox import notices
from experiments.models import (
    Comment,
    CommentEdit,
    CommentQuerySet,
    Muted,
    Notice,
    Project,
)
from portal import audit
from portal.database import bulk
from portal.inputs import markdown
from portal.inputs.text import clean_prose, unreadable
from portal.models import User

LONGEST = bounds.MAX_PROSE
# Of one person: faster than anybody writes, and slower than a program that floods inboxes.
PER_MINUTE = 20
NOTICE_KINDS = (Notice.Kind.COMMENT, Notice.Kind.MENTION)


class NotPossible(ValueError):
    """The comment cannot be written or changed like this; the message says what to do."""

    code = "not_possible"


class NotYours(PermissionError):
    """Only its author changes a comment, or takes it back."""

    code = "not_yours"


@dataclass(frozen=True)
class Posted:
    """A comment, and whom it names."""

    comment: Comment
    named: Mentions


@dataclass(frozen=True)
class Said:
    """A comment in a list of news: about what, its beginning, and where it stands."""

    comment: Comment
    subject: Subject
    words: str
    url: str


@dataclass
class Thread:
    """A comment and the answers to it."""

    root: Comment
    answers: list[Comment] = field(default_factory=list)


def post(*, by: User, subject: Subject, text: str, parent: Comment | None = None) -> Posted:
    """Write a comment, or an answer to one. Threads have one level: an answer to an answer stands
    in the same thread. Raises NotPossible."""
    text = _checked(text)
    if parent is not None and (parent.kind, parent.key) != (subject.kind, subject.key):
        raise NotPossible("The comment that this answers is about something else.")
    recent = Comment.objects.filter(author=by, at__gt=timezone.now() - timedelta(minutes=1))
    if recent.count() >= PER_MINUTE:
        raise NotPossible("That are many comments in a minute. Wait a little; nothing is lost.")
    named = mentions.find(text, subject.project)
    with transaction.atomic():
        comment = Comment.objects.create(
            project=subject.project,
            kind=subject.kind,
            key=subject.key,
            parent=(parent.parent or parent) if parent else None,
            author=by,
            text=text,
        )
        audit.record(
            by=by, verb="comment.posted", subject=comment, about=[subject.kind, subject.key]
        )
        _tell(comment, subject, named.users)
        webhooks.enqueue_comment(comment, title=subject.title, url=_address(comment, subject))
    return Posted(comment, named)


def edit(*, by: User, comment: Comment, subject: Subject, text: str) -> Posted:
    """Change one's own comment; what it said before stays to be read. Who is named only now is
    told now."""
    _require_author(by, comment)
    text = _checked(text)
    named = mentions.find(text, subject.project)
    if text == comment.text:
        return Posted(comment, named)
    before = {user.pk for user in mentions.find(comment.text, subject.project).users}
    now = timezone.now()
    with transaction.atomic():
        # The row as it was: of two edits at once, the later one keeps what the earlier one said.
        row = Comment.objects.select_for_update(no_key=True).get(pk=comment.pk)
        _require_author(by, row)
        CommentEdit.objects.create(comment=row, text=row.text, at=row.edited_at or row.at)
        Comment.objects.filter(pk=row.pk).update(text=text, edited_at=now)
        audit.record(by=by, verb="comment.edited", subject=row)
        comment.text, comment.edited_at = text, now
        Notice.objects.filter(key__in=_keys(row)).update(text=excerpt(text))
        new = [user for user in named.users if user.pk not in before]
        _tell_named(comment, subject, new)
    return Posted(comment, named)


def delete(*, by: User, comment: Comment) -> None:
    """Take back one's own comment: its text and what it said before are gone, its place stays."""
    _require_author(by, comment)
    now = timezone.now()
    with transaction.atomic():
        rows = Comment.objects.filter(pk=comment.pk, deleted_at=None)
        if rows.update(text="", deleted_at=now):
            CommentEdit.objects.filter(comment=comment).delete()
            notices.forget(_keys(comment))
            audit.record(by=by, verb="comment.deleted", subject=comment)
            comment.text, comment.deleted_at = "", now


def mute(*, by: User, subject: Subject, on: bool) -> None:
    """Hear nothing of a discussion any more, unless somebody names one; or hear of it again."""
    if on:
        Muted.objects.get_or_create(user=by, kind=subject.kind, key=subject.key)
    else:
        Muted.objects.filter(user=by, kind=subject.kind, key=subject.key).delete()


def forget(kind: str, key: str) -> int:
    """Delete all that was said of something that is gone for good, from inboxes too; return how
    many comments that were. Call it in the transaction that removes it."""
    rows = Comment.objects.about(kind, key)
    count = forget_notices(kind, [key])
    rows.filter(parent__isnull=False).delete()
    rows.delete()
    Muted.objects.filter(kind=kind, key=key).delete()
    return count


def forget_notices(kind: str, keys: Iterable[str]) -> int:
    """Take what was said of any of these out of inboxes, where the comments themselves may stay;
    return how many comments there are."""
    ids = [
        pk
        for part in bulk.parts(list(keys), 500)
        for pk in Comment.objects.filter(kind=kind, key__in=part).values_list("pk", flat=True)
    ]
    notices.forget(f"{kind.value}:{pk}" for pk in ids for kind in NOTICE_KINDS)
    return len(ids)


def forget_all(kind: str, keys: Iterable[str]) -> int:
    """Delete all that was said of any of these; return how many comments that were."""
    said: set[str] = set()
    for part in bulk.parts(list(keys), 500):
        for rows in (Comment.objects.all(), Muted.objects.all()):
            said |= set(rows.filter(kind=kind, key__in=part).values_list("key", flat=True))
    return sum(forget(kind, key) for key in said)


# --- Reads ----------------------------------------------------------------------------------


def roots(subject: Subject) -> CommentQuerySet:
    """Return the comments that begin a thread, oldest first; none that is gone without answers."""
    own = Comment.objects.about(subject.kind, subject.key).filter(parent=None)
    answered = Exists(Comment.objects.filter(parent=OuterRef("pk"), deleted_at=None))
    shown = own.filter(Q(deleted_at=None) | Q(answered))
    return shown.select_related("author").order_by("at", "id")


def threads(page: Iterable[Comment]) -> list[Thread]:
    """Return the threads that these comments begin, with their answers, in two queries."""
    by_root = {root.pk: Thread(root) for root in page}
    answers = Comment.objects.filter(parent__in=list(by_root), deleted_at=None)
    for answer in answers.select_related("author").order_by("at", "id"):
        by_root[answer.parent_id or 0].answers.append(answer)
    return list(by_root.values())


def count(subject: Subject) -> int:
    return Comment.objects.about(subject.kind, subject.key).filter(deleted_at=None).count()


def since(user: User, project: Project, moment: datetime, *, at_most: int) -> list[Said]:
    """Return what others have said in the project since then, newest first, of things that the user
    may see."""
    rows = Comment.objects.visible_to(user).filter(project=project, at__gt=moment, deleted_at=None)
    newest = rows.exclude(author=user).select_related("author").order_by("-at", "-id")
    known: dict[tuple[str, str], Subject | None] = {}
    said = []
    for comment in newest[:at_most]:
        about = comment.kind, comment.key
        if about not in known:
            known[about] = subjects.find(user, *about)
        if (subject := known[about]) is not None:
            said.append(Said(comment, subject, excerpt(comment.text), _address(comment, subject)))
    return said


def is_muted(user: User, subject: Subject) -> bool:
    return Muted.objects.filter(user=user, kind=subject.kind, key=subject.key).exists()


def excerpt(text: str) -> str:
    """Return the beginning of a comment in one line, as it reads without its markup."""
    # Of a long one the beginning is enough, and quick within a transaction.
    line = " ".join(unescape(strip_tags(markdown.render(text[:2_000]))).split())
    return line if len(line) <= 300 else f"{line[:299]}…"


def _checked(text: str) -> str:
    text = clean_prose(text)
    if not text:
        raise NotPossible("Write something first.")
    if len(text) > LONGEST:
        raise NotPossible(f"It has {len(text):,} characters; at most {LONGEST:,} are stored.")
    if sentence := unreadable(text):
        raise NotPossible(sentence)
    return text


def _require_author(by: User, comment: Comment) -> None:
    if comment.author_id != by.pk:
        raise NotYours("Only its author changes a comment, or takes it back.")
    if comment.deleted_at is not None:
        raise NotPossible("This comment was taken back; write a new one.")


def _tell(comment: Comment, subject: Subject, named: list[User]) -> None:
    """Tell those who are named; and of the thread's people, those who have not muted it."""
    _tell_named(comment, subject, named)
    muted = Muted.objects.filter(kind=subject.kind, key=subject.key)
    without = {comment.author_id, *(user.pk for user in named)}
    without |= set(muted.values_list("user", flat=True))
    people = [user for user in _people_of(comment, subject) if user.pk not in without]
    notices.tell(_news(comment, subject, Notice.Kind.COMMENT), people, at=comment.at)


def _tell_named(comment: Comment, subject: Subject, named: list[User]) -> None:
    others = [user for user in named if user.pk != comment.author_id]
    notices.tell(_news(comment, subject, Notice.Kind.MENTION), others)


def _people_of(comment: Comment, subject: Subject) -> list[User]:
    """Return who takes part: whose subject it is; of an answer, who wrote in its thread; of a new
    thread, who wrote about the subject."""
    earlier = Comment.objects.about(subject.kind, subject.key)
    if comment.parent_id:
        earlier = earlier.filter(parent=comment.parent_id) | earlier.filter(pk=comment.parent_id)
    writers = earlier.order_by().values("author")
    people = list(User.objects.filter(pk__in=writers))
    return [*people, *([subject.owner] if subject.owner else [])]


def _news(comment: Comment, subject: Subject, kind: Notice.Kind) -> notices.News:
    who = comment.author.display_name
    said = "named you in a comment on" if kind == Notice.Kind.MENTION else "commented on"
    return notices.News(
        kind=kind,
        project=subject.project,
        key=f"{kind.value}:{comment.pk}",
        title=f"{who} {said} {subject.title}",
        text=excerpt(comment.text),
        url=_address(comment, subject),
    )


def _keys(comment: Comment) -> list[str]:
    return [f"{kind.value}:{comment.pk}" for kind in NOTICE_KINDS]


def _address(comment: Comment, subject: Subject) -> str:
    return f"{subject.address}?comment={comment.pk}#comment-{comment.pk}"

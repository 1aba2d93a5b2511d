"""Comments over HTTP, for scripts: read, written, changed, taken back."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Schema
from ninja.errors import HttpError
from pydantic import Field

from backline import bounds
from experiments import access
from experiments.discussion import comments, subjects
from experiments.models import Comment
from portal.inputs.schemas import Limit, Offset, PathNumber

router = Router(tags=["comments"])

Kind = Annotated[str, Query(max_length=10, description="What it is about: run, sample, ...")]
Key = Annotated[str, Query(max_length=40, description="Of a run its id, of others their number.")]


class NewComment(bounds.Message):
    kind: str = Field(max_length=10)
    key: str = Field(max_length=40)
    text: str = Field(min_length=1, max_length=comments.LONGEST, description="Markdown.")
    parent: bounds.Natural | None = Field(default=None, description="The comment it answers.")


class ChangedComment(bounds.Message):
    text: str = Field(min_length=1, max_length=comments.LONGEST)


class CommentBody(Schema):
    id: int
    parent: int | None
    author: str
    text: str = Field(description="Empty if it was taken back.")
    at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None

    @staticmethod
    def resolve_parent(comment: Comment) -> int | None:
        return comment.parent_id

    @staticmethod
    def resolve_author(comment: Comment) -> str:
        return comment.author.username


class CommentPage(Schema):
    count: int
    items: list[CommentBody]


class PostedComment(Schema):
    comment: CommentBody
    told: list[str] = Field(description="Whom it names and tells, by user name.")
    not_told: list[str] = Field(description="Names in it that told nobody.")


@router.get("/comments", response=CommentPage)
def list_comments(
    request: HttpRequest, kind: Kind, key: Key, limit: Limit = 50, offset: Offset = 0
) -> dict[str, Any]:
    """The comments on something, oldest first."""
    subject = _subject(request, kind, key)
    rows = Comment.objects.about(subject.kind, subject.key).select_related("author")
    return {"count": rows.count(), "items": list(rows[offset : offset + limit])}


@router.post("/comments", response=PostedComment)
def add_comment(request: HttpRequest, new: NewComment) -> dict[str, Any]:
    """Write a comment, or an answer to one."""
    by = access.person(request)
    subject = _subject(request, new.kind, new.key)
    parent = None
    if new.parent is not None:
        parent = Comment.objects.visible_to(by).filter(pk=new.parent).first()
        if parent is None:
            raise HttpError(404, "There is no such comment to answer.")
    try:
        return _posted(comments.post(by=by, subject=subject, text=new.text, parent=parent))
    except comments.NotPossible as error:
        raise HttpError(422, str(error)) from error


@router.post("/comments/{int:pk}/edit", response=PostedComment)
def change_comment(request: HttpRequest, pk: PathNumber, changed: ChangedComment) -> dict[str, Any]:
    """Change one's own comment; what it said before stays to be read."""
    comment, subject = _comment(request, pk)
    by = access.person(request)
    try:
        return _posted(comments.edit(by=by, comment=comment, subject=subject, text=changed.text))
    except comments.NotYours as error:
        raise HttpError(403, str(error)) from error
    except comments.NotPossible as error:
        raise HttpError(422, str(error)) from error


@router.post("/comments/{int:pk}/delete", response=CommentBody)
def take_back_comment(request: HttpRequest, pk: PathNumber) -> Comment:
    """Take back one's own comment; its place in the thread stays."""
    comment, _ = _comment(request, pk)
    try:
        comments.delete(by=access.person(request), comment=comment)
    except comments.NotYours as error:
        raise HttpError(403, str(error)) from error
    except comments.NotPossible as error:
        raise HttpError(422, str(error)) from error
    return comment


def _subject(request: HttpRequest, kind: str, key: str) -> subjects.Subject:
    subject = subjects.find(access.person(request), kind, key)
    if subject is None:
        raise HttpError(404, "There is nothing like that, or it is not yours to see.")
    return subject


def _comment(request: HttpRequest, pk: int) -> tuple[Comment, subjects.Subject]:
    by = access.person(request)
    comment = Comment.objects.visible_to(by).select_related("author").filter(pk=pk).first()
    subject = subjects.find(by, comment.kind, comment.key) if comment else None
    if comment is None or subject is None:
        raise HttpError(404, "There is no such comment, or it is not yours to see.")
    return comment, subject


def _posted(posted: comments.Posted) -> dict[str, Any]:
    return {
        "comment": posted.comment,
        "told": [user.username for user in posted.named.users],
        "not_told": posted.named.unknown,
    }

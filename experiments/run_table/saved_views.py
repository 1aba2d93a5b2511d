"""Saved views of the run table: a person's own, those that are shared, and which comes first."""

from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.utils import timezone
from pydantic import ValidationError

from experiments.models import FirstView, Project, RunView
from experiments.run_table import query
from experiments.run_table.layout import Layout
from portal import audit
from portal.models import User

# Of one person in one project.
MAX_VIEWS = 100


class ViewRefused(ValueError):
    """A view cannot be saved so; the message is a sentence for the person."""


def visible(*, user: User, project: Project) -> Sequence[RunView]:
    """Return the views that the person may choose: their own first, then those shared."""
    rows = RunView.objects.visible_to(user, project).select_related("owner")
    return sorted(rows, key=lambda row: (row.owner_id != user.pk, row.name.casefold()))


def layout_of(view: RunView) -> Layout:
    """Return the layout of a view; the usual one where a later version cannot read it."""
    try:
        return Layout.model_validate(view.layout)
    except ValidationError:
        return Layout()


def first(*, user: User, project: Project) -> RunView | None:
    """Return the view that the person sees first: their own choice, else the project's."""
    rows = FirstView.objects.filter(project=project, person__in=[user]) | FirstView.objects.filter(
        project=project, person=None
    )
    by_person = {row.person_id: row.view for row in rows.select_related("view")}
    # What its owner no longer shares is nobody else's first view.
    views = (by_person.get(user.pk), by_person.get(None))
    return next((view for view in views if view and (view.shared or view.owner == user)), None)


@transaction.atomic
def save(*, by: User, project: Project, name: str, layout: Layout, shared: bool = False) -> RunView:
    """Store a layout under a name; one's own view of that name is replaced. Raises ViewRefused."""
    query.parse(layout.text)
    if shared:
        _require_member(by, project)
    row = RunView.objects.filter(project=project, owner=by, name=name).first()
    if row is None:
        if by.run_views.filter(project=project).count() >= MAX_VIEWS:
            raise ViewRefused(f"You have {MAX_VIEWS} views here already. Delete one first.")
        row = RunView(project=project, owner=by, name=name)
    row.layout, row.shared, row.changed_at = layout.model_dump(), shared, timezone.now()
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise ViewRefused("A view of that name was saved just now. Look at it first.") from None
    _record(by, "run_view.saved", row)
    return row


@transaction.atomic
def delete(*, by: User, view: RunView) -> None:
    """Delete one's own view, or as an owner of the project one that is shared: its owner may have
    left. It is no longer anybody's first."""
    _require_owner(by, view)
    _record(by, "run_view.deleted", view)
    view.delete()


@transaction.atomic
def make_first(*, by: User, project: Project, view: RunView | None, for_all: bool = False) -> None:
    """Choose the view that one sees first, or, as an owner of the project, that everybody does;
    None goes back to the usual columns."""
    if for_all:
        _require_project_owner(by, project)
        if view and not view.shared:
            raise ViewRefused("Share the view first: others cannot see it.")
    person = None if for_all else by
    FirstView.objects.filter(project=project, person=person).delete()
    if view:
        FirstView.objects.create(project=project, person=person, view=view)
    if for_all:
        audit.record(by=by, verb="run_view.first", subject=project, view=view.pk if view else None)


def _record(by: User, verb: str, view: RunView) -> None:
    # What one arranges for oneself is nobody's business; what is shared changes others' pages.
    if view.shared:
        audit.record(
            by=by, verb=verb, subject=view.project, view=view.pk, private={"name": view.name}
        )


def may_delete(*, user: User, view: RunView) -> bool:
    if view.owner_id == user.pk:
        return True
    return view.shared and view.project.is_owned_by(user)


def _require_owner(user: User, view: RunView) -> None:
    if not may_delete(user=user, view=view):
        raise ViewRefused(f"This view belongs to {view.owner.display_name}.")


def _require_member(user: User, project: Project) -> None:
    if not project.is_open_to(user):
        raise ViewRefused("Only members of the project can share views.")


def _require_project_owner(user: User, project: Project) -> None:
    if not project.is_owned_by(user):
        raise ViewRefused("Only an owner of the project chooses what everybody sees first.")

"""Layouts that people keep: their own as they left it, and named ones for all of the project."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from experiments.charts import panels
from experiments.charts.panels import BadLayout, Layout
from experiments.media.reading import Name
from experiments.models import ChartLayout, Project
from portal import audit
from portal.models import User

MOST_NAMED = 200


NOT_YOURS = "Only who saved it, or an owner of the project, can delete this layout."


NOT_SHARED = (
    "Only members of the project save a layout for everybody; your own stays as you left it."
)


class NotYours(PermissionError):
    """Only who saved a layout, an owner of the project and operators delete it."""

    code = "not_yours"


def keep(*, by: User, project: Project, content: Any) -> Layout:
    """Keep a person's own layout of a project as they left it; raise BadLayout."""
    layout = panels.checked(content)
    ChartLayout.objects.update_or_create(
        project=project, owner=by, name="", defaults=_values(layout)
    )
    return layout


def save(*, by: User, project: Project, name: str, content: Any) -> ChartLayout:
    """Save a layout under a name for all of the project, in place of one's own of that name. Who
    may only look keeps their own, as with views of the run table. Raises BadLayout."""
    if not project.is_open_to(by):
        raise BadLayout(NOT_SHARED)
    layout = panels.checked(content)
    if not name:
        raise BadLayout("Give the layout a name by which others find it.")
    with transaction.atomic():
        if project.chart_layouts.exclude(name="").count() >= MOST_NAMED:
            raise BadLayout(f"The project has {MOST_NAMED} layouts; delete one first.")
        saved, _ = ChartLayout.objects.update_or_create(
            project=project, owner=by, name=name, defaults=_values(layout)
        )
        audit.record(
            by=by, verb="charts.saved", subject=project, layout=saved.pk, private={"name": name}
        )
    return saved


def delete(*, by: User, layout: ChartLayout) -> None:
    """Delete a named layout; raise NotYours."""
    if not may_delete(user=by, layout=layout):
        raise NotYours(NOT_YOURS)
    with transaction.atomic():
        audit.record(
            by=by,
            verb="charts.deleted",
            subject=layout.project,
            layout=layout.pk,
            private={"name": layout.name},
        )
        layout.delete()


def reset(*, by: User, project: Project) -> None:
    """Forget a person's own layout, so that the page begins as for everybody."""
    ChartLayout.objects.filter(project=project, owner=by, name="").delete()


def own(
    *, user: User, project: Project, names: Sequence[str], media: Sequence[Name] = ()
) -> Layout:
    """Return the layout as the person left it, or a panel for each of these metrics and media."""
    row = ChartLayout.objects.filter(project=project, owner=user, name="").first()
    return content_of(row, names, media) if row else panels.default(names, media)


def content_of(row: ChartLayout, names: Sequence[str], media: Sequence[Name] = ()) -> Layout:
    """Return a kept layout; what this version cannot read any more gives way to the default."""
    try:
        return panels.checked(row.content)
    except BadLayout:
        return panels.default(names, media)


def may_delete(*, user: User, layout: ChartLayout) -> bool:
    return layout.owner_id == user.pk or layout.project.is_owned_by(user)


def _values(layout: Layout) -> dict[str, Any]:
    content = layout.model_dump(mode="json", exclude_defaults=True) | {"version": panels.VERSION}
    return {"content": content, "changed_at": timezone.now()}

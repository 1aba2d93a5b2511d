"""Alerts over HTTP: what a running program says, and what the people of a project read."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.http import HttpRequest
from ninja import Path, Router, Schema
from ninja.errors import HttpError

from backline import wire
from experiments import access
from experiments.alerts import alerts
from experiments.deliveries import late
from experiments.models import Alert, Project
from experiments.models.sessions import NAME_MAX
from portal.inputs.schemas import Limit, Offset, RowNumber, Words

router = Router(tags=["alerts"])

Slug = Annotated[str, Path(max_length=50)]


class AlertBody(Schema):
    id: int
    run: UUID
    run_number: int
    level: str
    title: str
    text: str
    source: str
    rule: int | None
    at: datetime

    @staticmethod
    def resolve_run(alert: Alert) -> UUID:
        return alert.run_id

    @staticmethod
    def resolve_run_number(alert: Alert) -> int:
        return alert.run.number

    @staticmethod
    def resolve_rule(alert: Alert) -> int | None:
        return alert.rule_id


class AlertPage(Schema):
    count: int
    items: list[AlertBody]


@router.post("/runs/{uuid:run_id}/alerts", response=wire.Received)
def add_alert(
    request: HttpRequest, run_id: UUID, alert: wire.Alert, session: Words, number: RowNumber
) -> wire.Received:
    """What the program wants its people to look at; the same number of a session counts once."""
    run = access.writable(request, run_id)
    if not session:
        raise HttpError(422, f"A session has a name of 1 to {NAME_MAX} characters.")
    try:
        late.admit(run, token=access.run_token(request), session=session, numbered=True)
        new = alerts.raise_by_program(run, alert, session=session, number=number)
    except late.BadSession as error:
        raise HttpError(422, str(error)) from error
    except (late.Ended, alerts.TooMany) as error:
        raise HttpError(409, str(error)) from error
    return wire.Received(duplicate=not new)


@router.get("/projects/{slug:slug}/alerts", response=AlertPage)
def project_alerts(
    request: HttpRequest, slug: Slug, limit: Limit = 50, offset: Offset = 0
) -> dict[str, object]:
    """The alerts of a project, newest first."""
    user = access.person(request)
    project = Project.objects.visible_to(user).filter(slug=slug).first()
    if project is None:
        raise HttpError(404, "There is no such project, or it is not yours to see.")
    rows = Alert.objects.visible_to(user).filter(project=project).select_related("run")
    return {"count": rows.count(), "items": list(rows[offset : offset + limit])}

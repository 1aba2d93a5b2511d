"""Who is calling the API, and which runs they reach. What is not theirs is not there: 404."""

from typing import cast
from uuid import UUID

from django.http import HttpRequest
from ninja.errors import HttpError

from experiments.models import Membership, Run
from portal.models import ApiToken, User

RUNS = Run.objects.select_related("project", "dataset", "submitted_by")


def caller(request: HttpRequest) -> ApiToken | User:
    return cast("ApiToken | User", request.auth)  # type: ignore[attr-defined]


def run_token(request: HttpRequest) -> ApiToken | None:
    """The token of a single run, if that is what the caller holds."""
    auth = caller(request)
    return auth if isinstance(auth, ApiToken) and auth.scope != "api" else None


def person(request: HttpRequest) -> User:
    """The person who calls; 403 for the token of a run, which speaks for that run only."""
    auth = caller(request)
    if run_token(request) is not None:
        raise HttpError(403, "This token is good for its own run only.")
    return auth.user if isinstance(auth, ApiToken) else auth


def readable(request: HttpRequest, run_id: UUID) -> Run:
    token = run_token(request)
    if token is not None:
        return _own(token, run_id)
    return _found(RUNS.visible_to(person(request)).filter(pk=run_id).first())


def writable(request: HttpRequest, run_id: UUID) -> Run:
    """The run that this caller may deliver to: the run itself, or a member of its project."""
    token = run_token(request)
    if token is not None:
        return _own(token, run_id)
    return _found(
        RUNS.filter(
            pk=run_id,
            project__memberships__user=person(request),
            project__memberships__level__in=(Membership.Level.MEMBER, Membership.Level.OWNER),
        ).first()
    )


def _own(token: ApiToken, run_id: UUID) -> Run:
    if token.scope != f"run:{run_id}":
        raise HttpError(403, "This token is another run's.")
    return _found(RUNS.filter(pk=run_id).first())


def _found(run: Run | None) -> Run:
    if run is None:
        raise HttpError(404, "There is no such run, or it is not yours to see.")
    return run

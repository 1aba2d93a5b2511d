"""Who is calling the API, and which runs they reach: 404 for a run that is not theirs to see."""

from typing import cast
from uuid import UUID

from django.http import HttpRequest
from ninja.errors import HttpError

from experiments.models import Membership, Run
from portal.models import ApiToken, User

RUNS = Run.objects.filter(deleted_at=None).select_related("project", "dataset", "submitted_by")


def caller(request: HttpRequest) -> ApiToken | User:
    return cast("ApiToken | User", request.auth)  # type: ignore[attr-defined]


def run_token(request: HttpRequest) -> ApiToken | None:
    """Return the token of a single run, if that is what the caller uses."""
    auth = caller(request)
    return auth if isinstance(auth, ApiToken) and auth.scope != "api" else None


def person(request: HttpRequest) -> User:
    """Return the person who calls; 403 for the token of a run, which is good for that run only."""
    auth = caller(request)
    if run_token(request) is not None:
        raise HttpError(403, "This token is good for its own run only.")
    return auth.user if isinstance(auth, ApiToken) else auth


def readable(request: HttpRequest, run_id: UUID) -> Run:
    token = run_token(request)
    if token is not None:
        return _run_of_token(token, run_id)
    return _or_404(RUNS.visible_to(person(request)).filter(pk=run_id).first())


def writable(request: HttpRequest, run_id: UUID) -> Run:
    """Return the run, if the caller may deliver to it: by its token, or as a project member."""
    token = run_token(request)
    if token is not None:
        return _run_of_token(token, run_id)
    return _or_404(
        RUNS.filter(
            pk=run_id,
            project__memberships__user=person(request),
            project__memberships__level__in=(Membership.Level.MEMBER, Membership.Level.OWNER),
        ).first()
    )


def _run_of_token(token: ApiToken, run_id: UUID) -> Run:
    if token.scope != f"run:{run_id}":
        raise HttpError(403, "This token is another run's.")
    return _or_404(RUNS.filter(pk=run_id).first())


def _or_404(run: Run | None) -> Run:
    if run is None:
        raise HttpError(404, "There is no such run, or it is not yours to see.")
    return run

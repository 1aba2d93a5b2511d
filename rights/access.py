"""Who may open which page. For everybody else the page does not exist: 404, never 403."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.core.paginator import Page, Paginator
from django.db import models
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from portal.inputs import parameters
from portal.models import Role
from portal.views import signed_in

View = Callable[..., HttpResponseBase]
M = TypeVar("M", bound=models.Model)

READERS = (Role.RIGHTS_ADMIN, Role.RESEARCHER, Role.OPERATOR)
# For agreements, grants and mandates; a rightsholder sees their own.
LOOKERS = (Role.RIGHTS_ADMIN, Role.OPERATOR, Role.RIGHTSHOLDER)
PAGE_SIZE = 25


def open_to(*roles: Role) -> Callable[[View], View]:
    """Let only people with one of these roles open the view."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not signed_in(request).has_role(*roles):
                raise Http404
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def is_admin(request: HttpRequest) -> bool:
    return signed_in(request).has_role(Role.RIGHTS_ADMIN)


def page_of(request: HttpRequest, rows: models.QuerySet[M], *, size: int = PAGE_SIZE) -> Page[M]:
    """Return the page that ?page= names; a number out of range gives the nearest page."""
    return Paginator(rows, size).get_page(parameters.read_parameters(request).page())

"""The lab's pages are not for rightsholders: for each that concerns them they have their own page,
which shows nothing of anybody else."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db.models import Model
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from portal.models import Role
from portal.views import signed_in
from rights.access import READERS

View = Callable[..., HttpResponseBase]


def lab_page(
    view: View, redirect_to: str, model: type[Model] | None = None, *, keep_pk: bool = True
) -> View:
    """Wrap a view for people of the lab: a user who is only a rightsholder is redirected to the
    page named `redirect_to`, and has to act there. `model` is that of the row that `pk` in the URL
    names, which has to be visible to them. `keep_pk`: the other URL has the same `pk` in it."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = signed_in(request)
        if user.has_role(*READERS):
            return view(request, *args, **kwargs)
        if not user.has_role(Role.RIGHTSHOLDER) or request.method not in {"GET", "HEAD"}:
            raise Http404
        if model is not None:
            manager: Any = model._default_manager
            if not manager.visible_to(user).filter(pk=kwargs["pk"]).exists():
                raise Http404
        return (
            redirect(redirect_to, **kwargs)
            if keep_pk and model is not None
            else redirect(redirect_to)
        )

    return guarded

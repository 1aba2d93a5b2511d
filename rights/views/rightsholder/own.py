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


def lab_page(view: View, instead: str, of: type[Model] | None = None, *, keep: bool = True) -> View:
    """Wrap a view for people of the lab: a user who is only a rightsholder is redirected to the
    page named `instead`, and has to act there. `of` is the model of the row that `pk` in the URL
    names, which has to be visible to them. `keep`: the other URL has the same `pk` in it."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = signed_in(request)
        if user.has_role(*READERS):
            return view(request, *args, **kwargs)
        if not user.has_role(Role.RIGHTSHOLDER) or request.method not in {"GET", "HEAD"}:
            raise Http404
        if of is not None:
            manager: Any = of._default_manager
            if not manager.visible_to(user).filter(pk=kwargs["pk"]).exists():
                raise Http404
        return redirect(instead, **kwargs) if keep and of is not None else redirect(instead)

    return guarded

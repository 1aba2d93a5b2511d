"""Access to project pages: who may view them, and who may change things."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render

from experiments.models import Project
from portal.models import User
from portal.views import signed_in

View = Callable[..., HttpResponseBase]
MAY_ONLY_LOOK = (
    "You may look and listen in this project, but not start or change anything. "
    "An owner of the project can make you a member."
)


def may_act(*, user: User, project: Project) -> bool:
    """Return whether the user may act: members and owners may, viewers not; operators always."""
    return project.is_open_to(user)


def requires_view(view: View) -> View:
    """Call the view with the project in place of its slug; 404 unless the person may see it."""

    @wraps(view)
    def guarded(request: HttpRequest, slug: str, **kwargs: Any) -> HttpResponseBase:
        visible = Project.objects.visible_to(signed_in(request))
        return view(request, get_object_or_404(visible, slug=slug), **kwargs)

    return guarded


def requires_member(view: View) -> View:
    """Like `requires_view`, but answer 403 with a sentence to a person who may only look."""

    @wraps(view)
    def guarded(request: HttpRequest, project: Project, **kwargs: Any) -> HttpResponseBase:
        if may_act(user=signed_in(request), project=project):
            return view(request, project, **kwargs)
        context = {"project": project, "sentence": MAY_ONLY_LOOK}
        return render(request, "experiments/refused.html", context, status=403)

    return requires_view(guarded)

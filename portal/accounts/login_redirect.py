"""What somebody meets whose session has ended while a page was open: nothing they typed is lost."""

from collections.abc import Callable

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

SECRET = ("password", "csrfmiddlewaretoken")
MOST_FIELDS = 500


class KeepWhatWasTyped(LoginRequiredMiddleware):
    """Pages lead to the log-in. A script of a page gets 401, for the log-in page is no answer to
    it; a form that was sent gets a page that holds its fields and sends them again."""

    # The stubs know the redirect alone.
    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseBase:
        by_script = (
            "HX-Request" in request.headers
            or request.headers.get("Sec-Fetch-Dest") == "empty"
            or request.headers.get("Accept") == "application/json"
        )
        if by_script:
            return HttpResponse("You are logged out.", status=401, content_type="text/plain")
        if request.method == "POST" and request.POST:
            return render(request, "401.html", {"typed": _typed(request)}, status=401)
        return super().handle_no_permission(request, view_func)


def _typed(request: HttpRequest) -> list[tuple[str, str]]:
    """What was sent, but for passwords and files."""
    return [
        (name, value)
        for name, values in request.POST.lists()
        if not any(word in name.lower() for word in SECRET)
        for value in values
        if isinstance(value, str)
    ][:MOST_FIELDS]

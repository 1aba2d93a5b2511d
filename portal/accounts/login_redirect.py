"""The answer when a session has ended while a page was open: nothing that was typed is lost."""

from collections.abc import Callable

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

SECRET = ("password", "csrfmiddlewaretoken")
MOST_FIELDS = 500


class KeepWhatWasTyped(LoginRequiredMiddleware):
    """Redirects pages to the log-in. A page's script gets 401, as it cannot use the log-in page; a
    posted form gets a page that holds its fields and posts them again."""

    # The stubs know only the redirect.
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
    """Return the posted fields without passwords and files."""
    return [
        (name, value)
        for name, values in request.POST.lists()
        if not any(word in name.lower() for word in SECRET)
        for value in values
        if isinstance(value, str)
    ][:MOST_FIELDS]

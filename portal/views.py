"""The home page by role, the user's own profile and tokens, and the health page."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import audit, confirmation, health, tokens
from portal.http.context_processors import THEMES
from portal.inputs import markdown, parameters
from portal.inputs.forms import ProfileForm, TokenForm
from portal.models import ApiToken, Role, User

# What each role's home page shows: a heading and the URL name of a fragment that an app provides.
# A fragment that does not exist yet is left out.
HOME: tuple[tuple[Role, str, str], ...] = (
    (Role.RIGHTS_ADMIN, "Rights: review queue", "rights:home_fragment"),
    (Role.RIGHTSHOLDER, "My music", "rights:mine_fragment"),
    (Role.RESEARCHER, "My runs", "experiments:home_fragment"),
    (Role.RESEARCHER, "New for me", "inbox_home"),
    (Role.RESEARCHER, "Newest samples", "audio_samples:home_fragment"),
    (Role.LISTENER, "Listening tests open to me", "listening:home_fragment"),
)


def signed_in(request: HttpRequest) -> User:
    """Return the logged-in user; LoginRequiredMiddleware has turned everybody else away."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    parts = []
    for role, heading, name in HOME:
        if user.has_role(role):
            try:
                parts.append({"heading": heading, "url": reverse(name)})
            except NoReverseMatch:
                continue
    context: dict[str, object] = {"parts": parts}
    if user.has_role(Role.OPERATOR):
        context["health_url"] = reverse("health")
    return render(request, "portal/home.html", context)


@login_not_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Set the theme: light, dark or the system's; in a cookie, so that no page flashes."""
    posted = parameters.posted_parameters(request)
    chosen, back = posted.text("theme", "auto"), posted.text("next", "/", longest=2_000)
    if not back.startswith("/") or not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = "/"
    response = HttpResponseRedirect(back)
    if chosen in dict(THEMES):
        response.set_cookie("theme", chosen, max_age=365 * 86_400, samesite="Lax")
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=user.pk))
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            audit.record(by=user, verb="profile.changed", subject=user, fields=form.changed_data)
        messages.success(request, "Saved.")
        return redirect("profile")
    roles = [Role(role).label for role in user.roles]
    return render(request, "portal/profile.html", {"form": form, "roles": roles})


@require_safe
def tokens_page(request: HttpRequest) -> HttpResponse:
    return _tokens(request, TokenForm())


@never_cache
@require_POST
def token_new(request: HttpRequest) -> HttpResponse:
    """Make a token and show its secret, this once."""
    user, form = signed_in(request), TokenForm(request.POST)
    if not form.is_valid():
        return _tokens(request, form, status=422)
    _, secret = tokens.issue(
        user, form.cleaned_data["label"], expires_at=form.expires_at(), by=user
    )
    return _tokens(request, TokenForm(), secret=secret)


@require_http_methods(["GET", "HEAD", "POST"])
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """GET names the token and says what stops; POST revokes it for good."""
    user = signed_in(request)
    token = get_object_or_404(user.tokens, pk=pk)
    name, facts = f"token.revoke:{pk}", [token.prefix, token.label]
    error = ""
    if request.method == "POST":
        try:
            confirmation.check(confirmation.posted(request), by=user, name=name, facts=facts)
        except confirmation.PreviewChanged as refusal:
            error = str(refusal)
        else:
            if tokens.revoke(token, by=user):
                messages.success(request, f"“{token.label}” no longer works.")
            return redirect("tokens")
    context = {
        "heading": f"Revoke “{token.label}”",
        "words": f"Scripts that use {token.prefix}… stop working at once.",
        "button": f"Revoke {token.label}",
        "back": reverse("tokens"),
        "shown": {"seal": confirmation.seal(by=user, name=name, facts=facts)},
        "error": error,
    }
    return render(request, "portal/confirm.html", context, status=409 if error else 200)


def _tokens(
    request: HttpRequest, form: TokenForm, *, secret: str = "", status: int = 200
) -> HttpResponse:
    # Tokens of single runs come and go by the hundred; they are the system's, not the person's.
    mine = ApiToken.objects.filter(user=signed_in(request), scope="api").order_by("-created_at")
    context = {
        "tokens": mine.usable(),
        "ended": mine.exclude(pk__in=mine.usable()).count(),
        "form": form,
        "secret": secret,
        "portal_url": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "portal/tokens.html", context, status=status)


@require_POST
def markdown_preview(request: HttpRequest) -> HttpResponse:
    """Return what somebody is writing as it will look: the one text that is sent, by any name."""
    signed_in(request)
    typed = parameters.posted_parameters(request).words(longest=markdown.LONGEST)
    texts = [text for name, text in typed if name != "csrfmiddlewaretoken"]
    return HttpResponse(markdown.render("".join(texts[:1])))


@require_safe
def health_page(request: HttpRequest) -> HttpResponse:
    if not signed_in(request).has_role(Role.OPERATOR):
        raise PermissionDenied
    checks = health.checks()
    fragment = request.headers.get("HX-Request") == "true"
    template = "portal/health.html" + ("#checks" if fragment else "")
    return render(request, template, {"checks": checks, "good": all(c.good for c in checks)})


@login_not_required
@require_safe
def alive(_request: HttpRequest) -> HttpResponse:
    """Tell the supervisor and probes that the process answers and reaches its database."""
    check = health.database()
    return HttpResponse(
        check.sentence, content_type="text/plain", status=200 if check.good else 503
    )

"""What every page's frame needs: the theme, and the links open to this person's roles."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from portal.http import bell
from portal.models import Role, User

THEMES = (("auto", "System"), ("light", "Light"), ("dark", "Dark"))

# Label, URL name, and the roles that use the page. Apps are named by URL name only: this module
# imports none of them, and an app that is not installed has no link.
PLACES: tuple[tuple[str, str, tuple[Role, ...]], ...] = (
    ("Projects", "experiments:projects", (Role.RESEARCHER, Role.OPERATOR)),
    ("Samples", "audio_samples:home", (Role.RESEARCHER,)),
    ("Rights", "rights:home", (Role.RIGHTS_ADMIN, Role.RESEARCHER, Role.OPERATOR)),
    ("My music", "rights:mine", (Role.RIGHTSHOLDER,)),
    ("Listening", "listening:open", (Role.LISTENER, Role.RESEARCHER)),
)


@dataclass(frozen=True)
class NavPlace:
    words: str
    url: str
    current: bool


def navigation(user: User, path: str) -> list[NavPlace]:
    """Return the links of the top bar. The longest URL that begins the path is the current one."""
    links = []
    for label, name, roles in PLACES:
        if user.has_role(*roles):
            try:
                links.append((label, reverse(name)))
            except NoReverseMatch:
                continue
    current = max((url for _, url in links if path.startswith(url)), key=len, default="")
    return [NavPlace(label, url, url == current) for label, url in links]


def shell(request: HttpRequest) -> dict[str, object]:
    theme = request.COOKIES.get("theme", "auto")
    context: dict[str, object] = {
        "theme": theme if theme in dict(THEMES) else "auto",
        "themes": THEMES,
    }
    user = getattr(request, "user", None)
    if isinstance(user, User):
        context["navigation"] = navigation(user, request.path)
        context["role_words"] = ", ".join(str(Role(role).label) for role in user.roles)
        # Counted where a template asks for it: a fragment has no frame.
        context["unread"] = lambda: bell.unread(user)
        context["is_operator"] = user.has_role(Role.OPERATOR)
    return context

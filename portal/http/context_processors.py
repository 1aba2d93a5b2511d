"""What every page's frame needs: the theme, and the places open to this person's roles."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from portal.models import Role, User

THEMES = (("auto", "System"), ("light", "Light"), ("dark", "Dark"))

# Words, address, and the roles that have business there. Rooms are named by address alone:
# the shell imports none of them, and one that is not installed has no link.
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
    """The links of the top bar. The longest address that begins the path is the current one."""
    found = []
    for words, name, roles in PLACES:
        if user.has_role(*roles):
            try:
                found.append((words, reverse(name)))
            except NoReverseMatch:
                continue
    here = max((url for _, url in found if path.startswith(url)), key=len, default="")
    return [NavPlace(words, url, url == here) for words, url in found]


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
        context["is_operator"] = user.has_role(Role.OPERATOR)
    return context

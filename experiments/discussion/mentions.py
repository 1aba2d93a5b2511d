"""Who is named in a comment: @username, outside of code, of people who may see its project.

Nobody else is told, and the writer reads which names told nobody. For a name that does not exist
and for one that may not see the project the sentence is the same: a comment is no way to find out
who has an account.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Q

from experiments.inbox import notices
from experiments.models import Project
from portal.models import User

# Names that one comment may tell.
MOST = 20
SUGGESTED = 8
CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`", re.DOTALL)
NAME = re.compile(r"(?<![\w@/.+-])@([\w][\w@.+-]{0,149})")


@dataclass
class Mentions:
    """Whom a text names: people who are told, and names that told nobody."""

    users: list[User] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """What the writer reads of those who are not told."""
        if not self.unknown:
            return ""
        names = ", ".join(f"@{name}" for name in self.unknown)
        return f"Not told: {names}. Nobody of that name may see this project."


def names_in(text: str) -> list[str]:
    """Return the names that a text mentions, each once, as they were typed."""
    found: dict[str, str] = {}
    for match in NAME.finditer(CODE.sub(" ", text)):
        # A full stop after a name ends the sentence; names themselves end otherwise.
        name = match[1].rstrip(".-+@")
        found.setdefault(name.lower(), name)
    return list(found.values())[:MOST]


def find(text: str, project: Project) -> Mentions:
    """Return whom the text names among those who may see the project."""
    names = names_in(text)
    if not names:
        return Mentions()
    wanted = Q(pk__in=[])
    for name in names:
        wanted |= Q(username__iexact=name)
    people = User.objects.filter(wanted, is_active=True)
    visible = {user.username.lower(): user for user in notices.who_may_see(project, people)}
    return Mentions(
        users=[visible[name.lower()] for name in names if name.lower() in visible],
        unknown=[name for name in names if name.lower() not in visible],
    )


def suggest(project: Project, text: str) -> list[User]:
    """Return members of the project whose user name or name begins with the text."""
    members = User.objects.filter(memberships__project=project, is_active=True)
    if text:
        begins = Q(username__istartswith=text) | Q(first_name__istartswith=text)
        members = members.filter(begins | Q(last_name__istartswith=text))
    return list(members.order_by("username").distinct()[:SUGGESTED])


def people(project: Project) -> Iterable[User]:
    """Return everybody whom a comment in the project can name, by user name."""
    return User.objects.filter(memberships__project=project, is_active=True).order_by("username")

"""Withdrawal cases on other apps' pages: how many are open, which are due, what is affected."""

from django import template
from django.template.context import Context

from portal.models import User
from rights.models import WithdrawalCase
from rights.withdrawal import case_pages, descendants

register = template.Library()


@register.simple_tag(takes_context=True)
def open_cases(context: Context) -> int:
    """Return how many open cases this person may see."""
    user = context.get("user")
    return case_pages.open_count(user) if isinstance(user, User) else 0


@register.simple_tag(takes_context=True)
def cases_to_see_to(context: Context) -> list[WithdrawalCase]:
    """Return the open cases that are due soonest."""
    user = context.get("user")
    return list(case_pages.visible_cases(user)[:8]) if isinstance(user, User) else []


@register.filter
def shown_to(level: descendants.Level, user: User) -> case_pages.VisibleLevel:
    """Return a level of a preview as this person may see it."""
    return case_pages.of_level(level, user)


@register.filter
def runs_the_rights(user: User) -> bool:
    return isinstance(user, User) and case_pages.sees_all_cases(user)

"""What is wrong with a form, for the list above its fields (portal/errors.html)."""

from django import template
from django.forms import BaseForm
from django.template import Context

from portal.inputs import problems as of_forms
from portal.inputs.problems import Problem

register = template.Library()


@register.filter
def problems(form: BaseForm | None) -> list[Problem]:
    """Return what is wrong with the form; of a page that has none, nothing."""
    return of_forms.of_form(form) if form else []


@register.simple_tag(takes_context=True)
def title_mark(context: Context) -> str:
    """Return what stands before the title of a page that says what is wrong: heard first, and seen
    in the tab."""
    return "Error: " if of_forms.of_page(context.flatten().values()) else ""

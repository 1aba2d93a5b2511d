"""Labels of the import pages."""

from django import template

from rights.exchange.importing.columns import FIELDS

register = template.Library()

WORDS = {field.name: field.words for field in FIELDS}


@register.filter
def column_words(name: str) -> str:
    """Return the label that the page of columns gives the field."""
    return WORDS.get(name, name.replace("_", " ").capitalize()) or "\N{EN DASH}"

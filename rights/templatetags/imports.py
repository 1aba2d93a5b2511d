"""Words of the import pages."""

from django import template

from rights.exchange.importing.columns import FIELDS

register = template.Library()

WORDS = {field.name: field.words for field in FIELDS}


@register.filter
def column_words(name: str) -> str:
    """A field by the name that the page of columns gives it."""
    return WORDS.get(name, name.replace("_", " ").capitalize()) or "\N{EN DASH}"

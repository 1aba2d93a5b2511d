"""How tags lead to the runs that have them."""

from urllib.parse import quote_plus

from django import template

register = template.Library()


@register.filter
def tag_query(tag: str) -> str:
    """Return the query of runs with this tag, for an address: a tag has no quotation mark in it."""
    return quote_plus(f'tag:"{tag}"')

"""Markdown in templates: <div class="prose">{{ run.notes|markdown }}</div>."""

from django import template
from django.utils.safestring import SafeString

from portal.inputs import markdown as renderer

register = template.Library()


@register.filter
def markdown(text: str) -> SafeString:
    return renderer.render(text)

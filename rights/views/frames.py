"""The page that most rights acts need: a form, what it does in words, and a link back."""

from collections.abc import Mapping
from types import MappingProxyType

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from rights.forms import VerbForm
from rights.views import confirming


def form_page(
    request: HttpRequest,
    form: VerbForm,
    *,
    heading: str,
    button: str,
    back: str,
    words: str = "",
    context: Mapping[str, object] = MappingProxyType({}),
) -> HttpResponse:
    """Render the form. `back` is a URL; `words` say what the act does; `context` is for an act
    that is confirmed (confirming.act_page)."""
    frame = {"form": form, "heading": heading, "button": button, "back": back, "words": words}
    return render(
        request, "rights/form.html", frame | dict(context), status=confirming.status(form)
    )

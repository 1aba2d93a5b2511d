"""The page that most acts of this room need: a form, what it does in words, and a way back."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from rights.forms import VerbForm


def form_page(
    request: HttpRequest,
    form: VerbForm,
    *,
    heading: str,
    button: str,
    back: str,
    words: str = "",
    danger: bool = False,
) -> HttpResponse:
    """`back` is an address; `words` say what the act does; `danger` marks one without return."""
    context = {"form": form, "heading": heading, "button": button, "back": back}
    return render(request, "rights/form.html", context | {"words": words, "danger": danger})

"""Pages that ask once more before something is gone for good (portal/confirmation.py)."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from experiments.models import Project
from portal import confirmation
from portal.views import signed_in


@dataclass(frozen=True)
class Question:
    """What the page says. `facts` is what the person saw: when it changes, they are asked anew."""

    name: str
    facts: Sequence[object]
    heading: str
    words: str
    button: str
    back: str


def ask(request: HttpRequest, project: Project, question: Question) -> HttpResponse | None:
    """Return the page with the question; None once the person has said yes to what it showed."""
    by, facts, error = signed_in(request), list(question.facts), ""
    if request.method == "POST":
        try:
            confirmation.check(confirmation.posted(request), by=by, name=question.name, facts=facts)
        except confirmation.PreviewChanged as refusal:
            error = str(refusal)
        else:
            return None
    context = {
        "project": project,
        "heading": question.heading,
        "words": question.words,
        "button": question.button,
        "back": question.back,
        "shown": {"seal": confirmation.seal(by=by, name=question.name, facts=facts)},
        "error": error,
    }
    return render(request, "portal/confirm.html", context, status=409 if error else 200)

"""A rights admin's answer to what waits for it: a flag, a near copy."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest

from portal import confirmation
from portal.confirmation import as_shown
from portal.views import signed_in
from rights.forms.base import VerbForm


def answer(
    request: HttpRequest,
    form: VerbForm,
    row: object,
    *,
    name: str,
    facts: Callable[[], list[object]],
    verb: Callable[..., object],
    words: str,
) -> bool:
    """Answer what was shown, with a note; return whether it worked, else the form says why not.

    `facts` are what the answer depends on, under the `name` by which the page was sealed.
    """
    if form.is_valid():
        user, seal = signed_in(request), confirmation.posted(request)
        with form.refusals(), as_shown(seal, by=user, name=name, facts=facts):
            verb(row, by=user, note=form.cleaned_data["note"])
            messages.success(request, words)
            return True
    return False

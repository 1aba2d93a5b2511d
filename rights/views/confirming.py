"""Pages of acts that cannot be undone: done where what is posted is what was shown, and shown anew
where it is not, with all that was typed still there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from django.http import HttpRequest

from portal import confirmation
from portal.confirmation import Act
from rights import acts
from rights.errors import Refused
from rights.forms import VerbForm

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class ActDone(Generic[T]):
    """That an act was done, with what its verb returned."""

    result: T


def done(
    request: HttpRequest, form: VerbForm, act: Callable[[dict[str, Any]], Act[S, T]]
) -> ActDone[T] | None:
    """Do the act that is made of what the form holds. None where it was not done: the form has
    the reason then."""
    if form.is_valid():
        with form.refusals():
            return ActDone(
                confirmation.perform(act(form.cleaned_data), confirmation.posted(request))
            )
    return None


def done_or_shown(
    request: HttpRequest,
    form: VerbForm,
    act: Callable[[dict[str, Any]], Act[S, T]],
    *,
    always: bool = False,
) -> tuple[ActDone[T] | None, dict[str, object]]:
    """For a form of which only what is typed tells what it does: what it ends is shown first,
    with a button of its own; what ends nothing is done at once, unless it is `always` shown."""
    if not form.is_valid():
        return None, {}
    with form.refusals():
        found = confirmation.rehearse(act(form.cleaned_data))
        ends = acts.describe_endings(found.lines)
        look = always or ends.anything
        seal = confirmation.posted(request) or ("" if look else found.seal)
        if seal:
            with form.refusals():
                return ActDone(confirmation.perform(act(form.cleaned_data), seal)), {}
        return None, {"shown": found, "ends": ends}
    return None, {}


class ActPage(NamedTuple, Generic[S]):
    """What a page tells of an act, None where it cannot be done; and the context of the page."""

    seen: S | None
    context: dict[str, object]


def act_page(act: Act[S, T]) -> ActPage[S]:
    """What the act's page tells of it, and the page's context: the seal and what would end, or the
    sentence why it cannot be done. What cannot be done is not offered."""
    try:
        found = confirmation.rehearse(act)
    except Refused as error:
        return ActPage(None, {"cannot": str(error)})
    return ActPage(found.seen, {"shown": found, "ends": acts.describe_endings(found.lines)})


def status(form: VerbForm) -> int:
    """409 where the page had changed, 422 where something is missing, else 200."""
    if not form.is_bound or not form.errors:
        return 200
    found = form.errors.as_data().get("__all__", [])
    return 409 if any(error.code == "changed" for error in found) else 422

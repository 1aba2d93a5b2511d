"""Pages of acts that cannot be undone: an act is done if it still does what the page showed; if
not, the page is shown again, with everything that was typed still there."""

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
    """An act that was done, with what its verb returned."""

    result: T


def perform_if_valid(
    request: HttpRequest, form: VerbForm, act: Callable[[dict[str, Any]], Act[S, T]]
) -> ActDone[T] | None:
    """Do the act that `act` makes of the form's data. Return None if it was not done; the form
    then has the reason."""
    if form.is_valid():
        with form.refusals():
            return ActDone(
                confirmation.perform(act(form.cleaned_data), confirmation.posted(request))
            )
    return None


def perform_or_preview(
    request: HttpRequest,
    form: VerbForm,
    act: Callable[[dict[str, Any]], Act[S, T]],
    *,
    always: bool = False,
) -> tuple[ActDone[T] | None, dict[str, object]]:
    """Handle a form whose effect depends on what is typed: an act that ends something is shown
    first, with a button of its own; one that ends nothing is done at once, unless `always`."""
    if not form.is_valid():
        return None, {}
    with form.refusals():
        preview = confirmation.rehearse(act(form.cleaned_data))
        ends = acts.describe_endings(preview.lines)
        must_show = always or ends.anything
        seal = confirmation.posted(request) or ("" if must_show else preview.seal)
        if seal:
            with form.refusals():
                return ActDone(confirmation.perform(act(form.cleaned_data), seal)), {}
        return None, {"shown": preview, "ends": ends}
    return None, {}


class ActPage(NamedTuple, Generic[S]):
    """What a page shows of an act (None if it cannot be done), and the context of the page."""

    preview: S | None
    context: dict[str, object]


def act_page(act: Act[S, T]) -> ActPage[S]:
    """Return what the act's page shows, and its context: the seal and what would end, or why the
    act cannot be done. An act that cannot be done is not offered."""
    try:
        preview = confirmation.rehearse(act)
    except Refused as error:
        return ActPage(None, {"cannot": str(error)})
    return ActPage(
        preview.content, {"shown": preview, "ends": acts.describe_endings(preview.lines)}
    )


def status(form: VerbForm) -> int:
    """Return 409 if what the page showed has changed, 422 if something is missing, else 200."""
    if not form.is_bound or not form.errors:
        return 200
    errors = form.errors.as_data().get("__all__", [])
    return 409 if any(error.code == "changed" for error in errors) else 422

"""Pages of what is allowed and why, at any moment; and of stored decisions and their replay."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from portal.inputs import parameters
from portal.views import signed_in
from rights.access import READERS, is_admin, open_to, page_of
from rights.consent import consent
from rights.consent import decisions as kept
from rights.forms import WhyForm
from rights.grants import choices
from rights.models import Decision, Grant, Purpose, Recording, Use
from rights.models.vocabulary import use_choices


@require_safe
def why(request: HttpRequest, pk: int) -> HttpResponse:
    """Explain whether and by whom a use is allowed, for any scope and moment. Stores nothing."""
    user = signed_in(request)
    row = get_object_or_404(Recording.objects.visible_to(user), pk=pk)
    form = WhyForm(parameters.read_parameters(request).everything())
    context: dict[str, object] = {"recording": row, "form": form, "is_admin": is_admin(request)}
    if form.is_valid():
        data = form.cleaned_data
        use, at, known_at = Use(data["use"]), data["at"], data["known_at"]
        names = ("territory", "model_family", "model_version", "product", "channel")
        scope = consent.Context(Purpose(data["purpose"]), **{name: data[name] for name in names})
        verdict = consent.evaluate([row], use, scope, at, known_at)
        line = verdict[row.pk]
        grants = Grant.objects.filter(pk__in=line.grant_ids).select_related("grantor", "agreement")
        history = Decision.objects.filter(lines__recording=row, use=use).order_by("-created_at")
        context |= {"line": line, "use": use, "grants": grants, "at": at, "known_at": known_at}
        context |= {"kept": history[:10], "counts": kept.counts(history[:10])}
        context["reads_all"] = user.has_role(*READERS)
        context["seen_grants"] = set(
            Grant.objects.visible_to(user)
            .filter(pk__in=line.grant_ids)
            .values_list("pk", flat=True)
        )
    return render(request, "rights/why.html", context)


@require_safe
@open_to(*READERS)
def decisions(request: HttpRequest) -> HttpResponse:
    """List decisions, newest first; `?use=`, `?answer=denied` and `?recording=` narrow the list."""
    params = parameters.read_parameters(request)
    filters = {name: params.text(name) for name in ("use", "answer", "recording")}
    page = page_of(request, choices.search_decisions(**filters))
    context = {"page": page, "asked": filters, "uses": use_choices()}
    context["counts"] = kept.counts(page.object_list)
    return render(request, "rights/decisions.html", context)


@require_safe
@open_to(*READERS)
def decision(request: HttpRequest, pk: int) -> HttpResponse:
    return _page(request, get_object_or_404(Decision, pk=pk))


@require_POST
@open_to(*READERS)
def decision_replay(request: HttpRequest, pk: int) -> HttpResponse:
    """Replay the decision from what was known then, and say whether the bytes are the same."""
    row = get_object_or_404(Decision, pk=pk)
    return _page(request, row, replay=kept.replay(row))


def _page(request: HttpRequest, row: Decision, replay: kept.Replay | None = None) -> HttpResponse:
    lines = row.lines.select_related("recording").order_by("pk")
    counts = {"all": lines.count(), "denied": lines.filter(allowed=False).count()}
    only_denied = parameters.read_parameters(request).text("only") == "denied"
    context = {
        "decision": row,
        "terms": kept.context_in_words(row),
        "page": page_of(request, lines.filter(allowed=False) if only_denied else lines),
        "counts": counts,
        "only_denied": only_denied,
        "replay": replay,
        "is_admin": is_admin(request),
    }
    return render(request, "rights/decision.html", context)

"""What is allowed and why, at any moment; and the decisions that were kept, made anew."""

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
    """For any use, scope and moment: allowed or denied, by whom, in sentences. Keeps nothing."""
    user = signed_in(request)
    row = get_object_or_404(Recording.objects.visible_to(user), pk=pk)
    form = WhyForm(parameters.read_parameters(request).everything())
    context: dict[str, object] = {"recording": row, "form": form, "is_admin": is_admin(request)}
    if form.is_valid():
        asked = form.cleaned_data
        use, at, known_at = Use(asked["use"]), asked["at"], asked["known_at"]
        names = ("territory", "model_family", "model_version", "product", "channel")
        scope = consent.Context(Purpose(asked["purpose"]), **{name: asked[name] for name in names})
        verdict = consent.evaluate([row], use, scope, at, known_at)
        line = verdict[row.pk]
        grants = Grant.objects.filter(pk__in=line.grant_ids).select_related("grantor", "agreement")
        decided = Decision.objects.filter(lines__recording=row, use=use).order_by("-created_at")
        context |= {"line": line, "use": use, "grants": grants, "at": at, "known_at": known_at}
        context |= {"kept": decided[:10], "counts": kept.counts(decided[:10])}
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
    """All that was decided, newest first; `?use=`, `?answer=denied` and `?recording=` narrow it."""
    query = parameters.read_parameters(request)
    asked = {name: query.text(name) for name in ("use", "answer", "recording")}
    page = page_of(request, choices.decided(**asked))
    context = {"page": page, "asked": asked, "uses": use_choices()}
    context["counts"] = kept.counts(page.object_list)
    return render(request, "rights/decisions.html", context)


@require_safe
@open_to(*READERS)
def decision(request: HttpRequest, pk: int) -> HttpResponse:
    return _page(request, get_object_or_404(Decision, pk=pk))


@require_POST
@open_to(*READERS)
def decision_replay(request: HttpRequest, pk: int) -> HttpResponse:
    """Make it anew from what was known then, and say whether the same bytes came out."""
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

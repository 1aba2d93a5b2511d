"""Pages of grants: draft, approve by a second person, suspend, change in versions, end for good."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import audit, confirmation
from portal.inputs import parameters
from portal.models import Role
from portal.views import signed_in
from rights import acts
from rights.access import LOOKERS, is_admin, open_to, page_of
from rights.acts import GrantVerb
from rights.consent import opt_outs
from rights.errors import Refused
from rights.forms import ChangeForm, GrantForm, ReasonForm, VerbForm
from rights.grants import choices, lifecycle, listing, terms
from rights.models import Agreement, Grant, Party, RightType, Use
from rights.models.vocabulary import use_choices
from rights.views import confirming
from rights.views.frames import form_page
from rights.withdrawal.impact import Effect

# How many opt-outs the page of a grant lists at most.
MAX_OPT_OUTS = 50
# More than other lists have: a party's are together, and the rights of a use are one line.
GRANTS_ON_A_PAGE = 100
ENDS_ANOTHER = (
    "It ends the version before it, for good. Open it, read what that ends, and put it in force "
    "there."
)


@require_safe
@open_to(*LOOKERS)
def grants(request: HttpRequest) -> HttpResponse:
    """List the grants by party: those in force or waiting, unless others are asked for."""
    visible = Grant.objects.visible_to(signed_in(request))
    params = parameters.read_parameters(request)
    status = params.choice("status", [code for code, _ in listing.CHOICES])
    use = params.choice("use", list(Use))
    right = params.choice("right", RightType.values)
    query = params.text("q")
    rows = listing.search(visible, query)
    if use:
        rows = rows.filter(use=use)
    if right:
        rows = rows.filter(right_type=right)
    # Links from a party's or an agreement's page.
    only: list[tuple[str, Party | Agreement]] = []
    if party := params.number("party"):
        rows = rows.filter(grantor=party)
        only += [("party", grant.grantor) for grant in visible.filter(grantor=party)[:1]]
    if agreement := params.number("agreement"):
        rows = rows.filter(agreement=agreement)
        only += [
            ("agreement", grant.agreement) for grant in visible.filter(agreement=agreement)[:1]
        ]
    shown = listing.with_status(rows, status)
    page = page_of(request, listing.in_order(shown), size=GRANTS_ON_A_PAGE)
    context = {
        "page": page,
        "groups": listing.by_party(page.object_list, shown),
        "ended": 0 if status else listing.with_status(rows, listing.ENDED).count(),
        "only": only,
        "filtered": bool(use or right or query or only),
        "status": status,
        "use": use,
        "right": right,
        "query": query,
        "statuses": listing.CHOICES,
        "uses": use_choices(),
        "rights": RightType.choices,
        "is_admin": is_admin(request),
    }
    return render(request, "rights/grants.html", context)


@require_safe
@open_to(*LOOKERS)
def grant(request: HttpRequest, pk: int) -> HttpResponse:
    row, user = _grant(request, pk), signed_in(request)
    opt_out_rows = opt_outs.keeping_out_of(row)
    context = {
        "grant": row,
        "terms": terms.in_words(row),
        "versions": terms.chain(row),
        "suspensions": row.suspensions.select_related("made_by").order_by("-since"),
        "opt_outs": opt_out_rows[:MAX_OPT_OUTS],
        "more_opt_outs": max(0, opt_out_rows.count() - MAX_OPT_OUTS),
        "history": audit.history(row)[:20],
        "may_approve": is_admin(request) and lifecycle.may_approve(row, user),
        "ends_another": acts.replaces_open(row),
        "speaks": lifecycle.may_act_on(row, user),
        "approvers": choices.approvers([row])[row.pk],
        "is_admin": is_admin(request),
    }
    return render(request, "rights/grant.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def grant_new(request: HttpRequest) -> HttpResponse:
    """`?agreement=` and `?recording=` fill in the form; `?like=` takes an earlier grant's terms."""
    initial: dict[str, object] = {
        **parameters.read_parameters(request).given("agreement", "recording")
    }
    if like := parameters.read_parameters(request).number("like"):
        initial |= _initial_from(_grant(request, like))
    form = GrantForm(request.POST or None, initial=initial)
    if form.is_valid():
        with form.refusals():
            drafts = form.save(by=signed_in(request))
            messages.success(
                request,
                f"{len(drafts)} offered. They permit nothing until somebody else puts them in "
                "force.",
            )
            return redirect(drafts[0].agreement)
    context = {"form": form, "heading": "New grants"}
    return render(request, "rights/grant_new.html", context)


def _initial_from(row: Grant) -> dict[str, object]:
    scope = {name: getattr(row, name) for name in ChangeForm.base_fields}
    scope |= {"starts_on": None, "ends_on": None}
    return scope | {
        "agreement": row.agreement_id,
        "uses": [row.use],
        "rights": [row.right_type],
        "recording": row.recording_id,
        "work": row.work_id,
    }


@require_safe
@open_to(*LOOKERS)
def waiting(request: HttpRequest) -> HttpResponse:
    """List offers and who may answer each; `?agreement=` narrows them, `?tick=all` ticks a page."""
    user, admin = signed_in(request), is_admin(request)
    rows = Grant.objects.visible_to(user).filter(status=Grant.Status.OFFERED)
    if agreement_pk := parameters.read_parameters(request).number("agreement"):
        rows = rows.filter(agreement=agreement_pk)
    rows = rows.select_related(
        "grantor", "agreement", "recording", "work", "drafted_by", "replaces"
    )
    page = page_of(request, rows.order_by("agreement__title", "agreement", "use", "pk"))
    approvers = choices.approvers(page.object_list)
    context = {
        "page": page,
        "rows": [
            (
                row,
                admin and lifecycle.may_approve(row, user),
                approvers[row.pk],
                acts.replaces_open(row),
            )
            for row in page.object_list
        ],
        "under": agreement_pk,
        "ticked": parameters.read_parameters(request).text("tick") == "all",
        "is_admin": admin,
    }
    return render(request, "rights/waiting.html", context)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def grants_approve(request: HttpRequest) -> HttpResponse:
    """Put each ticked offer in force on its own: a refused offer does not stop the others.

    An offer that ends an earlier version is skipped: what that ends is shown on its own page.
    """
    user = signed_in(request)
    pks = parameters.posted_parameters(request).numbers("grant")
    rows = Grant.objects.visible_to(user).filter(pk__in=pks)
    approved = 0
    for row in rows.select_related("grantor", "replaces"):
        if acts.replaces_open(row):
            messages.error(request, f"{row.grantor}, {row.get_use_display()}: {ENDS_ANOTHER}")
            continue
        try:
            lifecycle.activate(row, user)
        except Refused as error:
            messages.error(request, f"{row.grantor}, {row.get_use_display()}: {error}")
        else:
            approved += 1
    if approved:
        messages.success(request, f"{approved} in force.")
    elif not pks:
        messages.error(request, "Tick the grants that you put in force.")
    return redirect("rights:waiting")


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def grant_activate(request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows what putting the grant in force allows and ends; POST does it."""
    row, user = _grant(request, pk), signed_in(request)
    form = VerbForm(request.POST if request.method == "POST" else None)
    act = acts.activating(row, by=user)
    done, _ = confirming.perform_or_preview(request, form, lambda _: act)
    if done is not None:
        return redirect(row)
    page = confirming.act_page(act)
    context = page.context
    context |= {"form": form, "grant": row, "effect": page.preview}
    return render(request, "rights/grant_activate.html", context, status=confirming.status(form))


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN, Role.RIGHTSHOLDER)
def grant_decline(request: HttpRequest, pk: int) -> HttpResponse:
    explanation = "The offer ends and permits nothing. Another can be drafted at any time."
    return _with_reason(request, pk, lifecycle.decline, "Decline", explanation)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def grant_suspend(request: HttpRequest, pk: int) -> HttpResponse:
    explanation = (
        "Until it is resumed it permits nothing: no new dataset, run or sample. What runs goes on, "
        "and nothing is withheld, because nothing has ended."
    )
    return _with_reason(request, pk, lifecycle.suspend, "Suspend", explanation)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def grant_resume(request: HttpRequest, pk: int) -> HttpResponse:
    explanation = "It permits again what it permitted before."
    return _with_reason(request, pk, lifecycle.resume, "Resume", explanation)


def _with_reason(
    request: HttpRequest,
    pk: int,
    verb: GrantVerb,
    button: str,
    explanation: str,
) -> HttpResponse:
    row, user = _grant(request, pk), signed_in(request)
    form = ReasonForm(request.POST or None)

    def act(data: dict[str, Any]) -> confirmation.Act[list[object], Grant]:
        return acts.answering(row, verb, by=user, **data)

    if confirming.perform_if_valid(request, form, act):
        return redirect(row)
    page = confirming.act_page(act({}))
    context = page.context
    return form_page(
        request,
        form,
        heading=f"{button}: {row.grantor}, {row.get_use_display().lower()}",
        button=f"{button} {row.get_use_display()} of {row.grantor}",
        back=row.get_absolute_url(),
        words=explanation,
        context=context,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def grant_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the form of the next version; POST drafts it."""
    row = _grant(request, pk)
    form = ChangeForm(request.POST or None, grant=row)
    if form.is_valid():
        with form.refusals():
            draft = form.save(by=signed_in(request))
            messages.success(
                request,
                f"Version {draft.version} is drafted. Version {row.version} stays until somebody "
                "else puts the new one in force.",
            )
            return redirect(draft)
    return render(request, "rights/grant_change.html", {"form": form, "grant": row})


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def grant_change_preview(request: HttpRequest, pk: int) -> HttpResponse:
    """Show in words what the next version would change, before it is drafted. Nothing is stored."""
    row = _grant(request, pk)
    form = ChangeForm(request.POST, grant=row)
    context: dict[str, object] = {"form": form, "grant": row}
    if form.is_valid():
        with form.refusals():
            drafted = form.look(by=signed_in(request))
            context |= {"drafted": drafted, "changed": terms.difference(row, drafted)}
    return render(request, "rights/grant_change.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN, Role.RIGHTSHOLDER)
def grant_withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """GET previews what ending the grant affects, and that it is final; POST ends the grant."""
    row, user = _grant(request, pk), signed_in(request)
    form = ReasonForm(request.POST or None)

    def act(data: dict[str, Any]) -> confirmation.Act[Effect, Grant]:
        return acts.withdrawing(row, by=user, **data)

    if confirming.perform_if_valid(request, form, act):
        return redirect(row)
    page = confirming.act_page(act({}))
    context = page.context
    context |= {"form": form, "grant": row, "effect": page.preview}
    return render(request, "rights/withdraw.html", context, status=confirming.status(form))


def _grant(request: HttpRequest, pk: int) -> Grant:
    rows = Grant.objects.visible_to(signed_in(request))
    return get_object_or_404(
        rows.select_related(
            "grantor", "agreement", "recording", "work", "drafted_by", "approved_by", "replaces"
        ),
        pk=pk,
    )

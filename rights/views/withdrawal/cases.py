"""Pages of withdrawal cases: what ended, what was derived, who handles it, how it is closed."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import audit
from portal.inputs import parameters
from portal.models import Role
from portal.views import signed_in
from rights import acts
from rights.access import is_admin, open_to, page_of
from rights.forms.cases import AssignForm, CloseForm, NoteForm, RemedyForm, SettleForm
from rights.models import CaseItem, CaseTask, Use, WithdrawalCase
from rights.models.cases import CaseQuerySet
from rights.models.vocabulary import use_choices
from rights.views import confirming
from rights.views.frames import form_page
from rights.withdrawal import case_pages, cases, descendants

# Researchers see the cases in which they have a task.
LOOKERS = (Role.RIGHTS_ADMIN, Role.OPERATOR, Role.RIGHTSHOLDER, Role.RESEARCHER)


@require_safe
@open_to(*LOOKERS)
def case_list(request: HttpRequest) -> HttpResponse:
    """List cases; `?state=` open, overdue, ready, closed or all; `?use=`; `?q=` a party's name."""
    user = signed_in(request)
    params = parameters.read_parameters(request)
    state = params.choice("state", dict(case_pages.STATES), "open")
    use, query = params.choice("use", list(Use)), params.text("q")
    context = {
        "page": page_of(request, case_pages.visible_cases(user, state, use, query)),
        "state": state,
        "use": use,
        "query": query,
        "states": case_pages.STATES,
        "uses": use_choices(),
        "now": timezone.now(),
        "staff": case_pages.sees_all_cases(user),
    }
    return render(request, "rights/cases.html", context)


@require_safe
@open_to(*LOOKERS)
def case(request: HttpRequest, pk: int) -> HttpResponse:
    row, user = _case(request, pk), signed_in(request)
    staff = case_pages.sees_all_cases(user)
    context = {
        "case": row,
        "steps": row.steps.select_related("done_by"),
        "levels": case_pages.levels(row, user),
        "grants": case_pages.grants_of(row) if staff or _own(request, row) else [],
        "recordings": row.recordings.count(),
        "first": row.recordings.order_by("pk")[: case_pages.NAMED],
        "tasks": row.tasks.select_related("owner", "done_by"),
        "history": audit.history(row)[:20] if staff else [],
        "staff": staff,
        "own": _own(request, row),
        "is_admin": is_admin(request),
        "going_on": row.closed_at is None,
        "not_closed_by": cases.why_not_close(row, user),
        "now": timezone.now(),
    }
    return render(request, "rights/case.html", context)


@require_safe
@open_to(*LOOKERS)
def case_items(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """List the derived items of one kind, as far as the user may see them."""
    row, item_kind = _case(request, pk), _kind(kind)
    user = signed_in(request)
    page = page_of(request, case_pages.visible_items(row, item_kind, user))
    context = {
        "case": row,
        "kind": item_kind,
        "page": page,
        "rows": case_pages.named(item_kind, page.object_list, user),
        "hidden": row.items.filter(kind=kind).count() - page.paginator.count,
        "is_admin": is_admin(request),
        "settled": cases.SETTLED_OUTCOMES,
        "going_on": row.closed_at is None,
    }
    return render(request, "rights/case_items.html", context)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def case_refresh(request: HttpRequest, pk: int) -> HttpResponse:
    row = _case(request, pk)
    before = row.items.count()
    cases.refresh(row)
    new = row.items.count() - before
    messages.info(request, f"{new} more came out of it." if new else "Nothing new came out of it.")
    return redirect(row)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def case_remedy(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """GET shows what will be done to how many items; POST does it."""
    row, item_kind, user = _case(request, pk), _kind(kind), signed_in(request)
    unsettled = row.items.filter(kind=kind).exclude(outcome__in=cases.SETTLED_OUTCOMES)
    form = RemedyForm(request.POST if request.method == "POST" else None)
    done = confirming.perform_if_valid(
        request, form, lambda data: acts.remedying(row, kind, by=user, **data)
    )
    if done is not None:
        messages.success(request, f"{item_kind.title}: {done.result} done.")
        return redirect(row)
    page = confirming.act_page(acts.remedying(row, kind, by=user))
    context = page.context
    context |= {
        "case": row,
        "form": form,
        "kind": item_kind,
        "number": unsettled.count(),
        "rows": case_pages.named(item_kind, unsettled.order_by("pk")[:20], signed_in(request)),
    }
    return render(request, "rights/case_remedy.html", context, status=confirming.status(form))


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def case_settle(request: HttpRequest, pk: int) -> HttpResponse:
    rows = CaseItem.objects.filter(case__in=_visible(request)).select_related("case__party")
    item = get_object_or_404(rows, pk=pk)
    form, user = SettleForm(request.POST or None), signed_in(request)
    done, context = confirming.perform_or_preview(
        request, form, lambda data: acts.settling(item, by=user, **data), always=True
    )
    if done is not None:
        settled = done.result
        messages.success(request, f"{settled.label}: {settled.get_outcome_display().lower()}.")
        return redirect("rights:case_items", pk=item.case_id, kind=item.kind)
    context |= {"item": item, "form": form, "heard_at": descendants.listening_url(item)}
    return render(request, "rights/case_settle.html", context, status=confirming.status(form))


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def case_assign(request: HttpRequest, pk: int) -> HttpResponse:
    tasks = CaseTask.objects.filter(case__in=_visible(request)).select_related("case", "owner")
    task = get_object_or_404(tasks, pk=pk)
    form = AssignForm(request.POST or None, initial={"owner": task.owner, "due_at": task.due_at})
    if form.is_valid():
        with form.refusals():
            form.save(task, by=signed_in(request))
            return redirect(task.case)
    return form_page(
        request,
        form,
        heading=task.title,
        button="Assign",
        back=task.case.get_absolute_url(),
        words=f"All is to be done by {task.case.due_at:%Y-%m-%d}. Who has the task sees this case.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def case_note(request: HttpRequest, pk: int) -> HttpResponse:
    row = _case(request, pk)
    form = NoteForm(request.POST or None)
    if form.is_valid():
        with form.refusals():
            cases.mitigate(row, by=signed_in(request), note=form.cleaned_data["note"])
            return redirect(row)
    return form_page(
        request,
        form,
        heading="Note a mitigation",
        button="Note it",
        back=row.get_absolute_url(),
        words="It stands beside step E4 and settles nothing: what learned from the music is still "
        "to be retired or replaced.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def case_close(request: HttpRequest, pk: int) -> HttpResponse:
    row, user = _case(request, pk), signed_in(request)
    form = CloseForm(request.POST or None)
    if request.method == "POST":
        # Anything that changed since the page was opened is shown before the case is closed.
        cases.refresh(row)
    if confirming.perform_if_valid(request, form, lambda data: acts.closing(row, by=user, **data)):
        messages.success(request, "Closed. What should still come out of it opens it again.")
        return redirect(row)
    page = confirming.act_page(acts.closing(row, by=user))
    context = page.context | {
        "case": row,
        "form": form,
        "levels": case_pages.levels(row, user, room=0),
        "by_hand": cases.by_hand(row).select_related("settled_by"),
    }
    return render(request, "rights/case_close.html", context, status=confirming.status(form))


def _visible(request: HttpRequest) -> CaseQuerySet:
    return WithdrawalCase.objects.visible_to(signed_in(request))


def _case(request: HttpRequest, pk: int) -> WithdrawalCase:
    rows = _visible(request).select_related("party", "grant", "opened_by", "verified_by")
    return get_object_or_404(rows, pk=pk)


def _own(request: HttpRequest, row: WithdrawalCase) -> bool:
    return row.party.people.filter(pk=signed_in(request).pk).exists()


def _kind(name: str) -> descendants.Kind:
    match = next((kind for kind in descendants.kinds() if kind.name == name), None)
    if match is None:
        raise Http404
    return match

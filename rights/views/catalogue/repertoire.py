"""Pages of works and recordings with their files and stems: view, search, add."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import audit
from portal.inputs import parameters
from portal.inputs.text import matching, matching_code
from portal.models import Role
from portal.views import signed_in
from rights import acts
from rights.access import READERS, is_admin, open_to, page_of
from rights.catalogue import derivations, originals, sound_questions
from rights.consent import opt_outs
from rights.forms import (
    AttachForm,
    CreditForm,
    FileForm,
    RelationForm,
    StemForm,
    UploadForm,
    VerbForm,
    WorkForm,
)
from rights.grants import choices
from rights.models import Recording, RoleCode, Use, Work
from rights.views import confirming
from rights.views.catalogue import arrivals
from rights.views.frames import form_page


@require_safe
@open_to(*READERS)
def works(request: HttpRequest) -> HttpResponse:
    query = parameters.read_parameters(request).text("q")
    rows = Work.objects.visible_to(signed_in(request)).filter(
        matching(query, "title") | matching_code(query, "iswc")
    )
    rows = rows.prefetch_related("credits__party", choices.current_split("splits"))
    context = {"page": page_of(request, rows), "query": query, "is_admin": is_admin(request)}
    return render(request, "rights/works.html", context)


@require_safe
def work(request: HttpRequest, pk: int) -> HttpResponse:
    user = signed_in(request)
    row = get_object_or_404(Work.objects.visible_to(user), pk=pk)
    context = {
        "work": row,
        "recordings": Recording.objects.visible_to(user).filter(works=row),
        "credits": row.credits.select_related("party").order_by("role", "party__name"),
        "credit_form": CreditForm(),
        "is_admin": is_admin(request),
    }
    return render(request, "rights/work.html", context | choices.visible_splits(user, row))


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def work_new(request: HttpRequest) -> HttpResponse:
    form = WorkForm(request.POST or None)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    back = reverse("rights:works")
    return form_page(request, form, heading="New work", button="Add work", back=back)


@require_safe
@open_to(*READERS)
def recordings(request: HttpRequest) -> HttpResponse:
    read = parameters.read_parameters(request)
    query, announced = read.text("q"), read.choice("file", ("announced",))
    rows = choices.search(Recording.objects.visible_to(signed_in(request)), query)
    if announced:
        rows = rows.filter(audio=None)
    rows = rows.prefetch_related("credits__party", "works", choices.current_split("splits"))
    current_page = page_of(request, rows)
    context = {
        "page": current_page,
        "query": query,
        "announced": announced,
        "training": choices.training_answers(list(current_page.object_list)),
        "is_admin": is_admin(request),
    }
    return render(request, "rights/recordings.html", context)


@require_safe
def recording(request: HttpRequest, pk: int) -> HttpResponse:
    return page(request, _recording(request, pk))


def page(
    request: HttpRequest, row: Recording, *, status: int = 200, **forms: VerbForm
) -> HttpResponse:
    """Render the recording's page; `forms` are those filled in wrongly, by their context names."""
    user = signed_in(request)
    context = {
        "recording": row,
        "works": row.works.prefetch_related(choices.current_split("splits")),
        "stems": row.stems.all(),
        "heard": originals.access(row, user),
        "hears_stems": originals.may_have(row, user, Use.STEMS),
        "tracks": row.tracks.select_related("release").order_by("release__title"),
        "credits": row.credits.select_related("party").order_by("role", "party__name"),
        "grants": choices.grants_touching(row, user),
        "uses": choices.per_use(row),
        "opt_outs": opt_outs.opt_outs_with_grants(row.opt_outs.all()),
        "seen_grants": set(row.grants.visible_to(user).values_list("pk", flat=True)),
        "holds": row.holds.select_related("party").order_by("-at")[:20],
        "history": audit.history(row)[:20],
        "credit_form": CreditForm(),
        "attach_form": AttachForm(),
        "file_form": FileForm(),
        "stem_form": StemForm(),
        "relation_form": RelationForm(),
        "relations": derivations.relations_of(row),
        "sound_questions": sound_questions.open_questions().filter(recording=row),
        "is_admin": is_admin(request),
        "reads_all": user.has_role(*READERS),
    }
    context |= choices.visible_splits(user, row) | forms
    return render(request, "rights/recording.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def upload(request: HttpRequest) -> HttpResponse:
    form = UploadForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        with form.refusals():
            row = form.save(by=signed_in(request))
            arrivals.say(request, row)
            arrivals.say_same_named(request, row)
            return redirect(row)
    back = reverse("rights:recordings")
    return form_page(request, form, heading="Upload a recording", button="Upload", back=back)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_file(request: HttpRequest, pk: int) -> HttpResponse:
    """Add the file of a recording that was announced without one."""
    row = _recording(request, pk)
    form = FileForm(request.POST, request.FILES)
    if form.is_valid():
        with form.refusals():
            row = form.save(by=signed_in(request), recording=row)
            arrivals.say(request, row)
            return redirect(row)
    return page(request, row, file_form=form, status=422)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_stem(request: HttpRequest, pk: int) -> HttpResponse:
    row = _recording(request, pk)
    form = StemForm(request.POST, request.FILES)
    known = set(sound_questions.open_about(row).values_list("pk", flat=True))
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), recording=row)
            arrivals.say_questions(request, row, known=known)
            return redirect(row)
    return page(request, row, stem_form=form, status=422)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_credit(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a credit; a main artist's is previewed first if it ends permissions."""
    row, user = _recording(request, pk), signed_in(request)
    form = CreditForm(request.POST)
    done, context = confirming.perform_or_preview(
        request, form, lambda data: acts.crediting(row, by=user, **data)
    )
    if done is not None:
        if form.cleaned_data["role"] == RoleCode.MAIN_ARTIST:
            arrivals.say_same_named(request, row)
        return redirect(row)
    if context:
        return _addition(request, row, form, context, "Add the credit")
    return page(request, row, credit_form=form, status=422)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def work_credit(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Work.objects.visible_to(signed_in(request)), pk=pk)
    form = CreditForm(request.POST)
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), subject=row)
            return redirect(row)
    heading, back = f"Add a credit to “{row}”", row.get_absolute_url()
    return form_page(request, form, heading=heading, button="Add credit", back=back)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_work(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a work to the recording, for good; it is previewed first if it ends permissions."""
    row, user = _recording(request, pk), signed_in(request)
    form = AttachForm(request.POST)
    done, context = confirming.perform_or_preview(
        request, form, lambda data: acts.attaching(row, data["work"], by=user)
    )
    if done is not None:
        return redirect(row)
    if context:
        return _addition(request, row, form, context, "Add the work")
    return page(request, row, attach_form=form, status=422)


def _addition(
    request: HttpRequest, row: Recording, form: VerbForm, context: dict[str, object], button: str
) -> HttpResponse:
    return form_page(
        request,
        form,
        heading=f"{button} to “{row}”",
        button=f"{button}, and end what is listed",
        back=row.get_absolute_url(),
        words="What was allowed was allowed without it. It is never taken out again, and what "
        "ends here stays ended.",
        context=context,
    )


def _recording(request: HttpRequest, pk: int) -> Recording:
    return get_object_or_404(Recording.objects.visible_to(signed_in(request)), pk=pk)

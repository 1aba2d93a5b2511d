"""Publishing a model: what the project's owner asks for, and what a rights admin answers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backline import bounds
from experiments.clearance.permission import NotPermitted
from experiments.models import Checkpoint, Project, Run, declared_uses
from experiments.models.publishing import ModelPage, ModelPageText
from experiments.publishing import page_data, pages, texts, training_credits, withdrawals
from experiments.publishing import summary as summaries
from experiments.views.access import requires_view
from portal import confirmation
from portal.confirmation import PreviewChanged
from portal.inputs import parameters
from portal.inputs.forms import Form
from portal.models import Role
from portal.views import signed_in
from rights.errors import Refused

CHOICES = 200


class TextsForm(Form):
    """One field per free text; a refusal by pages.py is shown beside its field."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        for part in texts.PARTS:
            self.fields[part.key] = forms.CharField(
                label=part.label + (f" ({part.section})" if part.section else ""),
                help_text=part.help + (f" Empty: “{part.default}”" if part.default else ""),
                required=False,
                widget=forms.Textarea(attrs={"rows": part.rows}),
            )

    def parts(self) -> dict[str, str]:
        return {part.key: self.cleaned_data[part.key] for part in texts.PARTS}

    @contextmanager
    def refusals(self) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))


class AskForm(TextsForm):
    model = forms.ChoiceField(
        label="The model", help_text="A checkpoint, or a run that has ended as a whole."
    )
    title = forms.CharField(label="Title", required=False)
    version = forms.CharField(label="Version", required=False)
    slug = forms.CharField(
        label="Address",
        required=False,
        help_text="After /models/. Empty: made of title and version. It stays for good.",
    )

    def __init__(self, *args: object, project: Project, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["model"]
        assert isinstance(choice, forms.ChoiceField)  # noqa: S101 - for the types
        choice.choices = _models_of(project)

    def chosen(self, project: Project) -> tuple[Run, Checkpoint | None]:
        kind, _, key = self.cleaned_data["model"].partition(":")
        if kind == "checkpoint":
            rows = Checkpoint.objects.select_related("run__dataset", "run__decision")
            row = get_object_or_404(rows, pk=key, run__project=project)
            return row.run, row
        return get_object_or_404(project.runs.select_related("dataset", "decision"), pk=key), None


def _models_of(project: Project) -> list[tuple[str, str]]:
    rows = project.runs.exclude(dataset=None).filter(use__in=declared_uses.MODELS, deleted_at=None)
    runs = list(rows.prefetch_related("checkpoints")[:CHOICES])
    choices = []
    for run in runs:
        label = f"run {run.number}, {run.name}"
        active = [
            checkpoint for checkpoint in run.checkpoints.all() if checkpoint.retired_at is None
        ]
        choices += [
            (f"checkpoint:{checkpoint.pk}", f"{label}: step {checkpoint.step:,}")
            for checkpoint in active
        ]
        if not run.is_open:
            choices.append((f"run:{run.pk}", f"{label}: the run as a whole"))
    return choices


@require_safe
@requires_view
def models(request: HttpRequest, project: Project) -> HttpResponse:
    """Show the project's model pages: published, waiting for review, or refused."""
    rows = list(page_data.PAGES.filter(project=project).prefetch_related("texts"))
    statuses = withdrawals.statuses_of(rows)
    context = {
        "project": project,
        "models": [
            {"page": page, "standing": statuses[page.pk], "text": page.texts.all()[0]}
            for page in rows
        ],
        "may_ask": pages.may_ask(signed_in(request), project),
    }
    return render(request, "experiments/models.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires_view
def model_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Ask for the public page of a model."""
    user = signed_in(request)
    if not pages.may_ask(user, project):
        return _not_permitted(request, project)
    initial = {"model": parameters.read_parameters(request).text("model")}
    form = AskForm(request.POST or None, initial=initial, project=project)
    if form.is_valid():
        with form.refusals():
            run, checkpoint = form.chosen(project)
            page = pages.ask(
                by=user,
                project=project,
                run=run,
                checkpoint=checkpoint,
                title=form.cleaned_data["title"],
                version=form.cleaned_data["version"],
                slug=form.cleaned_data["slug"],
                parts=form.parts(),
            )
            messages.success(request, "Asked. A rights admin reads it before anybody else can.")
            return redirect("experiments:model", project.slug, page.pk)
    context = {"project": project, "form": form, "choices": len(_models_of(project))}
    status = 422 if form.errors else 200
    return render(request, "experiments/model_new.html", context, status=status)


@require_safe
@requires_view
def model(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Show one model page behind the log-in: its state, and every version of its texts."""
    page = get_object_or_404(page_data.PAGES, project=project, pk=pk)
    user = signed_in(request)
    context = {
        "project": project,
        "page": page,
        "standing": withdrawals.statuses_of([page])[page.pk],
        "texts": page.texts.select_related("written_by", "answered_by"),
        "public": pages.text_of(page),
        "may_ask": pages.may_ask(user, project),
        "may_withdraw": pages.may_withdraw(user, page),
    }
    return render(request, "experiments/model.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires_view
def model_texts(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Rewrite the free texts; the public reads the old ones until the new ones are approved."""
    page = get_object_or_404(page_data.PAGES, project=project, pk=pk)
    user = signed_in(request)
    if not pages.may_ask(user, project):
        return _not_permitted(request, project)
    newest = page.texts.first()
    form = TextsForm(request.POST or None, initial=newest.parts if newest else {})
    if form.is_valid():
        with form.refusals():
            text = pages.reword(by=user, page=page, parts=form.parts())
            messages.success(request, f"Version {text.number} waits for a rights admin.")
            return redirect("experiments:model", project.slug, page.pk)
    context = {"project": project, "page": page, "form": form}
    status = 422 if form.errors else 200
    return render(request, "experiments/model_texts.html", context, status=status)


@require_safe
def review_queue(request: HttpRequest) -> HttpResponse:
    """Show what waits for review by a rights admin, and what is public already."""
    if not signed_in(request).has_role(Role.RIGHTS_ADMIN, Role.OPERATOR):
        raise Http404
    rows = ModelPageText.objects.filter(approved_at=None, refused_at=None)
    public = list(page_data.PAGES.public())
    statuses = withdrawals.statuses_of(public)
    context = {
        "texts": rows.select_related("page__project", "written_by").order_by("created_at"),
        "models": [{"page": page, "standing": statuses[page.pk]} for page in public],
    }
    return render(request, "publishing/waiting.html", context)


@require_safe
def text(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the page as it would read with this version of its texts."""
    return _text(request, _text_for(request, pk))


@require_POST
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Publish the text: everybody may read it from now on."""
    row, user = _text_for(request, pk), signed_in(request)
    try:
        # Before pages.approve, not around it: it looks up everybody behind the model, too long for
        # a transaction, and checks again that the text still waits.
        confirmation.check(
            confirmation.posted(request), by=user, name=f"text.answer:{pk}", facts=_text_state(row)
        )
        page = pages.approve(by=user, text=row)
    except (Refused, PreviewChanged) as refusal:
        return _text(request, row, str(refusal), status=422)
    messages.success(request, f"{page} is public.")
    return redirect("publishing:waiting")


@require_POST
def refuse(request: HttpRequest, pk: int) -> HttpResponse:
    """Refuse the text, and tell its owner why."""
    row, user = _text_for(request, pk), signed_in(request)
    try:
        with _as_shown(request, f"text.answer:{pk}", lambda: _text_state(row)):
            pages.refuse(by=user, text=row, reason=_reason(request))
    except (Refused, PreviewChanged) as refusal:
        return _text(request, row, str(refusal), status=422)
    messages.success(request, "Refused. Its owner reads your reason.")
    return redirect("publishing:waiting")


@require_http_methods(["GET", "HEAD", "POST"])
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Withdraw the model on POST, for good; a GET shows what that does."""
    user = signed_in(request)
    page = get_object_or_404(ModelPage.objects.visible_to(user).distinct(), pk=pk)
    if not pages.may_withdraw(user, page):
        raise Http404
    error = ""
    if request.method == "POST":
        try:
            with _as_shown(request, f"page.withdraw:{pk}", lambda: _page_state(page)):
                pages.withdraw(by=user, page=page)
        except (Refused, NotPermitted, PreviewChanged) as refusal:
            error = str(refusal)
        else:
            messages.success(request, f"{page} is withdrawn. Its page says so.")
            return redirect(page)
    seal = confirmation.seal(by=user, name=f"page.withdraw:{pk}", facts=_page_state(page))
    context = {"model_page": page, "error": error, "shown": {"seal": seal}}
    return render(request, "publishing/withdraw.html", context, status=422 if error else 200)


def _reason(request: HttpRequest) -> str:
    return parameters.posted_parameters(request).text("reason", longest=bounds.MAX_PROSE)


def _as_shown(
    request: HttpRequest, name: str, facts: Callable[[], object]
) -> AbstractContextManager[None]:
    seal = confirmation.posted(request)
    return confirmation.as_shown(seal, by=signed_in(request), name=name, facts=facts)


def _page_state(page: ModelPage) -> list[object]:
    """Return the state of the page: not yet published, public or withdrawn."""
    current = ModelPage.objects.get(pk=page.pk)
    return [current.slug, current.published_at is not None, current.withdrawn_at is not None]


def _text_state(row: ModelPageText) -> list[object]:
    """Return what may change: whether the text waits, and its page's state; its words never do."""
    current = ModelPageText.objects.get(pk=row.pk)
    return [current.waits, *_page_state(current.page)]


def _text_for(request: HttpRequest, pk: int) -> ModelPageText:
    visible = ModelPage.objects.visible_to(signed_in(request))
    rows = ModelPageText.objects.select_related("written_by", "answered_by")
    return get_object_or_404(rows.filter(page__in=visible.values("pk")), pk=pk)


def _text(
    request: HttpRequest, row: ModelPageText, error: str = "", status: int = 200
) -> HttpResponse:
    model_data = page_data.load_page_data(get_object_or_404(page_data.PAGES, pk=row.page_id), row)
    user = signed_in(request)
    seal = confirmation.seal(by=user, name=f"text.answer:{row.pk}", facts=_text_state(row))
    context = {
        # Here `shown` is the model's page as it would read.
        "sealed": {"seal": seal},
        "shown": model_data,
        "page": Paginator(model_data.learned.lines, CHOICES).get_page(
            parameters.read_parameters(request).page()
        ),
        "basis": training_credits.BASIS,
        "summary": summaries.build_summary(model_data, timezone.now()),
        "text": row,
        "error": error,
        "reason": _reason(request),
        "may_answer": pages.may_answer(signed_in(request), row),
    }
    return render(request, "publishing/text.html", context, status=status)


def _not_permitted(request: HttpRequest, project: Project) -> HttpResponse:
    sentence = "An owner of the project or an operator publishes its models."
    context = {"project": project, "sentence": sentence}
    return render(request, "experiments/refused.html", context, status=403)

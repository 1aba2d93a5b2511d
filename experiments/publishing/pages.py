"""Publishing a model: an owner asks for it, a rights admin decides, either may withdraw it."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from experiments.clearance import clearance, permission
from experiments.clearance.permission import NotPermitted
from experiments.models import Checkpoint, Project, Run, ancestry, declared_uses
from experiments.models.publishing import ModelPage, ModelPageText
from experiments.publishing import training_credits, withdrawals
from experiments.publishing.texts import LONGEST, PARTS
from portal import audit
from portal.models import Role, User
from rights.errors import Refused, required


def may_ask(user: User, project: Project) -> bool:
    return project.is_owned_by(user)


def may_answer(user: User, text: ModelPageText) -> bool:
    """Whether the user is a rights admin who neither wrote it nor asked for the page: four eyes."""
    return user.has_role(Role.RIGHTS_ADMIN) and user.pk not in (
        text.written_by_id,
        text.page.published_by_id,
    )


def may_withdraw(user: User, page: ModelPage) -> bool:
    return user.has_role(Role.RIGHTS_ADMIN) or may_ask(user, page.project)


def ask(
    *,
    by: User,
    project: Project,
    run: Run,
    checkpoint: Checkpoint | None = None,
    title: str,
    version: str,
    parts: Mapping[str, str],
    slug: str = "",
) -> ModelPage:
    """Ask for a model's page. Nobody can read it until a rights admin has approved it.

    Raises NotPermitted unless `by` owns the project or is an operator, and Refused for a model
    that rests on no permission, for one of which no use is reported, and for invalid texts.
    """
    _require_owner(by, project)
    _check_model(project, run, checkpoint)
    title = _line(title, "title", 120)
    version = _line(version, "version", 40)
    slug = slugify(slug or f"{title} {version}")[:80]
    if not slug:
        raise Refused("slug", "Write an address in Latin letters or digits.", field="slug")
    if ModelPage.objects.filter(slug=slug).exists():
        raise Refused("duplicate", f"There is a page at /models/{slug}/ already.", field="slug")
    page = ModelPage(
        project=project,
        run=run,
        checkpoint=checkpoint,
        slug=slug,
        title=title,
        version=version,
        published_by=by,
    )
    if withdrawals.statuses_of([page])[page.pk].withdrawn:
        raise Refused("ended", "A permission behind this model has ended.", field="model")
    # All checks that walk over what the model learned from come before the transaction.
    checked = _texts(page, {**parts, "title": title, "version": version})
    with transaction.atomic():
        page.save()
        text = ModelPageText.objects.create(page=page, number=1, parts=checked, written_by=by)
        audit.record(
            by=by,
            verb="model.asked",
            subject=page,
            run=str(run.pk),
            checkpoint=checkpoint.pk if checkpoint else None,
            text=text.number,
            private={"title": title, "version": version},
        )
    return page


def reword(*, by: User, page: ModelPage, parts: Mapping[str, str]) -> ModelPageText:
    """Write a new version of the page's texts, which waits for its answer as the first did.

    It replaces a version that still waits. Raises NotPermitted and Refused.
    """
    _require_owner(by, page.project)
    return _put_text(by, page, _texts(page, parts))


@transaction.atomic
def _put_text(by: User, page: ModelPage, checked: dict[str, str]) -> ModelPageText:
    ModelPage.objects.select_for_update(no_key=True).get(pk=page.pk)
    newest = page.texts.first()
    if newest and newest.waits:
        _answer(newest, refused_at=timezone.now(), refusal="Written anew before it was answered.")
    text = ModelPageText.objects.create(
        page=page, number=newest.number + 1 if newest else 1, parts=checked, written_by=by
    )
    audit.record(by=by, verb="model.reworded", subject=page, text=text.number)
    return text


def approve(*, by: User, text: ModelPageText) -> ModelPage:
    """Approve a text for everybody to read. Raises Refused for its author, for a text that is
    answered already, and for a model whose permissions have ended meanwhile."""
    page = ModelPage.objects.select_related("run", "checkpoint", "project").get(pk=text.page_id)
    text.page = page
    _answerable(by, text)
    # A party may have chosen meanwhile not to be named. This comes before the transaction: it looks
    # up everybody whom the model learned from.
    _texts(page, text.parts)
    return _publish(by, page, text)


@transaction.atomic
def _publish(by: User, page: ModelPage, text: ModelPageText) -> ModelPage:
    if page.published_at is None and withdrawals.statuses_of([page])[page.pk].withdrawn:
        raise Refused("ended", "A permission behind this model has ended since it was asked for.")
    now = timezone.now()
    _answer(text, approved_at=now, answered_by=by)
    unpublished = ModelPage.objects.filter(pk=page.pk, published_at=None)
    if unpublished.update(published_at=now, approved_by=by):
        audit.record(by=by, verb="model.published", subject=page, text=text.number)
    else:
        audit.record(by=by, verb="model.text_approved", subject=page, text=text.number)
    page.refresh_from_db()
    return page


@transaction.atomic
def refuse(*, by: User, text: ModelPageText, reason: str) -> ModelPageText:
    """Refuse the texts: they are not published, and the owner sees why. Raises Refused."""
    reason = required(reason, field="reason", longest=300)
    _answerable(by, text)
    _answer(text, refused_at=timezone.now(), answered_by=by, refusal=reason)
    audit.record(
        by=by,
        verb="model.text_refused",
        subject=text.page,
        text=text.number,
        private={"reason": reason},
    )
    return text


@transaction.atomic
def withdraw(*, by: User, page: ModelPage) -> ModelPage:
    """Withdraw the model for good: its page stays and says so. One person is enough."""
    if not may_withdraw(by, page):
        raise NotPermitted("An owner of the project or a rights admin withdraws a model.")
    rows = ModelPage.objects.public().filter(pk=page.pk, withdrawn_at=None)
    if not rows.update(withdrawn_at=timezone.now(), withdrawn_by=by):
        raise Refused("state", "This model is not published, or it was withdrawn already.")
    page.refresh_from_db()
    audit.record(by=by, verb="model.withdrawn", subject=page)
    return page


def text_of(page: ModelPage) -> ModelPageText | None:
    """Return the texts that everybody reads: the newest approved ones."""
    return page.texts.exclude(approved_at=None).select_related("answered_by").first()


# --- What is checked ------------------------------------------------------------------------


def _require_owner(by: User, project: Project) -> None:
    if not may_ask(by, project):
        raise NotPermitted(f"An owner of {project.name} or an operator publishes its models.")


def _check_model(project: Project, run: Run, checkpoint: Checkpoint | None) -> None:
    def no(code: str, sentence: str) -> Refused:
        return Refused(code, sentence, field="model")

    if run.project_id != project.pk or (checkpoint and checkpoint.run_id != run.pk):
        raise no("not_here", "Choose a run or a checkpoint of this project.")
    if run.deleted_at is not None:
        raise no("deleted", f"Run {run.number} was deleted. Bring it back first.")
    if run.dataset is None or not declared_uses.makes_models(run.use):
        raise no("no_learning", "That run learned from no dataset, so there is nothing to tell.")
    if checkpoint is None and run.is_open:
        raise no("open", "That run goes on. Wait for its end, or choose one of its checkpoints.")
    if checkpoint and permission.is_retired(checkpoint):
        raise no("retired", "That checkpoint is retired for good.")
    if clearance.is_unknown(run):
        raise no("unknown", clearance.UNKNOWN)
    model = {"run": run, "checkpoint": checkpoint}
    if ModelPage.objects.filter(**model).exclude(withdrawn_at=None).exists():
        raise no("withdrawn", "That model was published before and withdrawn for good.")
    line = ancestry.line(run, checkpoint.step if checkpoint else None)
    if not training_credits.exposures(line):
        raise no("no_use", "No use is reported of what it learned from, so no share is exact.")


def _line(text: str, name: str, longest: int) -> str:
    text = required(text, field=name, longest=longest)
    if not text.isprintable():
        raise Refused(name, "Use one line, without invisible characters.", field=name)
    return text


def veil_of(page: ModelPage) -> training_credits.Veil:
    """Return the names that no text about the page's model may contain."""
    return training_credits.hidden_in(
        withdrawals.line_of_page(page), withdrawals.statuses_of([page])[page.pk]
    )


def _texts(page: ModelPage, parts: Mapping[str, str]) -> dict[str, str]:
    """Return the texts as they are stored. Raise Refused where one is missing, too long, or names
    somebody who is not to be named."""
    veil = veil_of(page)
    for name in ("title", "version"):
        if veil.hides(parts.get(name, "")):
            raise Refused("named", NAMED, field=name)
    checked = {}
    for part in PARTS:
        text = parts.get(part.key, "").replace("\r\n", "\n").strip()
        if part.required and not text:
            raise Refused("required", f"Write something about: {part.label}.", field=part.key)
        if len(text) > LONGEST:
            raise Refused("too_long", f"Use {LONGEST:,} characters at most.", field=part.key)
        if not text.replace("\n", "").isprintable():
            raise Refused("invisible", "Use no invisible characters.", field=part.key)
        if veil.hides(text):
            raise Refused("named", NAMED, field=part.key)
        if text:
            checked[part.key] = text
    return checked


NAMED = "It names somebody whose music it learned from and who is not named in public."


def _answerable(by: User, text: ModelPageText) -> None:
    if not by.has_role(Role.RIGHTS_ADMIN):
        raise Refused("role", "A rights admin answers it.")
    if not may_answer(by, text):
        raise Refused("four_eyes", "Somebody else than who asked for it has to answer it.")


def _answer(text: ModelPageText, **answer: object) -> None:
    waiting = ModelPageText.objects.filter(pk=text.pk, approved_at=None, refused_at=None)
    if not waiting.update(**answer):
        raise Refused("state", "This version was answered already.")
    text.refresh_from_db()

"""Reports: written, changed with every version, published, frozen anew.

A report begins as a draft that its author alone sees. Published, it is the project's: whoever sees
the project reads it, and its members change it. Two people do not overwrite each other: whoever
saves names the version that they saw, and is shown the other one where somebody has saved since.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from backline import bounds
from experiments.clearance.permission import NotPermitted, check_member
from experiments.discussion import comments, mentions
from experiments.discussion.mentions import Mentions
from experiments.inbox import notices
from experiments.models import FrozenBlock, Notice, Project, Report, ReportVersion, Run
from experiments.reports import blocks, frozen, kinds
from experiments.reports.blocks import BadBlock
from experiments.reports.kinds import Reading
from experiments.runs import numbers
from portal import audit
from portal.database import commit_order
from portal.inputs import markdown
from portal.inputs.text import clean_line, clean_prose, unreadable
from portal.models import User

LONGEST_TITLE = 150
LONGEST = markdown.LONGEST
# Of the runs that a text names by number, for the pages of those.
MOST_RUNS = 200


class BadReport(ValueError):
    """A report that cannot be stored so; `field` is title or text, the sentence says why."""

    code = "bad_report"

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class Overtaken(ValueError):
    """Somebody has saved since; nothing was stored. `current` is the report as it is now."""

    code = "overtaken"

    def __init__(self, current: Report) -> None:
        self.current = current
        who = current.changed_by.display_name
        super().__init__(f"{who} has saved version {current.version} since you saw it.")


class NotPossible(ValueError):
    """What was asked for does not fit how the report stands; the message says why."""

    code = "not_possible"


# --- Writes ---------------------------------------------------------------------------------


def create(*, by: User, project: Project, title: str, text: str) -> Report:
    """Write a draft. Raises NotPermitted, BadReport."""
    check_member(by, project)
    title, text = _cleaned(title, text)
    taken = frozen.take(text, Reading(user=by, project=project), known=())
    with transaction.atomic():
        at = commit_order.moment()
        report = Report.objects.create(
            project=project, title=title, text=text, author=by, changed_by=by, created_at=at,
            changed_at=at,
        )  # fmt: skip
        _store_version(report, by, at, frozen.store(report, taken, at))
        record(report, by, at, verb="report.created")
    return report


def save(*, by: User, report: Report, title: str, text: str, version: int | None = None) -> Report:
    """Change title and text. `version` is the one that `by` saw; without it, whatever was saved
    since is replaced. Raises NotPermitted, BadReport, Overtaken, NotPossible."""
    title, text = _cleaned(title, text)
    kept = frozen.current_figures(report)
    taken = frozen.take(text, _reading(by, report), known=kept)
    with transaction.atomic():
        report, at = lock(by, report)
        if (title, text) == (report.title, report.text):
            return report
        if version is not None and version != report.version:
            raise Overtaken(report)
        _write(report, by, at, title=title, text=text, taken=taken)
    return report


def restore(*, by: User, report: Report, version: int) -> Report:
    """Make an earlier version the newest one, with what was frozen in it. Raises NotPermitted,
    NotPossible."""
    with transaction.atomic():
        report, at = lock(by, report)
        earlier = report.versions.filter(version=version, version__lt=report.version).first()
        if earlier is None:
            raise NotPossible("There is no such earlier version.")
        _write(
            report, by, at, title=earlier.title, text=earlier.text,
            frozen_rows=list(earlier.frozen.all()), restores=version,
        )  # fmt: skip
    return report


def freeze_again(*, by: User, report: Report) -> Report:
    """Take the figures of all frozen blocks anew, as a version of its own: the earlier ones keep
    theirs. Raises NotPermitted, NotPossible."""
    if not may_change(user=by, report=report):
        raise NotPermitted("Members of the project change its reports, and a draft its author.")
    taken = frozen.take(report.text, _reading(by, report), known=())
    if not taken:
        raise NotPossible("No block of this report is frozen.")
    with transaction.atomic():
        current, at = lock(by, report)
        if current.version != report.version:
            raise NotPossible("Somebody has saved it meanwhile. Look at it, then freeze it.")
        _write(current, by, at, title=current.title, text=current.text, taken=taken, refroze=True)
    return current


def publish(*, by: User, report: Report) -> Mentions:
    """Show a draft to everybody in the project; whom its text names are told. Raises NotPermitted,
    NotPossible, also for who is not its author."""
    _require_author(by, report)
    with transaction.atomic():
        report, at = lock(by, report)
        if not report.is_draft:
            raise NotPossible("It is published already.")
        put(report, by, at, verb="report.published", published_at=at)
        return _tell_named(report, by, before="")


def unpublish(*, by: User, report: Report) -> Report:
    """Make a published report its author's draft again; what was said of it waits. Raises
    NotPermitted, NotPossible."""
    _require_author(by, report)
    with transaction.atomic():
        report, at = lock(by, report)
        if report.is_draft:
            raise NotPossible("It is a draft already.")
        put(report, by, at, verb="report.unpublished", published_at=None)
    return report


# --- Reads ----------------------------------------------------------------------------------


def may_change(*, user: User, report: Report) -> bool:
    """Return whether the person may change the report: members a published one, its author a
    draft."""
    if report.is_draft and report.author_id != user.pk:
        return False
    return report.project.is_open_to(user)


def naming(run: Run, user: User) -> QuerySet[Report]:
    """Return the reports that name the run by its number, as far as this person sees them."""
    return Report.objects.visible_to(user).filter(runs=run, archived_at=None)


# --- Inside ---------------------------------------------------------------------------------


def _cleaned(title: str, text: str) -> tuple[str, str]:
    title, text = _storable("title", title, clean_line), _storable("text", text, clean_prose)
    if not title:
        raise BadReport("title", "A report needs a title.")
    for field, value, longest in (("title", title, LONGEST_TITLE), ("text", text, LONGEST)):
        if len(value) > longest:
            raise BadReport(field, f"At most {longest:,} characters; these are {len(value):,}.")
    return title, text


def _storable(field: str, text: str, clean: Callable[[str], str]) -> str:
    try:
        bounds.check_text(text)
    except bounds.NotStorable as error:
        raise BadReport(field, str(error)) from error
    text = clean(text)
    if sentence := unreadable(text):
        raise BadReport(field, sentence)
    return text


def lock(by: User, report: Report) -> tuple[Report, datetime]:
    """Return the report as it is now, locked, and the transaction's moment. Raises NotPermitted for
    who may not change it, NotPossible if it was deleted."""
    at = commit_order.moment()
    row = locked(report)
    check_member(by, row.project)
    if row.deleted_at is not None:
        raise NotPossible("The report was deleted.")
    if row.is_draft and row.author_id != by.pk:
        raise NotPermitted("A draft is its author's alone.")
    return row, at


def locked(report: Report) -> Report:
    """Return the report as it is now, locked until the transaction ends, deleted or not."""
    rows = Report.objects.select_for_update(no_key=True, of=("self",))
    return rows.select_related("project", "author", "changed_by").get(pk=report.pk)


def _require_author(by: User, report: Report) -> None:
    if report.author_id != by.pk:
        raise NotPossible("Its author alone publishes a report, or makes it a draft again.")


def _reading(by: User, report: Report) -> Reading:
    return Reading(user=by, project=report.project, report=report, trail=(report.pk,))


def _write(
    report: Report,
    by: User,
    at: datetime,
    *,
    title: str,
    text: str,
    taken: Sequence[frozen.Taken] = (),
    frozen_rows: Sequence[FrozenBlock] | None = None,
    restores: int | None = None,
    refroze: bool = False,
) -> None:
    """Store the next version of a locked report. What is frozen is what was taken now, and what the
    current version keeps for blocks that stay; of a restored version its own."""
    if frozen_rows is None:
        wanted = frozen.keys_in(text) - {one.key for one in taken}
        frozen_rows = [*frozen.newest(report, wanted), *frozen.store(report, taken, at)]
    before = report.text
    report.title, report.text, report.version = title, text, report.version + 1
    report.changed_by, report.changed_at = by, at
    report.save(update_fields=["title", "text", "version", "changed_by", "changed_at"])
    _store_version(report, by, at, frozen_rows, restores=restores, refroze=refroze)
    record(report, by, at, verb="report.saved")
    if not report.is_draft:
        _tell_named(report, by, before=before)


def _store_version(
    report: Report, by: User, at: datetime, rows: Sequence[FrozenBlock], **how: Any
) -> None:
    version = ReportVersion.objects.create(
        report=report, version=report.version, title=report.title, text=report.text, by=by, at=at,
        **how,
    )  # fmt: skip
    version.frozen.set(rows)
    report.runs.set(_named_runs(report))


def _named_runs(report: Report) -> QuerySet[Run]:
    """Return the runs that the text names by number: in its blocks, and in links to their pages."""
    found: set[int] = set()
    for block in blocks.find(report.text, kinds.names()):
        kind = kinds.find(block.kind)
        try:
            listed = block.options(kind.keys).listed("runs") if kind else []
            found.update(numbers.read_numbers(", ".join(listed)))
        except (BadBlock, numbers.BadNumbers):
            continue
    base = re.escape(reverse("experiments:runs", args=[report.project.slug]))
    found.update(int(number) for number in re.findall(rf"{base}runs/([0-9]{{1,9}})\b", report.text))
    return report.project.runs.filter(number__in=sorted(found)[:MOST_RUNS])


def _tell_named(report: Report, by: User, *, before: str) -> Mentions:
    """Tell those whom the text names, and did not name before."""
    named = mentions.find(report.text, report.project)
    earlier = {name.lower() for name in mentions.names_in(before)}
    new = [
        user for user in named.users
        if user.username.lower() not in earlier and user.pk != by.pk
    ]  # fmt: skip
    news = notices.News(
        kind=Notice.Kind.MENTION,
        project=report.project,
        key=f"{notice_key(report)}{report.version}",
        title=f"{by.display_name} named you in the report {report.title}",
        text=comments.excerpt(report.text),
        url=report.get_absolute_url(),
    )
    notices.tell(news, new)
    return named


def notice_key(report: Report) -> str:
    return f"report:{report.pk}:"


def put(report: Report, by: User, at: datetime, *, verb: str, **fields: datetime | None) -> None:
    for name, value in fields.items():
        setattr(report, name, value)
    report.save(update_fields=list(fields))
    record(report, by, at, verb=verb)


def record(report: Report, by: User | None, at: datetime, *, verb: str) -> None:
    audit.record(by=by, verb=verb, subject=report, moment=at, version=report.version)

"""What people and programs say of a run: its name, a line of description, notes in Markdown, tags.

Every change is a row (RunEdit) with the fields before and after, and can be undone. Two people do
not overwrite each other: whoever edits names the version that they saw, and is told where somebody
has changed the same field since. Tags never collide: what was added is added, what was removed is
removed.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Q

from backline import bounds, wire
from experiments.clearance.permission import check_member
from experiments.models import Project, Run, RunEdit, RunTag
from portal import audit
from portal.database import commit_order
from portal.inputs.text import clean_line, clean_prose
from portal.models import User

TEXTS = ("name", "description", "notes")
FIELDS = (*TEXTS, "tags")
LONGEST = {"name": 150, "description": 300, "notes": bounds.MAX_PROSE}
MAX_TAGS = 50
MAX_TAG = 60


class BadDescription(ValueError):
    """A text that cannot be stored; `field` says of what, the message why."""

    code = "bad_description"

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class Overtaken(ValueError):
    """Somebody has changed the same since; nothing was stored. `edit` is their change, `current`
    the fields as they are now."""

    code = "overtaken"

    def __init__(self, edit: RunEdit, current: dict[str, Any]) -> None:
        self.edit, self.current = edit, current
        who = edit.by.display_name if edit.by else "The run's program"
        super().__init__(f"{who} has changed the {_listed(current)} since you saw it.")


class Gone(LookupError):
    """The run was deleted."""

    code = "gone"


# --- Writes ---------------------------------------------------------------------------------


def edit(
    *,
    run: Run,
    by: User,
    version: int | None = None,
    name: str | None = None,
    description: str | None = None,
    notes: str | None = None,
    tags: Iterable[str] | None = None,
    add_tags: Iterable[str] = (),
    remove_tags: Iterable[str] = (),
) -> Run:
    """Set the fields that are given. `version` is the one that `by` saw (Run.described); without
    it, whatever was written since is replaced. Tags are merged with what others did meanwhile.

    Raises NotPermitted, BadDescription, Overtaken, Gone; then nothing is stored.
    """
    check_member(by, run.project)
    texts = {"name": name, "description": description, "notes": notes}
    wanted = _clean(texts) | ({} if tags is None else {"tags": clean_tags(tags)})
    added, removed = clean_tags(add_tags), clean_tags(remove_tags)
    with transaction.atomic():
        run, at = lock(run)
        later = [] if version is None else list(_later(run, version))
        if "tags" in wanted:
            wanted["tags"] = merged(run.tags, _tags_seen(later), wanted["tags"])
        if added or removed:
            wanted["tags"] = changed(wanted.get("tags", run.tags), add=added, remove=removed)
        _demand_unchanged(run, wanted, later)
        write(run, wanted, by=by, at=at)
    return run


def report(run: Run, said: wire.Words, *, source: str) -> bool:
    """Store what the run's own program says; false if that changes nothing, or `source`, its
    delivery, was stored before. What it says at its start fills what is empty, and replaces nothing
    that people have written. Raises BadDescription, Gone."""
    wanted = _clean({field: getattr(said, field) for field in TEXTS})
    added, removed = clean_tags(said.add_tags), clean_tags(said.remove_tags)
    with transaction.atomic():
        run, at = lock(run)
        if source and run.edits.filter(source=source).exists():
            return False
        if said.first:
            wanted, added = _unwritten(run, wanted, added)
        if added or removed:
            wanted["tags"] = changed(run.tags, add=added, remove=removed)
        return write(run, wanted, by=None, at=at, source=source) is not None


def undo(*, edit: RunEdit, by: User) -> Run:
    """Set the fields that this edit has changed as they were before it.

    Raises NotPermitted, Gone, and Overtaken if a text was changed again since. Of tags, those that
    were added are removed, and those that were removed are added.
    """
    check_member(by, edit.run.project)
    with transaction.atomic():
        run, at = lock(edit.run)
        wanted = {field: value for field, value in edit.before.items() if field in TEXTS}
        if changed_since := [field for field in wanted if getattr(run, field) != edit.after[field]]:
            newest = next(e for e in _later(run, edit.version) if set(changed_since) & set(e.after))
            raise Overtaken(newest, {field: getattr(run, field) for field in changed_since})
        if "tags" in edit.after:
            wanted["tags"] = merged(run.tags, edit.after["tags"], edit.before["tags"])
        write(run, wanted, by=by, at=at, undoes=edit)
    return run


def lock(run: Run) -> tuple[Run, datetime]:
    """Return the run, locked in this transaction, and its moment. Raises Gone."""
    at = commit_order.moment()
    locked = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
    if locked.deleted_at is not None:
        raise Gone(f"Run {locked.number} was deleted.")
    return locked, at


def write(
    run: Run,
    wanted: Mapping[str, Any],
    *,
    by: User | None,
    at: datetime,
    source: str = "",
    undoes: RunEdit | None = None,
) -> RunEdit | None:
    """Store the fields of a locked run with their history and audit line; None without a change."""
    after = {field: value for field, value in wanted.items() if value != getattr(run, field)}
    if not after:
        return None
    before = {field: getattr(run, field) for field in after}
    version = run.described + 1
    Run.objects.filter(pk=run.pk).update(**after, described=version)
    for field, value in after.items():
        setattr(run, field, value)
    run.described = version
    if "tags" in after:
        RunTag.objects.filter(run=run).delete()
        RunTag.objects.bulk_create(tag_rows(run))
    made = RunEdit.objects.create(
        run=run, version=version, at=at, by=by, source=source, before=before, after=after,
        undoes=undoes,
    )  # fmt: skip
    audit.record(
        by=by, verb="run.described", subject=run, moment=at, fields=sorted(after), version=version
    )
    return made


# --- Reads ----------------------------------------------------------------------------------


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Return tags in one spelling each, the first one, without those that are empty. Raises
    BadDescription for one that is too long, or that no list and no query could name."""
    by_key: dict[str, str] = {}
    for text in tags:
        name = clean_line(_checked("tags", text))
        if len(name) > MAX_TAG:
            raise BadDescription(
                "tags", f"“{name[:30]}…” is too long: a tag has at most {MAX_TAG} characters."
            )
        if set(name) & set(',"'):
            raise BadDescription(
                "tags", f"“{name}” has a comma or a quotation mark in it. Leave it out."
            )
        if name:
            by_key.setdefault(name.casefold(), name)
    return list(by_key.values())


def cleaned(*, tags: Iterable[str] = (), **texts: str) -> dict[str, Any]:
    """Return the fields of a run that is being made. Raises BadDescription."""
    return _clean(texts) | {"tags": changed([], add=clean_tags(tags), remove=())}


def changed(tags: Iterable[str], *, add: Iterable[str], remove: Iterable[str]) -> list[str]:
    """Return the tags after this. A tag that is there keeps its spelling. Raises BadDescription for
    more than MAX_TAGS."""
    gone = {name.casefold() for name in remove}
    left = {name.casefold(): name for name in tags if name.casefold() not in gone}
    for name in add:
        left.setdefault(name.casefold(), name)
    if len(left) > MAX_TAGS:
        raise BadDescription(
            "tags", f"That would be {len(left)} tags; a run has at most {MAX_TAGS}."
        )
    return list(left.values())


def merged(current: list[str], seen: list[str] | None, wanted: list[str]) -> list[str]:
    """Return the current tags with what leads from those that were seen to those that are wanted;
    None: they have not changed since, so that a new spelling counts too."""
    if seen is None:
        return changed([], add=wanted, remove=())
    seen_keys, keys = ({name.casefold() for name in names} for names in (seen, wanted))
    added = [name for name in wanted if name.casefold() not in seen_keys]
    return changed(current, add=added, remove=[n for n in seen if n.casefold() not in keys])


def tag_rows(run: Run) -> list[RunTag]:
    return [
        RunTag(run=run, project_id=run.project_id, name=name, key=name.casefold())
        for name in run.tags
    ]


def tags_of(project: Project) -> list[tuple[str, int]]:
    """Return the tags of a project's runs with the number of runs that a table shows, the most used
    first; a tag of archived runs alone has none of them."""
    rows = RunTag.objects.filter(project=project, run__deleted_at=None).values("key")
    listed = Count("pk", filter=Q(run__archived_at=None))
    counted = rows.annotate(count=listed, spelled=Max("name")).order_by("-count", "key")
    return [(row["spelled"], row["count"]) for row in counted]


def _later(run: Run, version: int) -> list[RunEdit]:
    """Return what has changed since this version, newest first."""
    return list(run.edits.filter(version__gt=version).select_related("by"))


def _tags_seen(later: list[RunEdit]) -> list[str] | None:
    """Return the tags before the first of these edits that has changed them; None if none has."""
    changes = [edit for edit in later if "tags" in edit.after]
    return changes[-1].before["tags"] if changes else None


def _demand_unchanged(run: Run, wanted: Mapping[str, Any], later: list[RunEdit]) -> None:
    theirs: dict[str, RunEdit] = {}
    for edit in later:
        for field in edit.after:
            theirs.setdefault(field, edit)
    clash = [f for f in TEXTS if f in theirs and f in wanted and wanted[f] != getattr(run, f)]
    if clash:
        raise Overtaken(theirs[clash[0]], {field: getattr(run, field) for field in clash})


def _clean(texts: Mapping[str, str | None]) -> dict[str, Any]:
    cleaned = {}
    for field, text in texts.items():
        if text is None:
            continue
        cleaner = clean_prose if field == "notes" else clean_line
        cleaned[field] = cleaner(_checked(field, text))
        if len(cleaned[field]) > LONGEST[field]:
            raise BadDescription(
                field,
                f"At most {LONGEST[field]:,} characters; these are {len(cleaned[field]):,}.",
            )
    if cleaned.get("name") == "":
        raise BadDescription("name", "A run needs a name.")
    return cleaned


def _checked(field: str, text: str) -> str:
    try:
        return bounds.check_text(text)
    except bounds.NotStorable as error:
        raise BadDescription(field, str(error)) from error


def _unwritten(
    run: Run, wanted: dict[str, Any], tags: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return those of the texts that nobody has written yet, and tags that the run never had."""
    edits = list(run.edits.values_list("before", "after"))
    written = {"name"} | {field for _, after in edits for field in after}
    had = {name.casefold() for pair in edits for side in pair for name in side.get("tags", ())}
    texts = {f: v for f, v in wanted.items() if f not in written and not getattr(run, f)}
    return texts, [name for name in tags if name.casefold() not in had]


def _listed(fields: Iterable[str]) -> str:
    return " and the ".join(fields)

"""Every verb of the audit log ends nothing, or is journaled (portal/endings)."""

import ast
from collections.abc import Iterator
from pathlib import Path

from portal import endings

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("portal", "rights", "experiments", "audio_samples", "listening", "workers")

# What takes nothing away that a person has given or asked for, and why it needs no second keeping.
HARMLESS = {
    # Something comes in or is corrected. What it would permit, it permits after a restore no more.
    "agreement.signed", "clip.asked", "clip.released", "dataset.frozen", "grant.activated",
    "grant.offered", "listening.opened", "mandate.approved", "mandate.entered", "model.asked",
    "model.published", "model.reworded", "model.text_approved", "party.added", "party.amended",
    "party.identified", "party.unidentified", "person.added", "profile.changed", "project.quota",
    "project.scope", "recording.added", "recording.announced", "recording.audio", "release.added",
    "run.opened", "run.resumed", "run.retried", "run.submitted", "sample.given_out",
    "sample.received", "stem.added", "token.issued", "work.added",
    # Who looked and listened: it is told, and changes nothing.
    "dataset.fetched", "recording.fetched", "report.exported", "sample.reviewed",
    # It widens what may be used, and asks somebody other than who narrowed it; or it is asked anew
    # by the clock, which compares sounds again (rights.compare_sounds).
    "party.members_complete", "recording.relation_confirmed", "recording.relation_ended",
    "recording.sound_answered", "recording.sound_questioned",
    # An import is sent again; what of it ends something goes through verbs that are journaled.
    "import.checked", "import.failed", "import.finished", "import.part", "import.resumed",
    "import.started", "import.stopped", "import.uploaded", "*.imported",
    # Files wait for a person's yes and are sent again; none has been anybody's recording yet.
    "files.broken_off", "files.chosen", "files.confirmed", "files.discarded", "files.left_out",
    "files.matched", "files.matched_again", "files.uploaded",
    # They follow from a word that is journaled itself, and come again with it.
    "case.opened", "case.reopened", "dataset.tainted", "grant.excluded", "hold.lifted",
    "hold.placed",
    "party.left", "party.use_ended", "run.withhold", "sample.near_copy", "scope.cleared",
    # By the clock, which looks again.
    "grant.expired", "run.idle_stopped", "run.idle_warned", "run.overdue",
    "run.checkpoint_removed",
    # Of a sweep, and of its runs by the clock, which looks again.
    "run.pruned", "run.sweep_budget", "sweep.budget", "sweep.ended", "sweep.paused",
    "sweep.resumed",
    "sweep.started", "sweep.stopped", "sweep.trial_cancelled",
    # The lab's own notes, pages and runs: a restore brings back what was changed or deleted since,
    # and nobody's permission with it. What a run rests on is asked for again when it starts.
    "alert_rule.changed", "alert_rule.created", "alert_rule.deleted", "alert_rule.switched",
    "charts.deleted", "charts.saved", "comment.deleted", "comment.edited", "comment.posted",
    "notices.settings", "report.archived", "report.brought_back", "report.created",
    "report.deleted", "report.published", "report.purged", "report.saved", "report.unarchived",
    "report.unpublished",
    "run.described", "run.forked", "run.purged", "run_view.first", "runs.{act}",
    "runs.undone", "webhook.changed", "webhook.created", "webhook.deleted",
    "webhook.secret_renewed", "webhook.switched", "webhook.switched_off",
    # How work on a case goes on, and answers that leave something as it was before it was asked.
    "case.closed", "case.mitigated", "case.task_assigned", "clip.refused", "model.text_refused",
    "sample.copy_dismissed", "consent.decided",
    # Runs are taken in from the cluster, and tests are closed again by who runs them.
    "listening.closed", "portal.restored", "run.attempts_found", "run.cancel", "run.claimed",
    "run.requeued", "run.{state}",
}  # fmt: skip
# Verbs that are put together: what of them there is.
PUT_TOGETHER = {
    "sample.flag_*": {"sample.flag_upheld", "sample.flag_dismissed"},
    "sample.copy_*": {"sample.copy_confirmed", "sample.copy_dismissed"},
    "run.*": {"run.{state}"},
    "runs.*": {"runs.{act}"},
    "*.imported": {"*.imported"},
}


def verbs() -> Iterator[str]:
    """What stands in `verb=`, in `_end(..., verb=...)` and in constants that are given there."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            if "migrations" in file.parts:
                continue
            tree = ast.parse(file.read_text(encoding="utf-8"))
            constants = {
                target.id: node.value.value
                for node in tree.body
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for call in ast.walk(tree):
                if isinstance(call, ast.Call):
                    for keyword in call.keywords:
                        if keyword.arg == "verb":
                            yield from _said(keyword.value, constants)


def _said(value: ast.expr, constants: dict[str, object]) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        if "." in value.value:
            yield value.value
    elif isinstance(value, ast.Name) and isinstance(constants.get(value.id), str):
        yield str(constants[value.id])
    elif isinstance(value, ast.IfExp):
        for one in (value.body, value.orelse):
            yield from _said(one, constants)
    elif isinstance(value, ast.JoinedStr):
        text = "".join(
            str(one.value) if isinstance(one, ast.Constant) else "*" for one in value.values
        )
        yield from PUT_TOGETHER.get(text, {f"{text}: not known to this test"})


def test_every_verb_is_journaled_or_ends_nothing() -> None:
    known = set(endings.declared()) | HARMLESS
    unknown = {verb for verb in verbs() if verb not in known}
    assert not unknown, (
        f"{unknown}: does it end or narrow what is permitted? Then declare it in its room's "
        "endings.py; else say here why not."
    )


def test_no_verb_is_both_or_neither() -> None:
    written, journaled = set(verbs()), set(endings.declared())
    assert sorted(HARMLESS & journaled) == []
    assert sorted((HARMLESS | journaled) - written) == []


def test_what_takes_back_names_verbs_that_are_journaled() -> None:
    known = endings.declared()
    for one in known.values():
        assert set(one.takes_back) <= set(known), one.verb

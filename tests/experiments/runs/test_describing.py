"""Name, description, notes and tags of a run: who may, what is refused; nothing is lost."""

import pytest

from backline import wire
from experiments.models import Membership, Project, Run, RunEdit, RunTag
from experiments.runs import describing, runs
from portal import audit
from portal.models import User
from tests.conftest import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.open_client_run(by=ada, project=project, name="first", tags=["jazz"])


@pytest.fixture
def eve(project: Project) -> User:
    """Another member of Ada's project."""
    user = person("eve", "Eve Lind")
    Membership.objects.create(project=project, user=user)
    return user


def rows(run: Run) -> list[str]:
    return sorted(run.tag_rows.values_list("name", flat=True))


def test_a_change_is_stored_with_its_history_and_audit_line(ada: User, run: Run) -> None:
    run = describing.edit(
        run=run, by=ada, name="  second\u200b ", notes="A *note*\r\n", tags=["Jazz", "slow"]
    )
    assert (run.name, run.notes, run.tags) == ("second", "A *note*", ["Jazz", "slow"])
    assert rows(run) == ["Jazz", "slow"]
    edit = run.edits.get()
    assert edit.before == {"name": "first", "notes": "", "tags": ["jazz"]}
    assert (edit.by, edit.version, run.described) == (ada, 1, 1)
    line = audit.history(run).first()
    assert line is not None
    assert (line.verb, line.body) == (
        "run.described", {"fields": ["name", "notes", "tags"], "version": 1}
    )  # fmt: skip


def test_what_changes_nothing_is_no_change(ada: User, run: Run) -> None:
    describing.edit(run=run, by=ada, name="first", add_tags=["JAZZ"], remove_tags=["blues"])
    assert not RunEdit.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " \u200b"}, "name"),
        ({"name": "x" * 151}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"description": "x" * 301}, "description"),
        ({"notes": "x" * 20_001}, "notes"),
        ({"tags": ["x" * 61]}, "tags"),
        ({"tags": ["a,b"]}, "tags"),
        ({"add_tags": ['a"b']}, "tags"),
        ({"tags": [f"t{n}" for n in range(51)]}, "tags"),
        ({"add_tags": [f"t{n}" for n in range(50)]}, "tags"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_named(
    ada: User, run: Run, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(describing.BadDescription) as caught:
        describing.edit(run=run, by=ada, **fields)  # type: ignore[arg-type]
    assert caught.value.field == field
    run.refresh_from_db()
    assert (run.name, run.tags, run.described) == ("first", ["jazz"], 0)


def test_only_members_describe(ben: User, eve: User, run: Run) -> None:
    Membership.objects.filter(user=eve).update(level=Membership.Level.VIEWER)
    for user in (ben, eve):
        with pytest.raises(runs.NotPermitted):
            describing.edit(run=run, by=user, name="mine")
    describing.edit(run=run, by=run.submitted_by, name="hers")
    with pytest.raises(runs.NotPermitted):
        describing.undo(edit=run.edits.get(), by=eve)


def test_the_second_of_two_people_is_told_and_nothing_is_lost(
    ada: User, eve: User, run: Run
) -> None:
    describing.edit(run=run, by=eve, version=0, notes="hers", tags=["jazz", "eve"])
    with pytest.raises(describing.Overtaken, match="Eve Lind has changed the notes") as caught:
        describing.edit(run=run, by=ada, version=0, notes="mine", tags=["ada"])
    assert caught.value.current == {"notes": "hers"}
    # Other fields are no clash, nor is the same text; tags of both are there, and "jazz" is not.
    run = describing.edit(
        run=run, by=ada, version=0, notes="hers", description="a line", tags=["ada"]
    )
    assert (run.notes, run.description, run.tags) == ("hers", "a line", ["eve", "ada"])
    # Having seen theirs, one may replace it; it stays in the history.
    run = describing.edit(run=run, by=ada, version=run.described, notes="mine")
    assert run.notes == "mine"
    assert run.edits.first().before == {"notes": "hers"}


def test_an_edit_is_undone_unless_its_text_was_changed_again(
    ada: User, eve: User, run: Run
) -> None:
    describing.edit(run=run, by=ada, name="second", tags=["slow"])
    first = run.edits.get()
    describing.edit(run=run, by=eve, add_tags=["new"])
    run = describing.undo(edit=first, by=eve)
    assert (run.name, run.tags) == ("first", ["new", "jazz"])
    assert run.edits.first().undoes == first
    # The undoing is a change like others.
    run = describing.undo(edit=run.edits.first(), by=ada)
    assert (run.name, run.tags) == ("second", ["new", "slow"])
    describing.edit(run=run, by=eve, name="third")
    with pytest.raises(describing.Overtaken, match="Eve Lind has changed the name"):
        describing.undo(edit=first, by=ada)


def test_what_a_program_says_counts_once(run: Run) -> None:
    said = wire.Words(name="from code", add_tags=["a"], remove_tags=["JAZZ"])
    assert describing.report(run, said, source="s/1")
    describing.edit(run=run, by=run.submitted_by, name="by hand", remove_tags=["a"])
    assert not describing.report(run, said, source="s/1")
    run.refresh_from_db()
    assert (run.name, run.tags) == ("by hand", [])
    assert describing.report(run, said, source="s/2")
    edit = run.edits.first()
    assert edit is not None
    assert (edit.by, edit.after) == (None, {"name": "from code", "tags": ["a"]})


def test_what_a_program_says_at_its_start_replaces_nothing_that_was_written(
    ada: User, run: Run
) -> None:
    describing.edit(run=run, by=ada, notes="mine", remove_tags=["jazz"])
    said = wire.Words(name="n", notes="n", description="d", add_tags=["jazz", "x"], first=True)
    describing.report(run, said, source="s/1")
    run.refresh_from_db()
    assert (run.name, run.notes, run.description, run.tags) == ("first", "mine", "d", ["x"])
    # Emptied by hand is written too.
    describing.edit(run=run, by=ada, description="")
    describing.report(run, said, source="s/2")
    run.refresh_from_db()
    assert run.description == ""


def test_tags_are_counted_whatever_their_case(ada: User, project: Project, run: Run) -> None:
    for name in ("Jazz", "JAZZ", "blues"):
        other = runs.open_client_run(by=ada, project=project, tags=[name])
    assert describing.tags_of(project) == [("jazz", 3), ("blues", 1)]
    Run.objects.filter(pk=other.pk).update(deleted_at=other.queued_at)
    assert describing.tags_of(project) == [("jazz", 3)]
    # Archived ones are in no table unless they are asked for.
    Run.objects.filter(tags=["JAZZ"]).update(archived_at=other.queued_at)
    assert describing.tags_of(project) == [("jazz", 2)]
    assert RunTag.objects.filter(key="jazz").count() == 3


def test_a_deleted_run_is_described_no_more(ada: User, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(deleted_at=run.queued_at)
    with pytest.raises(describing.Gone):
        describing.edit(run=run, by=ada, name="late")
    with pytest.raises(describing.Gone):
        describing.report(run, wire.Words(name="late"), source="s/1")

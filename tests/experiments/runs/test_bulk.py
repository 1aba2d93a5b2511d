"""One act on many runs: planned, done once, named in the audit log, and undone."""

import pytest

from experiments.models import Membership, Project, Run, RunBatch, RunTag
from experiments.runs import bulk, describing, numbers, runs, shelving
from portal import audit
from portal.models import User

pytestmark = pytest.mark.django_db
State = Run.State


@pytest.fixture
def four(ada: User, project: Project) -> list[Run]:
    made = [runs.open_client_run(by=ada, project=project, name=f"r{n}") for n in range(4)]
    for run in made[:3]:
        runs.close_client_run(run)
    return made


def do(
    by: User, project: Project, act: str, *tags: str, **how: object
) -> tuple[RunBatch, bulk.Plan]:
    rows = bulk.rows_for(act, project, by)
    return bulk.do(by=by, project=project, rows=rows, act=act, tags=tags, **how)  # type: ignore[arg-type]


def tags(project: Project) -> list[list[str]]:
    return [run.tags for run in project.runs.order_by("number")]


def ledger_of_tags(project: Project) -> list[list[str]]:
    return [
        sorted(run.tag_rows.values_list("name", flat=True))
        for run in project.runs.order_by("number")
    ]


def test_tags_of_many_runs_are_one_change_with_one_line(
    ada: User, project: Project, four: list[Run]
) -> None:
    describing.edit(run=four[1], by=ada, add_tags=["Jazz", "own"])
    batch, done = do(ada, project, "tag", "jazz")
    assert (len(done.runs), len(done.unchanged), batch.count) == (3, 1, 3)
    assert tags(project) == [["jazz"], ["Jazz", "own"], ["jazz"], ["jazz"]]
    assert ledger_of_tags(project) == [sorted(names) for names in tags(project)]
    line = audit.history(batch).get()
    assert (line.verb, line.body["numbers"], line.body["count"]) == ("runs.tag", "1, 3-4", 3)
    assert line.details["tags"] == ["jazz"]
    # Each run has it in its own history.
    assert four[0].edits.get().batch == batch
    undone = bulk.undo(batch=batch, by=ada)
    assert len(undone.runs) == 3
    assert tags(project) == [[], ["Jazz", "own"], [], []]
    assert ledger_of_tags(project) == [[], ["Jazz", "own"], [], []]
    with pytest.raises(runs.NotPossible, match="undone already"):
        bulk.undo(batch=batch, by=ada)


def test_what_was_tagged_since_stays_when_a_batch_is_undone(
    ada: User, project: Project, four: list[Run]
) -> None:
    batch, _ = do(ada, project, "tag", "a", "b")
    describing.edit(run=four[0], by=ada, remove_tags=["a"], add_tags=["c"])
    bulk.undo(batch=batch, by=ada)
    assert tags(project) == [["c"], [], [], []]


def test_a_tag_is_renamed_in_all_runs(ada: User, project: Project, four: list[Run]) -> None:
    do(ada, project, "tag", "bsaeline")
    describing.edit(run=four[0], by=ada, add_tags=["baseline"])
    batch, _ = do(ada, project, "rename", "bsaeline", "baseline")
    assert tags(project) == [["baseline"]] * 4
    assert describing.tags_of(project) == [("baseline", 4)]
    bulk.undo(batch=batch, by=ada)
    assert describing.tags_of(project) == [("bsaeline", 4), ("baseline", 1)]
    with pytest.raises(bulk.BadBatch, match="one other name"):
        do(ada, project, "rename", "a", "A")


def test_a_run_that_would_have_too_many_tags_is_left_and_named(
    ada: User, project: Project, four: list[Run]
) -> None:
    describing.edit(run=four[0], by=ada, tags=[f"t{n}" for n in range(50)])
    _, done = do(ada, project, "tag", "one more")
    assert [sentence for _, sentence in done.refused] == [
        "Run 1: That would be 51 tags; a run has at most 50."
    ]
    assert len(done.runs) == 3


def test_an_act_says_which_runs_it_leaves_and_why(
    ada: User, project: Project, four: list[Run]
) -> None:
    shelving.archive(run=four[0], by=ada)
    batch, done = do(ada, project, "archive")
    assert [run.number for run in done.runs] == [2, 3]
    assert [run.number for run in done.unchanged] == [1]
    assert [sentence for _, sentence in done.refused] == [
        "Run 4 has not ended: nobody would see it go on."
    ]
    shelving.restore(run=four[1], by=ada)
    shelving.archive(run=four[1], by=ada)
    undone = bulk.undo(batch=batch, by=ada)
    assert [run.number for run in undone.runs] == [3]
    assert "Run 2 was archived or brought back again since." in undone.refused[0][1]


def test_deleted_together_and_brought_back_together(
    ada: User, project: Project, four: list[Run]
) -> None:
    batch, done = do(ada, project, "delete")
    assert (len(done.runs), len(done.refused)) == (3, 1)
    assert Run.objects.visible_to(ada).get() == four[3]
    assert bulk.rows_for("bring_back", project, ada).count() == 3
    assert len(bulk.undo(batch=batch, by=ada).runs) == 3
    assert Run.objects.visible_to(ada).count() == 4
    Run.objects.filter(number=1).update(deleted_at="2020-01-01T00:00Z")
    _, done = do(ada, project, "bring_back")
    assert "deleted more than 7 days ago" in done.refused[0][1]


def test_waiting_runs_are_cancelled_and_running_ones_asked_to_stop(
    ada: User, project: Project, four: list[Run]
) -> None:
    waiting = runs.submit(by=ada, project=project, recipe="tone_check", config={})
    batch, done = do(ada, project, "cancel")
    states = dict(project.runs.values_list("number", "state"))
    assert (states[4], states[waiting.number]) == (State.STOPPING, State.CANCELLED)
    assert (len(done.runs), len(done.refused)) == (2, 3)
    waiting.refresh_from_db()
    assert (waiting.stop_as, waiting.state_reason) == ("cancelled", "Cancelled by Ada Okafor.")
    assert waiting.ended_at is not None
    with pytest.raises(runs.NotPossible):
        bulk.undo(batch=batch, by=ada)


def test_other_peoples_runs_and_projects_are_not_touched(
    ada: User, ben: User, project: Project, four: list[Run]
) -> None:
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(project=other, user=ben)
    theirs = runs.open_client_run(by=ben, project=other)
    every = Run.objects.all()
    bulk.do(by=ada, project=project, rows=every, act="tag", tags=["mine"])
    theirs.refresh_from_db()
    assert theirs.tags == []
    with pytest.raises(runs.NotPermitted):
        bulk.do(by=ben, project=project, rows=every, act="tag", tags=["mine"])
    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    with pytest.raises(runs.NotPermitted):
        do(ben, project, "delete")
    batch = RunBatch.objects.get()
    with pytest.raises(runs.NotPermitted):
        bulk.undo(batch=batch, by=ben)
    # A member who has left the project since did it: it stays undoable for those who are there.
    Membership.objects.filter(user=ben).update(level=Membership.Level.OWNER)
    Membership.objects.filter(user=ada, project=project).delete()
    assert len(bulk.undo(batch=batch, by=ben).runs) == 4


def test_nothing_is_done_where_other_runs_match_than_were_shown(
    ada: User, project: Project, four: list[Run]
) -> None:
    with pytest.raises(bulk.Changed, match="4 runs match now, not 3"):
        do(ada, project, "tag", "a", expected=3)
    with pytest.raises(bulk.BadBatch, match="No run is chosen"):
        bulk.do(by=ada, project=project, rows=Run.objects.none(), act="delete")
    with pytest.raises(bulk.BadBatch, match="Which tags"):
        do(ada, project, "tag")
    assert not RunBatch.objects.exists()
    assert not RunTag.objects.exists()


@pytest.mark.parametrize(
    ("text", "read", "written"),
    [
        ("3, 1-2,2", [1, 2, 3], "1-3"),
        ("7", [7], "7"),
        ("1 \u2013 3, 9", [1, 2, 3, 9], "1-3, 9"),
        ("", [], ""),
        ("9-7", [], ""),
    ],
)
def test_numbers_are_written_short(text: str, read: list[int], written: str) -> None:
    assert numbers.read_numbers(text) == read
    assert numbers.as_ranges(read) == written


@pytest.mark.parametrize("text", ["x", "1;2", "-3", "1-", "1-999999999", "1--2", "1" * 12])
def test_what_is_no_list_of_numbers_is_said(text: str) -> None:
    with pytest.raises(numbers.BadNumbers):
        numbers.read_numbers(text)

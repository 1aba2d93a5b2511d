"""Reports by their verbs: who sees what, what two people do to each other, what is frozen, and what
goes with a deletion."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from experiments.clearance.permission import NotPermitted
from experiments.discussion import comments, subjects
from experiments.models import Comment, FrozenBlock, Membership, Notice, Project, Report, Run
from experiments.reports import frozen, pages, reports
from experiments.reports import shelving as shelves
from experiments.runs import shelving
from portal import audit
from portal.models import Role, User
from tests.conftest import person
from tests.experiments.charts.test_data import log
from tests.experiments.run_table.test_table import make, measure

pytestmark = pytest.mark.django_db

TABLE = "```runs\nquery: name:try\ncolumns: metric.loss\nsort: metric.loss\nfrozen: yes\n```"
CURVES = "```chart\ntitle: Both\nruns: 1, 2\ny: loss\nfrozen: yes\n```"


@pytest.fixture
def runs(project: Project, ada: User) -> list[Run]:
    made = [make(project, ada, 1, config={"lr": 0.1}), make(project, ada, 2, config={"lr": 0.2})]
    log(made[0], loss=[3, 2, 1])
    log(made[1], loss=[5, 4, 0.25])
    return made


@pytest.fixture
def mia(project: Project) -> User:
    member = person("mia", "Mia Kern", Role.RESEARCHER)
    Membership.objects.create(project=project, user=member)
    return member


def write(by: User, project: Project, text: str, *, published: bool = True) -> Report:
    report = reports.create(by=by, project=project, title="What we saw", text=text)
    if published:
        reports.publish(by=by, report=report)
        report.refresh_from_db()
    return report


def shown(user: User, report: Report, *, drawn: bool = True) -> str:
    report = Report.objects.select_related("project").get(pk=report.pk)
    return str(pages.html(report.text, pages.reading_of(user, report, drawn=drawn)))


def verbs(report: Report) -> list[str]:
    return [line.verb for line in audit.history(report).order_by("seq")]


def test_a_draft_is_its_authors_alone_until_it_is_published_and_tells_whom_it_names(
    ada: User, ben: User, mia: User, project: Project
) -> None:
    draft = write(ada, project, "Look, @mia and @ben and `@ada`.", published=False)

    def sees(user: User) -> bool:
        return Report.objects.visible_to(user).filter(pk=draft.pk).exists()

    assert (sees(ada), sees(mia), sees(ben)) == (True, False, False)
    assert subjects.find(ada, "report", str(draft.pk)) is None
    with pytest.raises(NotPermitted):
        reports.save(by=mia, report=draft, title="Mine", text="")
    assert not Notice.objects.exists()
    named = reports.publish(by=ada, report=draft)
    assert named.unknown == ["ben"]
    notice = Notice.objects.get()
    assert (notice.user, notice.url) == (mia, draft.get_absolute_url())
    assert (sees(mia), sees(ben)) == (True, False)
    # Who was told is not told again; who is new is.
    draft.refresh_from_db()
    reports.save(by=mia, report=draft, title="What we saw", text="@mia @ada")
    assert sorted(Notice.objects.values_list("user__username", flat=True)) == ["ada", "mia"]
    reports.unpublish(by=ada, report=draft)
    assert not sees(mia)
    assert verbs(draft) == [
        "report.created", "report.published", "report.saved", "report.unpublished",
    ]  # fmt: skip


def test_two_who_write_at_once_do_not_overwrite_each_other(
    ada: User, mia: User, project: Project
) -> None:
    report = write(ada, project, "first")
    reports.save(by=mia, report=report, title="What we saw", text="second", version=1)
    with pytest.raises(reports.Overtaken, match="Mia Kern has saved version 2") as clash:
        reports.save(by=ada, report=report, title="What we saw", text="third", version=1)
    assert clash.value.current.text == "second"
    # The same words from two people are no quarrel, and no version.
    same = reports.save(by=ada, report=report, title="What we saw", text="second", version=1)
    assert same.version == 2
    reports.save(by=ada, report=report, title="What we saw", text="third", version=2)
    reports.restore(by=ada, report=report, version=1)
    report.refresh_from_db()
    rows = report.versions.order_by("version").values_list("version", "text", "restores")
    assert list(rows) == [(1, "first", None), (2, "second", None), (3, "third", None),
                          (4, "first", 1)]  # fmt: skip
    for version in (4, 9):
        with pytest.raises(reports.NotPossible):
            reports.restore(by=ada, report=report, version=version)


@pytest.mark.parametrize(
    ("title", "text", "words"),
    [
        ("", "x", "needs a title"),
        ("x" * 151, "", "At most 150"),
        ("x", "y" * (reports.LONGEST + 1), "At most 100,000"),
        ("x", "a\0b", "NUL"),
        ("x", "a\ud800b", "surrogate"),
    ],
)
def test_what_no_row_can_hold_is_refused_with_a_sentence(
    ada: User, project: Project, title: str, text: str, words: str
) -> None:
    with pytest.raises(reports.BadReport, match=words):
        reports.create(by=ada, project=project, title=title, text=text)
    assert not Report.objects.exists()


def test_who_may_only_look_writes_and_changes_nothing(
    ada: User, ben: User, mia: User, project: Project
) -> None:
    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    report = write(ada, project, "x")
    assert Report.objects.visible_to(ben).get() == report
    for act in (
        lambda: reports.create(by=ben, project=project, title="x", text=""),
        lambda: reports.save(by=ben, report=report, title="y", text="y"),
        lambda: shelves.archive(by=ben, report=report),
        lambda: shelves.delete(by=mia, report=report),
    ):
        with pytest.raises(NotPermitted):
            act()
    with pytest.raises(reports.NotPossible, match="Its author alone"):
        reports.unpublish(by=mia, report=report)
    assert not reports.may_change(user=ben, report=report)


def test_a_wrong_block_says_so_in_its_place_and_the_rest_stands(
    ada: User, project: Project, runs: list[Run]
) -> None:
    report = write(
        ada,
        project,
        "# Before\n\n<script>alert(1)</script> [x](javascript:alert(1))\n\n"
        "```chart\nqeury: x\n```\n\n```runs\nquery: loss <\n```\n\n"
        f"```report\nreport: {10**18}\n```\n\n```samples\nruns: 1\n```\n\n"
        "```chart\nkind: bars\ny: nothing\n```\n\n```chart\nquery: name:nobody\ny: loss\n```\n\n"
        "```runs\nruns: 1\ncolumns: metric.loss\n```\n\nAfter.",
    )
    html = shown(ada, report, drawn=False)
    for words in (
        "Line 6, chart:", "Did you mean “query”?", "Line 10, table of runs:",
        "There is no report", "None of these runs has such a sample", "is no field of runs",
        "No run fits this query", "<p>After.</p>", "1 try 1",
    ):  # fmt: skip
        assert words in html, words
    assert "<script>alert" not in html
    assert "javascript:alert" not in html.replace("[x](javascript:alert(1))", "")
    # All of it is kept as it was typed.
    assert "qeury: x" in report.text


def test_reports_that_include_each_other_end_with_a_sentence(ada: User, project: Project) -> None:
    first = write(ada, project, "")
    second = write(ada, project, f"second\n\n```report\nreport: {first.pk}\n```")
    itself = f"```report\nreport: {first.pk}\n```"
    reports.save(by=ada, report=first, title="First", text=f"first\n\n{itself}")
    assert "includes itself" in shown(ada, first)
    circle = f"first\n\n```report\nreport: {second.pk}\n```\n" * 3
    reports.save(by=ada, report=first, title="First", text=circle)
    html = shown(ada, first)
    assert html.count("second") == 3
    assert "go in a circle here" in html
    # One that includes another many times, and that one others, ends too.
    many = "\n\n".join([f"```report\nreport: {second.pk}\n```"] * 100)
    third = write(ada, project, many)
    assert "at most 20 reports" in shown(ada, third)


def test_frozen_figures_stay_while_runs_go_on_and_go_when_a_run_does(
    ada: User, project: Project, runs: list[Run]
) -> None:
    report = write(ada, project, f"{TABLE}\n\n{CURVES}\n\n{TABLE.replace('frozen: yes', '')}")
    assert report.runs.count() == 2
    assert frozen.current_figures(report).keys() == frozen.keys_in(report.text)
    log(runs[0], start=3, loss=[0.125])
    html = shown(ada, report)
    assert html.count("Frozen ") == 2
    # Frozen as it was, live as it is.
    assert html.index("0.25") < html.index("<svg") < html.index("0.125")
    # Other words around them leave them as they are; another version keeps its own.
    kept = {row.pk for row in frozen.current_figures(report).values()}
    report = reports.save(by=ada, report=report, title="What we saw", text=f"New.\n\n{TABLE}")
    assert {row.pk for row in frozen.current_figures(report).values()} < kept
    report = reports.freeze_again(by=ada, report=report)
    assert "0.125" in shown(ada, report)
    report = reports.restore(by=ada, report=report, version=1)
    assert {row.pk for row in frozen.current_figures(report).values()} == kept
    # A deleted run is not shown; brought back it is; purged, no copy of its figures is left.
    shelving.delete(run=runs[1], by=ada)
    html = shown(ada, report)
    assert "2 try 2" not in html
    assert "left out: a run behind it was deleted" in html
    shelving.bring_back(run=runs[1], by=ada)
    assert "2 try 2" in shown(ada, report)
    shelving.delete(run=runs[1], by=ada)
    Run.objects.filter(pk=runs[1].pk).update(deleted_at=timezone.now() - timedelta(days=8))
    shelving.purge_due(timezone.now())
    for row in FrozenBlock.objects.all():
        assert "try 2" not in str(row.data)
        assert str(runs[1].pk) not in str(row.data)
    assert "2 try 2" not in shown(ada, report)
    assert "1 try 1" in shown(ada, report)


def test_nobody_reads_figures_of_a_project_that_is_not_theirs(
    ada: User, mia: User, project: Project, runs: list[Run]
) -> None:
    """A run that was moved away since is in what is frozen, and not for who cannot see it."""
    report = write(ada, project, f"{TABLE}\n\n```runs\nquery: name:try\n```")
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(project=other, user=ada)
    Run.objects.filter(pk=runs[1].pk).update(project=other)
    assert "2 try 2" in shown(ada, report)
    html = shown(mia, report)
    assert "2 try 2" not in html
    assert "1 try 1" in html


def test_what_is_too_much_to_be_frozen_says_so(
    ada: User, project: Project, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.reports.pieces.MOST_BYTES", 100)
    report = write(ada, project, CURVES)
    assert "too much to be frozen" in shown(ada, report)
    with pytest.raises(reports.NotPossible, match="No block"):
        reports.freeze_again(by=ada, report=write(ada, project, "nothing"))


def test_a_deleted_report_comes_back_for_a_week_and_then_goes_with_all_that_was_said(
    ada: User, mia: User, project: Project, runs: list[Run]
) -> None:
    report = write(ada, project, f"@mia\n\n{TABLE}")
    about = subjects.find(mia, "report", str(report.pk))
    assert about is not None
    comments.post(by=mia, subject=about, text="Why?")
    assert reports.naming(runs[0], mia).count() == 0
    shelves.archive(by=mia, report=report)
    assert not Report.objects.listed().exists()
    with pytest.raises(reports.NotPossible):
        shelves.archive(by=mia, report=report)
    shelves.archive(by=mia, report=report, on=False)
    shelves.delete(by=ada, report=report)
    assert not Report.objects.visible_to(ada).exists()
    assert subjects.find(mia, "report", str(report.pk)) is None
    with pytest.raises(reports.NotPossible):
        reports.save(by=ada, report=report, title="x", text="x")
    shelves.bring_back(by=ada, report=report)
    shelves.delete(by=ada, report=report)
    assert shelves.purge_due(timezone.now()) == 0
    later: Any = timezone.now() + timedelta(days=8)
    Report.objects.filter(pk=report.pk).update(deleted_at=timezone.now() - timedelta(days=8))
    with pytest.raises(reports.NotPossible, match="not among"):
        shelves.bring_back(by=ada, report=report)
    assert shelves.purge_due(later) == 1
    assert not Report.objects.exists()
    assert not FrozenBlock.objects.exists()
    assert not Comment.objects.filter(kind="report").exists()
    assert not Notice.objects.exists()


def test_groups_and_every_kind_of_chart_are_read_and_drawn(
    ada: User, project: Project, runs: list[Run]
) -> None:
    for number in range(3, 9):
        run = make(project, ada, number, config={"lr": number / 10, "seed": number % 2})
        measure(run, "loss", number * 1.5)
    text = "\n\n".join(
        f"```chart\nkind: {kind}\n{lines}\n```"
        for kind, lines in (
            ("curves", "y: =loss * 2\nx: relative\nsmooth: ema 0.5\nlog: y\ngroup: config.lr"),
            ("scatter", "x: config.lr\ny: metric.loss\ncolour: config.seed"),
            ("contour", "x: config.lr\ny: config.seed\ncolour: metric.loss"),
            ("parallel", "fields: config.lr, config.seed, metric.loss"),
            ("bars", "y: metric.loss\ngroup: config.seed"),
            ("importance", "y: metric.loss"),
        )
    )
    grouped = "```runs\ngroup: config.seed\ncolumns: metric.loss\nsort: metric.loss:mean\n```"
    report = write(ada, project, f"{text}\n\n{grouped}")
    html = shown(ada, report)
    assert html.count("<svg") == 6
    assert "block-error" not in html
    assert "What matters for" in html
    live = shown(ada, report, drawn=False)
    assert live.count("data-report-chart") == 6
    assert "/charts/data/" in live

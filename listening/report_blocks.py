"""The block `listening` of a report: what listeners said in a test, by run or by sample."""

from django.urls import reverse

from audio_samples.models import Sample
from experiments.models import Run
from experiments.reports import kinds
from experiments.reports.blocks import BadBlock, Options
from experiments.reports.kinds import Kind, Part, Reading, Shown
from experiments.reports.pieces import Cell, Head, Piece, Row, Table, Words
from experiments.templatetags.figures import NOTHING
from listening import trials
from listening.models import ListeningTest
from listening.trials import ResultLine
from portal.inputs import parameters

HEADS = ("Mean", "95 % interval", "Answers")


class ListeningBlock(Kind):
    name = "listening"
    title = "What listeners said"
    freezes = True
    keys = {
        "test": "the number of the listening test, as in its address",
        "by": "run or sample; without it run",
        "heard": "whole: only answers after hearing the clip whole",
        "frozen": "yes: as it is now, stored with the report",
    }
    example = "```listening\ntest: 1\nby: run\n```"

    def part(self, options: Options, reading: Reading) -> Part:
        pk = parameters.number(options.text("test"))
        rows = ListeningTest.objects.visible_to(reading.user).filter(project=reading.project)
        test = rows.filter(pk=pk or 0).first()
        if test is None:
            raise BadBlock(
                "Say which test of this project: its number, as in its address.",
                options.line("test"),
            )
        whole = options.choice("heard", ("whole",)) == "whole"
        by = options.choice("by", ("run", "sample"), "run")
        found = trials.results(test, whole_only=whole)
        lines = found.runs if by == "run" else found.samples
        table = Table(
            title=test.title,
            url=reverse("listening:results", args=[reading.project.slug, test.pk]),
            heads=[Head(title=by.capitalize()), *(Head(title=h, number=True) for h in HEADS)],
            rows=[_row(line) for line in lines],
            note=_note(test, found, whole=whole),
        )
        shown: list[Piece] = [table]
        if not found.answers:
            shown.append(Words(text="Nobody has answered yet."))
        return Shown(shown)


def _row(line: ResultLine) -> Row:
    run, first = _subject(line)
    estimate = line.estimate
    mean = NOTHING if estimate.mean is None else f"{estimate.mean:.2f}"
    interval = (
        NOTHING if estimate.low is None else f"{estimate.low:.2f} to {estimate.high or 0.0:.2f}"
    )
    cells = [first, Cell(text=mean), Cell(text=interval), Cell(text=f"{estimate.n:,}")]
    return Row(cells=cells, runs=[str(run.pk)])


def _subject(line: ResultLine) -> tuple[Run, Cell]:
    if isinstance(line.subject, Run):
        return line.subject, Cell(text=str(line.subject), url=line.subject.get_absolute_url())
    assert isinstance(line.subject, Sample)  # noqa: S101 - a line is of either.
    sample = line.subject
    words = f"{(sample.prompt or sample.name)[:80]}, {sample.variant}, {sample.run}"
    withheld = " (withheld meanwhile)" if line.withheld else ""
    return sample.run, Cell(text=f"{words}{withheld}", url=sample.get_absolute_url())


def _note(test: ListeningTest, found: trials.Results, *, whole: bool) -> str:
    state = "closed" if test.closed_at else "still open"
    only = " Only answers after hearing the clip whole." if whole else ""
    return (
        f"“{test.question}” from 1 ({test.low_label}) to 5 ({test.high_label}); {state}, "
        f"{found.answers:,} answers of {found.listeners:,} listeners.{only} Student's t interval "
        "over single answers; where intervals overlap, the order means little."
    )


kinds.register(ListeningBlock())

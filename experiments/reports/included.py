"""The block `report`: another report in place, as its readers see it."""

from dataclasses import dataclass

from experiments.models import Report
from experiments.reports import frozen, kinds
from experiments.reports.blocks import BadBlock, Options
from experiments.reports.kinds import Kind, Part, Reading
from experiments.reports.pieces import Piece, Words
from portal.inputs import parameters

DEEPEST = 4


@dataclass
class IncludedPart(Part):
    """Another report with the reading of it; it is shown as it stands, blocks and all."""

    report: Report
    reading: Reading

    def pieces(self) -> list[Piece]:
        return [Words(text=f"Here stands the report “{self.report.title}”.")]


class ReportBlock(Kind):
    name = "report"
    title = "Another report"
    keys = {"report": "its number, as in its address"}
    example = "```report\nreport: 1\n```"

    def part(self, options: Options, reading: Reading) -> Part:
        pk = parameters.number(options.text("report"))
        if pk is None:
            raise BadBlock("Say which report: its number, as in its address.", options.first_line)
        line = options.line("report")
        if pk in reading.trail:
            raise BadBlock(_circle(pk, reading), line)
        if len(reading.trail) > DEEPEST:
            raise BadBlock(f"Reports are included {DEEPEST} deep; this one is left out.", line)
        rows = Report.objects.visible_to(reading.user).select_related("project", "author")
        report = rows.filter(pk=pk).first()
        if report is None:
            raise BadBlock(f"There is no report {pk} that you may see.", line)
        reading.budget.take_report()
        return IncludedPart(report, reading.within(report, frozen.current_figures(report)))


def _circle(pk: int, reading: Reading) -> str:
    if pk == reading.trail[-1]:
        return f"Report {pk} includes itself; here it is left out."
    way = " includes ".join(str(one) for one in (*reading.trail[reading.trail.index(pk) :], pk))
    return f"Reports go in a circle here ({way}); this one is left out."


kinds.register(ReportBlock())

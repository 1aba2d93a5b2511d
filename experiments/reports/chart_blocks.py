"""The block `chart`: any kind of panel that the charts page draws, over the runs of a query.

On a page a script draws it from the same addresses as the charts page; for a file, for who has no
script and to be frozen it is read here (figures.py) and drawn by experiments/reports/drawing.
"""

from dataclasses import dataclass
from typing import Any

from experiments.charts import page_data, panels
from experiments.charts.panels import Panel
from experiments.charts.selection import Selection
from experiments.models import Project
from experiments.reports import chosen, figures, kinds
from experiments.reports.blocks import BadBlock, Options
from experiments.reports.kinds import Kind, Part, Reading
from experiments.reports.pieces import Piece
from experiments.run_table import fields

KINDS = ("curves", "scatter", "contour", "parallel", "bars", "importance")
BANDS = {"min and max": "minmax", "standard deviation": "std", "95 % interval": "interval"}
SMOOTHING = ("none", "ema", "mean", "gaussian")
# Which keys make the fields of a panel, in its order; the last of these may be missing.
FIELDS = {"scatter": ("x", "y", "colour"), "contour": ("x", "y", "colour"), "bars": ("y",),
          "importance": ("y",)}  # fmt: skip
# In rows; of the other kinds 8.
HEIGHTS = {"bars": 6, "importance": 5}
LEAST = {"scatter": 2, "contour": 3, "parallel": 2, "bars": 1, "importance": 1}


@dataclass
class ChartPart(Part):
    """A chart and the runs in it; read only where it is drawn here."""

    project: Project
    panel: Panel
    selection: Selection

    def pieces(self) -> list[Piece]:
        return [figures.read(self.project, self.panel, self.selection)]

    def data(self) -> dict[str, Any]:
        """Return what the script draws from, as JSON can have it."""
        keys = [*self.panel.fields, *(self.panel.settings.group or [])]
        found = ((key, fields.find(key)) for key in dict.fromkeys(keys))
        return {
            "runs": page_data.run_facts(self.selection.runs),
            "fields": [{"key": key, "title": field.title} for key, field in found if field],
            "panel": self.panel.model_dump(mode="json"),
            "urls": page_data.addresses(self.project),
            "note": self.selection.note,
        }


class ChartBlock(Kind):
    name = "chart"
    title = "Chart"
    freezes = True
    keys = {
        "title": "what stands above it",
        "kind": f"one of {', '.join(KINDS)}; without it curves",
        **chosen.KEYS,
        "y": "of curves the metrics, or formulas behind =; else the field that goes up",
        "x": "of curves step, relative, wall or a metric; else the field that goes across",
        "colour": "of scatter and contour the field that colours",
        "fields": "of parallel coordinates the axes, in order",
        "group": "fields by which runs are put together",
        "band": f"of groups: {', '.join(BANDS)}",
        "smooth": "ema 0.6, mean 9 or gaussian 4",
        "log": "x, y or both: logarithmic axes",
        "outliers": "no: the axis spans nine tenths of the values",
        "height": "in rows of about 48 pixels, 3 to 20",
        "frozen": "yes: as it is now, stored with the report",
    }
    example = "```chart\nquery: state:finished\ny: loss\n```"

    def part(self, options: Options, reading: Reading) -> Part:
        return ChartPart(reading.project, _panel(options), chosen.runs(options, reading))


def _panel(options: Options) -> Panel:
    kind = options.choice("kind", KINDS, "curves")
    settings: dict[str, Any] = {"group": _keys(options, "group")} if "group" in options else {}
    if "band" in options:
        settings["spread"] = BANDS[options.choice("band", BANDS)]
    logs = [_axis(options, axis) for axis in options.listed("log")]
    settings |= {f"log_{axis}": True for axis in logs}
    if "outliers" in options and not options.flag("outliers"):
        settings["clip"] = True
    panel: dict[str, Any] = {
        "id": "block", "kind": kind, "title": options.text("title")[:120],
        "height": options.number("height", HEIGHTS.get(kind, 8), least=3, most=20),
        "width": panels.COLUMNS,
    }  # fmt: skip
    if kind == "curves":
        panel["names"] = options.listed("y")
        if not panel["names"]:
            raise BadBlock("A chart of curves needs “y”: the metrics to draw.", options.first_line)
        settings |= _smoothing(options) | ({"x": options.text("x")} if "x" in options else {})
    else:
        panel["fields"] = _fields(options, kind)
    try:
        return panels.checked({"panels": [panel | {"settings": settings}]}).panels[0]
    except panels.BadLayout as refusal:
        raise BadBlock(str(refusal), options.first_line) from refusal


def _fields(options: Options, kind: str) -> list[str]:
    """Return the fields of a panel that is no curves."""
    if kind == "parallel":
        found = _keys(options, "fields")
        missing = "two fields or more: write “fields”"
    else:
        found = [key for name in FIELDS[kind] for key in _keys(options, name)[:1]]
        missing = " and ".join(f"“{name}”" for name in FIELDS[kind][: LEAST[kind]])
    if len(found) < LEAST[kind]:
        raise BadBlock(f"A chart of the kind {kind} needs {missing}.", options.first_line)
    return found


def _keys(options: Options, name: str) -> list[str]:
    """Return the fields of the run table that a key names. Raises BadBlock for others."""
    for key in options.listed(name):
        if fields.find(key) is None:
            raise BadBlock(
                f"“{key[:60]}” is no field of runs. Write it as in the address of the run table: "
                "state, config.lr, metric.loss, metric.loss.min.",
                options.line(name),
            )
    return options.listed(name)


def _axis(options: Options, axis: str) -> str:
    if axis not in {"x", "y"}:
        raise BadBlock(f"“log” takes x and y, not “{axis[:20]}”.", options.line("log"))
    return axis


def _smoothing(options: Options) -> dict[str, Any]:
    if not (text := options.text("smooth")):
        return {}
    method, _, amount = text.partition(" ")
    try:
        value = float(amount or "nan")
    except ValueError:
        value = float("nan")
    if method not in SMOOTHING or (method != "none" and not 0 <= value <= 500):
        raise BadBlock(
            f"“smooth” is a method and how much: ema 0.6, mean 9, gaussian 4; not “{text[:40]}”.",
            options.line("smooth"),
        )
    return {"smooth": method} | ({} if method == "none" else {"amount": value})


kinds.register(ChartBlock())

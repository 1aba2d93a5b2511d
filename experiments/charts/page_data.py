"""What the scripts of a chart page are given: runs, metrics, fields, addresses and the layout."""

from collections.abc import Sequence
from typing import Any

from django.templatetags.static import static
from django.urls import reverse

from experiments.charts.panels import Layout
from experiments.charts.selection import Selection
from experiments.media.reading import Name
from experiments.models import Project, Run, Series
from experiments.run_table import compare, fields
from experiments.templatetags.figures import colour

ADDRESSES = {name: name for name in ("data", "values", "bars", "importance", "keep", "media")} | {
    "items": "media_items",
    "histograms": "media_histograms",
}
# Of a project whose runs log thousands of metrics.
MOST_NAMES = 3_000
EACH_ITS_OWN = {"number", "name", "progress"}


def metric_names(runs: Sequence[Run]) -> list[str]:
    """Return the metrics that these runs have, by name."""
    rows = Series.objects.filter(run__in=[run.pk for run in runs]).order_by("name")
    return list(rows.values_list("name", flat=True).distinct()[:MOST_NAMES])


def make(
    *,
    project: Project,
    selection: Selection,
    names: Sequence[str],
    layout: Layout,
    is_saved: bool,
    media: Sequence[Name] = (),
) -> dict[str, Any]:
    """Return it as JSON can have it; `is_saved` says that the layout is a named one."""
    return {
        "runs": run_facts(selection.runs),
        "names": list(names),
        "media": [{"name": one.name, "kind": one.kind} for one in media],
        "fields": [_field(offer) for offer in fields.catalogue(project)],
        "layout": layout.model_dump(mode="json"),
        "saved": is_saved,
        "urls": addresses(project),
    }


def run_facts(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return what a script has to know of each run to draw it."""
    labels, dashes = compare.labels(runs), compare.dashes(runs)
    return [
        {
            "number": run.number,
            "label": labels[run.number],
            "url": run.get_absolute_url(),
            "colour": colour(run.number),
            "dash": dashes[run.number],
            "open": run.is_open,
        }
        for run in runs
    ]


def addresses(project: Project) -> dict[str, str]:
    """Return where a script finds what it draws, and where it keeps the layout."""
    return {
        name: reverse(f"experiments:charts_{address}", args=[project.slug])
        for name, address in ADDRESSES.items()
    } | {"plotly": static("vendor/plotly.min.js")}


def _field(offer: fields.Offer) -> dict[str, Any]:
    """Return a field as pickers list it; `groups` says that runs may share a value of it."""
    field = offer.field
    own = field.kind in {fields.Kind.TIME, fields.Kind.DURATION, fields.Kind.MONEY}
    groups = offer.varies and field.group != "metric" and not own and field.key not in EACH_ITS_OWN
    return {"key": field.key, "title": field.title, "kind": field.group, "groups": groups}

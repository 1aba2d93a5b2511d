"""Charts drawn here, for files and for pages without a script: the same data as on the charts page.

`picture` makes shapes of a chart, `svg` writes them for HTML; experiments/reports/export/pdf.py has
the other pen.
"""

from experiments.reports.drawing.charts import picture
from experiments.reports.drawing.svg import svg, written

__all__ = ["picture", "svg", "written"]

"""The fields of runs: what a column, an order, a group and a name in a query stand for.

A field has a key, as addresses have it: `state`, `resources.gpus`, `config.optim.lr`,
`metric.loss`, `metric.loss.min`. `find` makes the field of a key. Each field says what the
database orders by and reads its values for a page of runs; `catalogue` says which fields the runs
of a project have. An app above this one adds its own with `register`.
"""

from experiments.run_table.fields.catalogue import Offer, catalogue
from experiments.run_table.fields.kinds import Field, Kind, Source
from experiments.run_table.fields.lookup import find, ordered, register, values

__all__ = [
    "Field",
    "Kind",
    "Offer",
    "Source",
    "catalogue",
    "find",
    "ordered",
    "register",
    "values",
]

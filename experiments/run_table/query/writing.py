"""Terms of a query that find what a cell or a group shows, for links: `run.state == "failed"`."""

import json
import math
import re
from datetime import datetime

from experiments.run_table.fields import Field, Kind, find
from experiments.run_table.fields.built_in import BUILT_IN
from experiments.run_table.query.literals import STATES
from experiments.run_table.query.names import FACTS, METRIC

# What needs no brackets after a dot.
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[./-][A-Za-z0-9_]+)*")
SHORT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quoted(text: str) -> str:
    """Return the text in quotes, of the kind that is not in it where there is one."""
    quote = "'" if '"' in text and "'" not in text else '"'
    return quote + text.replace(quote, quote * 2) + quote


def name(key: str) -> str:
    """Return how the query line calls the field of this key."""
    if key in BUILT_IN:
        return f"run.{key}"
    prefix, _, rest = key.partition(".")
    if prefix == "config":
        if SHORT.fullmatch(rest) and rest not in {*FACTS, *STATES, *METRIC, "config", "resources"}:
            return f"run.{rest}"
        return key if PLAIN.fullmatch(rest) else f"config[{quoted(rest)}]"
    if prefix == "metric":
        # The key may end in a column of the summary, which stays outside of brackets.
        return f"metrics.{rest}" if PLAIN.fullmatch(rest) else f"metric.{quoted(rest)}"
    return key


def term(key: str, value: object) -> str:
    """Return the term that holds for runs with this value; nothing if none can say it."""
    field = find(key)
    if field is None:
        return ""
    if value is None or value == []:
        return f"{name(key)} is None"
    if field.kind == Kind.LIST and isinstance(value, list):
        return " and ".join(f"{quoted(str(item))} in {name(key)}" for item in value)
    if isinstance(value, dict | list):
        return ""
    return f"{name(key)} == {_literal(field, value)}"


def _literal(field: Field, value: object) -> str:
    match value:
        case datetime():
            return value.date().isoformat()
        case bool():
            return str(value)
        case float() if not math.isfinite(value):
            return "nan"
        case int() | float():
            return json.dumps(value)
    return quoted(str(value)) if field.key != "state" else str(value)


def with_term(text: str, added: str) -> str:
    """Return the query with one more term that has to hold, beside an `or` as well."""
    if not text.strip() or not added:
        return text.strip() or added
    # Brackets change nothing where there is no `or`, and are left out there.
    left = f"({text.strip()})" if re.search(r"\bor\b", text) else text.strip()
    return f"{left} and {added}"

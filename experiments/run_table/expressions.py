"""SQL for what Django has no expression for, the same on both databases.

A setting is whatever JSON a program has sent, so each is looked at as a number, as a text and as
the value itself: databases disagree on how a number and a text compare, and on what `true` is.
"""

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import CharField, FloatField, Func, TextField, Value
from django.db.models.expressions import Combinable

from experiments.run_table import setting_paths


class Moment(Func):
    """A time as a number of seconds that the database subtracts by itself.

    Django's difference of times is a Python function on SQLite: 20 times slower on 10,000 rows.
    """

    output_field: Any = FloatField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "(julianday(%(expressions)s) * 86400.0)"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "extract(epoch from %(expressions)s)"
        return self.as_sql(compiler, connection, template=template, **context)


class Setting(Func):
    """A setting as JSON, in whichever way a run has it under this name; NULL where it is missing.

    A JSON null is a value here: 'null'. `column` is where settings are looked for.
    """

    output_field: Any = TextField()

    def __init__(self, name: str, column: str = "config") -> None:
        super().__init__(column)
        self.readings = setting_paths.readings(name)

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        paths = ["$" + "".join(f".{json.dumps(key)}" for key in keys) for keys in self.readings]
        return self._first(compiler, "({column} -> %s)", paths)

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        return self._first(compiler, "({column} #> %s::text[])", [list(k) for k in self.readings])

    def _first(self, compiler: Any, template: str, paths: Sequence[object]) -> Any:
        column, parameters = compiler.compile(self.source_expressions[0])
        if not paths:
            return "NULL", ()
        reads = [template.replace("{column}", column)] * len(paths)
        sql = f"COALESCE({', '.join(reads)})" if paths[1:] else reads[0]
        return sql, tuple(part for path in paths for part in (*parameters, path))


class _OfSetting(Func):
    """Something of a setting; the templates stand on the setting's JSON."""

    sqlite = ""
    postgresql = ""

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self._filled(compiler, self.sqlite, context, connection)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self._filled(compiler, self.postgresql, context, connection)

    def _filled(self, compiler: Any, template: str, *_: Any) -> Any:
        sql, parameters = compiler.compile(self.source_expressions[0])
        return template.replace("{json}", sql), tuple(parameters) * template.count("{json}")


class TypeOf(_OfSetting):
    """The JSON type: number, text, true, false, null, array, object; NULL where it is missing."""

    output_field: Any = CharField()
    sqlite = (
        "(CASE json_type({json}) WHEN 'integer' THEN 'number' WHEN 'real' THEN 'number' "
        "ELSE json_type({json}) END)"
    )
    postgresql = (
        "(CASE jsonb_typeof({json}) WHEN 'boolean' THEN {json} #>> '{}' "
        "WHEN 'string' THEN 'text' ELSE jsonb_typeof({json}) END)"
    )


class NumberOf(_OfSetting):
    """The setting as a number; NULL for everything else."""

    output_field: Any = FloatField()
    sqlite = "(CASE WHEN json_type({json}) IN ('integer', 'real') THEN {json} ->> '$' END)"
    # No float: a seed of 64 bits is compared to its last digit.
    postgresql = "(CASE WHEN jsonb_typeof({json}) = 'number' THEN ({json})::numeric END)"


class TextOf(_OfSetting):
    """The setting as it is written: 0.1, true, adam, [1, 2]; NULL for null and what is missing."""

    output_field: Any = TextField()
    sqlite = (
        "(CASE json_type({json}) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "
        "WHEN 'null' THEN NULL ELSE {json} ->> '$' END)"
    )
    postgresql = "(NULLIF({json}, 'null'::jsonb) #>> '{}')"


class ElementOf(Func):
    """Whether a JSON array has this text or number in it, of exactly that type."""

    output_field: Any = FloatField()

    def __init__(self, array: Combinable | str, value: object) -> None:
        super().__init__(array, Value(json.dumps(value, ensure_ascii=False)))


def number_and_text(setting: Setting) -> list[Combinable]:
    """Return what to order a setting by: numbers by their size, then texts by their letters."""
    return [NumberOf(setting), TextOf(setting)]

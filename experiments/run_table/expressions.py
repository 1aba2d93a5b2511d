"""SQL for what Django has no expression for, the same on both databases.

A setting is whatever JSON a program has sent, so each is looked at as a number, as a text and as
the value itself: databases disagree on how a number and a text compare, and on what `true` is.
What a person has typed is always a parameter (S608 below: the rest is written here).
"""

import json
import re
from typing import Any

from django.db import connection
from django.db.models import BooleanField, CharField, FloatField, Func, TextField
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
        column, parameters = compiler.compile(self.source_expressions[0])
        paths = ["$" + "".join(f".{json.dumps(key)}" for key in keys) for keys in self.readings]
        reads = [f"({column} -> %s)"] * len(paths)
        sql = f"COALESCE({', '.join(reads)})" if paths[1:] else "".join(reads) or "NULL"
        return sql, tuple(part for path in paths for part in (*parameters, path))

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        column, parameters = compiler.compile(self.source_expressions[0])
        paths = [list(keys) for keys in self.readings]
        if not paths:
            return "NULL::jsonb", ()
        if len(paths) == 1:
            return f"({column} #> %s::text[])", (*parameters, *paths)
        # Unpacking a compressed config takes longer than everything else: what is put together
        # with nothing is unpacked, once for all of the readings.
        reads = ", ".join(["unpacked.config #> %s::text[]"] * len(paths))
        source = f"(SELECT {column} || '{{}}'::jsonb AS config OFFSET 0) AS unpacked"
        return f"(SELECT COALESCE({reads}) FROM {source})", (*paths, *parameters)  # noqa: S608


class _OfSetting(Func):
    """Something of a setting; the templates stand on the setting's JSON."""

    sqlite = ""
    postgresql = ""
    # Of the templates, in their order; `{json}` needs none.
    parameters: tuple[object, ...] = ()

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        return self._filled(compiler, self.sqlite)

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        return self._filled(compiler, self.postgresql)

    def _filled(self, compiler: Any, template: str) -> Any:
        """Return the SQL of a template and the parameters of its parts, in their order."""
        sql, parameters = compiler.compile(self.source_expressions[0])
        pieces = template.split("{json}")
        own = iter(self.parameters)
        filled: list[object] = []
        for number, piece in enumerate(pieces):
            filled += parameters if number else ()
            filled += (next(own) for _ in range(piece.count("%s")))
        return sql.join(pieces), tuple(filled)


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
    postgresql = (
        "(CASE WHEN jsonb_typeof({json}) = 'number' THEN ({json})::numeric::double precision END)"
    )


class TextOf(_OfSetting):
    """The setting as it is written: 0.1, true, adam, [1, 2]; NULL for null and what is missing."""

    output_field: Any = TextField()
    sqlite = (
        "(CASE json_type({json}) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "
        "WHEN 'null' THEN NULL ELSE {json} ->> '$' END)"
    )
    postgresql = "(NULLIF({json}, 'null'::jsonb) #>> '{}')"


class OrderOf(_OfSetting):
    """What settings are ordered by on PostgreSQL: texts, then numbers, then true and false."""

    output_field: Any = TextField()
    sqlite = (
        "(CASE json_type({json}) WHEN 'text' THEN 1 WHEN 'integer' THEN 2 WHEN 'real' THEN 2 "
        "WHEN 'false' THEN 3 WHEN 'true' THEN 4 WHEN 'null' THEN NULL ELSE 5 + "
        "(json_type({json}) = 'object') END)"
    )
    postgresql = "NULLIF({json}, 'null'::jsonb)"


class Equals(_OfSetting):
    """Whether a setting is one of these values, of its type: 1 is 1.0, and neither true nor "1".

    All values at once, so that the setting is looked up as often for a hundred as for one.
    """

    conditional = True
    output_field: Any = BooleanField()

    def __init__(self, setting: Setting, *values: object) -> None:
        super().__init__(setting)
        self.values = values

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        self.parameters = tuple(json.dumps(value) for value in self.values)
        places = ", ".join(["%s::jsonb"] * len(self.values))
        return self._filled(compiler, f"({{json}} IN ({places}))")

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        by_type: dict[str, list[object]] = {}
        for value in self.values:
            by_type.setdefault(_sqlite_type(value), []).append(value)
        conditions: list[str] = []
        parameters: list[object] = []
        for kind, values in by_type.items():
            places = ", ".join(["%s"] * len(values))
            if kind in {"'null'", "'true'", "'false'"}:
                conditions.append(f"json_type({{json}}) = {kind}")
            elif kind == "'array', 'object'":
                conditions.append(f"json({{json}}) IN ({places})")
                parameters += [json.dumps(value, separators=(",", ":")) for value in values]
            else:
                conditions.append(
                    f"(json_type({{json}}) IN ({kind}) AND {{json}} ->> '$' IN ({places}))"
                )
                parameters += values
        self.parameters = tuple(parameters)
        return self._filled(compiler, f"({' OR '.join(conditions)})")


def _sqlite_type(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "'null'", True: "'true'", False: "'false'"}[value]
    if isinstance(value, list | dict):
        return "'array', 'object'"
    return "'text'" if isinstance(value, str) else "'integer', 'real'"


class Compares(_OfSetting):
    """Whether a setting is a number below or above this one; `sign` is one of < <= > >=."""

    conditional = True
    output_field: Any = BooleanField()

    def __init__(self, setting: Setting, sign: str, value: float) -> None:
        super().__init__(setting)
        if sign not in {"<", "<=", ">", ">="}:
            raise ValueError(sign)
        self.sign, self.value = sign, value

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        self.parameters = (self.value,)
        number = "json_type({json}) IN ('integer', 'real')"
        return self._filled(compiler, f"({number} AND {{json}} ->> '$' {self.sign} %s)")

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        # JSON of other types is less or more than any number. The comparison stands first: where
        # it fails, the setting is looked up once.
        self.parameters = (json.dumps(self.value),)
        template = f"({{json}} {self.sign} %s::jsonb AND jsonb_typeof({{json}}) = 'number')"
        return self._filled(compiler, template)


class HasElement(Func):
    """Whether a JSON array has this text, number or truth in it; false for what is no array.

    `loosely` takes capitals for small letters (on SQLite those of A to Z alone).
    """

    conditional = True
    output_field: Any = BooleanField()

    def __init__(self, array: Any, value: object, *, loosely: bool = False) -> None:
        super().__init__(array)
        self.value, self.loosely = value, loosely

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        sql, parameters = compiler.compile(self.source_expressions[0])
        array = f"CASE json_type({sql}) WHEN 'array' THEN {sql} ELSE '[]' END"
        kinds = {bool: "'true', 'false'", str: "'text'"}.get(type(self.value), "'integer', 'real'")
        equal = "lower(value) = lower(%s)" if self.loosely else "value = %s"
        return (
            f"EXISTS (SELECT 1 FROM json_each({array}) WHERE type IN ({kinds}) AND {equal})",  # noqa: S608
            (*parameters, *parameters, self.value),
        )

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        sql, parameters = compiler.compile(self.source_expressions[0])
        if self.loosely:
            array = f"CASE jsonb_typeof({sql}) WHEN 'array' THEN {sql} ELSE '[]' END"
            each = f"jsonb_array_elements_text({array}) AS element"
            return (
                f"EXISTS (SELECT 1 FROM {each} WHERE lower(element) = lower(%s))",  # noqa: S608
                (*parameters, *parameters, self.value),
            )
        # A number of its own contains itself, so arrays alone are asked.
        return (
            f"(jsonb_typeof({sql}) = 'array' AND {sql} @> %s::jsonb)",
            (*parameters, *parameters, json.dumps(self.value)),
        )


class Like(Func):
    """Whether a text is like a pattern in which * stands for any characters, whatever the case."""

    conditional = True
    output_field: Any = BooleanField()

    def __init__(self, text: Any, pattern: str) -> None:
        super().__init__(text)
        escaped = re.sub(r"([\\%_])", r"\\\1", pattern)
        self.pattern = escaped.replace("*", "%")

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        sql, parameters = compiler.compile(self.source_expressions[0])
        return f"({sql} LIKE %s ESCAPE '\\')", (*parameters, self.pattern)

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        sql, parameters = compiler.compile(self.source_expressions[0])
        return f"({sql} ILIKE %s ESCAPE '\\')", (*parameters, self.pattern)


def order_of(setting: Setting) -> list[Combinable]:
    """Return what to order a setting by: by its type, then by its size or its letters."""
    if connection.vendor == "sqlite":
        return [OrderOf(setting), TextOf(setting)]
    return [OrderOf(setting)]

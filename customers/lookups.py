"""Questions about columns that Django has no words for on both databases."""

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import Field, ForeignKey, JSONField, Lookup


@JSONField.register_lookup
class HasAnyOf(Lookup):
    """tags__has_any_of=["vip", "press"]: a JSON list that holds one of these texts.

    The texts travel as one bound parameter; a list that is no list holds nothing.
    """

    lookup_name = "has_any_of"
    prepare_rhs = False

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        asked = connection.ops.adapt_json_value(list(self.rhs), None)
        return (
            # Only the column's own name is put in; what is asked for is bound.
            f"(json_type({column}) = 'array' AND EXISTS (SELECT 1 FROM "  # noqa: S608
            f"json_each({column}) AS held JOIN json_each(%s) AS asked "
            "ON held.type = 'text' AND held.value = asked.value))",
            [*params, *params, asked],
        )

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        return (
            f"(jsonb_typeof({column}) = 'array' AND {column} ?| %s::text[])",
            [*params, *params, list(self.rhs)],
        )


@ForeignKey.register_lookup
@Field.register_lookup
class OneOf(Lookup):
    """pk__one_of=[1, 2, 3]: as "in", for thousands of numbers or texts.

    They travel as one bound parameter, which no database reads as a question of
    thousands of words.
    """

    lookup_name = "one_of"
    prepare_rhs = False

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        asked = in_one_parameter(self.rhs, connection)
        # Only the column's own name is put in; what is asked for is bound.
        return (
            f"{column} IN (SELECT value FROM json_each(%s))",  # noqa: S608
            [*params, asked],
        )

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        kind = self.lhs.output_field.rel_db_type(connection).partition("(")[0]
        asked = in_one_parameter(self.rhs, connection)
        return f"{column} = ANY(%s::{kind}[])", [*params, asked]


def in_one_parameter(values: Iterable[Any], connection: Any) -> str:
    """As "one_of" binds numbers or texts on this database."""
    listed = list(values)
    return json.dumps(listed) if connection.vendor == "sqlite" else _array(listed)


def _array(values: list[Any]) -> str:
    """PostgreSQL's own way to write an array; the driver's takes six times as long."""
    if not values or not isinstance(values[0], str):
        return f"{{{','.join(map(str, values))}}}"
    signs = "".join(values)
    if '"' in signs or "\\" in signs:
        values = [one.replace("\\", r"\\").replace('"', r"\"") for one in values]
    quoted = '","'.join(values)
    return f'{{"{quoted}"}}'

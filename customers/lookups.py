"""Questions about columns that Django has no words for on both databases."""

from typing import Any

from django.db.models import JSONField, Lookup


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

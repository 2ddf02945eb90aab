"""Cells for files that people open in a spreadsheet."""

# The wide ones are what a Japanese or Chinese spreadsheet takes for the same.
_BEGINS_A_FORMULA = frozenset("=+-@＝＋－＠")


def formula_safe(value: object) -> object:
    """A cell that no spreadsheet runs as a formula, whatever is unseen before it."""
    if isinstance(value, str) and (
        value[:1] in {"\t", "\r"} or _first_seen(value) in _BEGINS_A_FORMULA
    ):
        return "'" + value
    return value


def _first_seen(value: str) -> str:
    return next((one for one in value if one.isprintable() and one != " "), "")

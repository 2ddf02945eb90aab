"""Cells for files that people open in a spreadsheet."""


def formula_safe(value: object) -> object:
    """A cell that no spreadsheet runs as a formula, blanks before it or not."""
    if isinstance(value, str) and (
        value[:1] in {"\t", "\r"} or value.lstrip()[:1] in {"=", "+", "-", "@"}
    ):
        return "'" + value
    return value

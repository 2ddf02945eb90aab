"""What a mail may say about one person: plain values, and nothing with methods."""

from collections.abc import Mapping

# shop.name is two deep, order.lines[0].product four.
DATA_MAX_DEPTH = 4


def plain_data(data: Mapping[str, object]) -> dict[str, object]:
    """A recipient's data, checked and copied; what is blank or None is left away.

    Raises TypeError if it holds anything but text, numbers, yes or no, and lists and
    mappings of these: no object may reach a template.
    """
    return {
        key: kept
        for key, value in data.items()
        if (kept := _plain(value, key, 1)) is not None
    }


def _plain(value: object, name: str, depth: int) -> object:
    kind = type(value)
    if kind is str:
        return value if value.strip() else None  # type: ignore[attr-defined]
    if kind in {int, float, bool} or value is None:
        return value
    if depth >= DATA_MAX_DEPTH:
        raise TypeError(f"{name} is nested more than {DATA_MAX_DEPTH} deep.")
    if isinstance(value, str):
        return str(value) if value.strip() else None
    if isinstance(value, Mapping):
        pairs = ((k, _plain(v, f"{name}.{k}", depth + 1)) for k, v in value.items())
        return {str(k): v for k, v in pairs if v is not None}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{name}[{i}]", depth + 1) for i, item in enumerate(value)]
    raise TypeError(
        f"{name} is {kind.__name__}; a mail needs text, a number, yes or no, or lists "
        "and mappings of these: write it out before."
    )

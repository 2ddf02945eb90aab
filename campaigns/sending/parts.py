"""What a call that leaves says of each of its recipients, whoever the provider is.

The smallest part of it in which an address and the word of its mail stand together has
to hold what is theirs, and nothing of anybody else's.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from campaigns.content.arrived import ONE_CLICK, Expected, problems_of

_RAW: Final = ("Content", "Raw", "Data")
_NESTED: Final = ("{", "[")


def problems_of_call(
    params: Mapping[str, Any], mine: Expected, others: Sequence[Expected]
) -> list[str] | None:
    """What is wrong with this mail in a call; None where the call does not carry it.

    params: as requests takes them, or botocore.
    """
    raw = _raw(params)
    if raw is not None:
        carries = mine.word.encode() in raw or mine.address.encode() in raw
        return problems_of(raw, mine, others) if carries else None
    tree = _tree(params)
    whole = _written(tree)
    if mine.word not in whole:
        return None
    parts = sorted(map(_written, _nodes(tree)), key=len)
    own = next(
        (one for one in parts if mine.word in one and _names(one, mine.address)), None
    )
    if own is None:
        return ["its words stand nowhere beside its address"]
    problems = []
    if mine.unsubscribe not in own or ONE_CLICK not in whole:
        problems.append("its List-Unsubscribe pair is missing")
    if any(_names(own, one.address) for one in others if one.address != mine.address):
        problems.append("another one's address stands in its part of the call")
    if any(one.word in own or one.unsubscribe in own for one in others):
        problems.append("another one's words stand in its part of the call")
    return problems


def _raw(params: Mapping[str, Any]) -> bytes | None:
    """The mail of a call that carries it whole, MIME and all."""
    found: Any = params
    for name in _RAW:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, bytes) else None


def _tree(params: Mapping[str, Any]) -> Any:
    """What is told of mails, apart from who tells it: headers hold the key."""
    data = params["data"] if "data" in params else dict(params)
    if isinstance(data, bytes):
        data = data.decode(errors="replace")
    if isinstance(data, str):
        found = _opened(data)
        data = parse_qs(data, keep_blank_values=True) if found is data else found
    return _opened_within(data)


def _opened_within(node: Any) -> Any:
    """JSON that stands as a text within JSON, too."""
    if isinstance(node, Mapping):
        return {str(name): _opened_within(one) for name, one in node.items()}
    if isinstance(node, list | tuple):
        return [_opened_within(one) for one in node]
    if isinstance(node, str) and (found := _opened(node)) is not node:
        return _opened_within(found)
    return node


def _opened(text: str) -> Any:
    if not text.lstrip().startswith(_NESTED):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _nodes(tree: Any) -> Iterator[Any]:
    """Every part of it; a name and what it names are one, too."""
    if isinstance(tree, dict):
        yield tree
        for name, one in tree.items():
            yield {name: one}
            yield from _nodes(one)
    elif isinstance(tree, list):
        yield tree
        for one in tree:
            yield from _nodes(one)


def _written(node: Any) -> str:
    return json.dumps(node, ensure_ascii=False, default=str)


def _names(text: str, address: str) -> bool:
    return (
        re.search(rf"(?<![\w.+-]){re.escape(address)}(?![\w-]|\.\w)", text) is not None
    )

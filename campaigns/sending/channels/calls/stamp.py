"""A provider's own form of one mail, made once and stamped for everybody in a call.

Anymail writes a mail in which a mark stands wherever something is one person's own. In
the JSON that comes of it the marks are places; what stands there is written as JSON
beforehand, the variant's static text once for all.
"""

import re
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from campaigns.content.render import CompiledVariant
from campaigns.sending.channels.calls import Filled, Write

# Letters and digits alone, which everybody writes back as they are.
_MARK: Final = "atq{digest}n{number}z"
_ANY: Final = re.compile(r"atq[0-9a-f]{16}n\d+z")
_DIGEST_CHARACTERS: Final = 16
# Of the marks, in this order; headers come behind.
_ADDRESS, _ID, _SUBJECT, _HTML, _TEXT = range(5)
_WORDS: Final = {_SUBJECT, _HTML, _TEXT}
_HEADERS: Final = 5
_DOMAIN: Final = "@example.com"


def pattern(write: Write, mail: Filled) -> Any:
    """The message that Anymail gets: what the mails of a call have in common, and
    marks."""
    mark = _marks(mail.variant)
    message = write(
        mail.variant,
        to=[mark(_ADDRESS) + _DOMAIN],
        subject=mark(_SUBJECT),
        html=mark(_HTML),
        text=mark(_TEXT),
        headers={
            name: mark(_HEADERS + number) for number, name in enumerate(mail.headers)
        },
    )
    message.metadata = {**mail.envelope.metadata, "d": mark(_ID)}
    return message


def _marks(variant: CompiledVariant) -> Any:
    digest = variant.sha256[:_DIGEST_CHARACTERS]
    return lambda number: _MARK.format(digest=digest, number=number)


def is_marked(written: str) -> bool:
    """Is something in it one person's own?"""
    return _ANY.search(written) is not None


class Stamp:
    """JSON of a pattern, to be filled for each mail of a call."""

    def __init__(self, written: str, mail: Filled) -> None:
        """Raises ValueError if it has no place for subject, HTML or text."""
        digest = mail.variant.sha256[:_DIGEST_CHARACTERS]
        mark = _MARK.format(digest=digest, number=r"(\d+)") + f"(?:{_DOMAIN})?"
        pieces = re.split(mark, written)
        numbers = [int(number) for number in pieces[1::2]]
        if not set(numbers) >= _WORDS:
            raise ValueError("A mail lost its words on the way through the library.")
        self._names = list(mail.headers)
        n_html, n_text = len(mail.html), len(mail.text)
        # What a mail's values are, in the order of _values().
        html, text = _TEXT - 1, _TEXT - 1 + n_html
        headers = text + n_text
        self._static, self._order = [pieces[0]], list[int]()
        for number, after in zip(numbers, pieces[2::2], strict=True):
            if number == _HTML:
                self._add(mail.variant.html.static, range(html, text), after)
            elif number == _TEXT:
                self._add(mail.variant.text.static, range(text, headers), after)
            elif number >= _HEADERS:
                self._add(("", ""), [headers + number - _HEADERS], after)
            else:
                self._add(("", ""), [number], after)

    def _add(self, static: Sequence[str], places: Sequence[int], after: str) -> None:
        self._static[-1] += _json(static[0])
        self._static += map(_json, static[1:])
        self._static[-1] += after
        self._order += places

    def of(self, mail: Filled) -> str:
        headers = [mail.headers[name] for name in self._names]
        own = (mail.address, str(mail.public_id), mail.subject)
        values = [_json(one) for one in (*own, *mail.html, *mail.text, *headers)]
        parts = [""] * (2 * len(self._static) - 1)
        parts[::2] = self._static
        parts[1::2] = [values[place] for place in self._order]
        return "".join(parts)


def _json(text: str) -> str:
    """As it stands between the quotes of a JSON text."""
    written: str = encode_basestring_ascii(text)
    return written[1:-1]

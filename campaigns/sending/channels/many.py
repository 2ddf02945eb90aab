"""Many mails in one call, for the providers that take them so.

A call that is refused as a whole says nothing about who in it is to blame: it is halved
until the one who is stands alone. Only what surely was not sent is asked again, so that
nobody is mailed twice. One mail alone leaves as it would through anymail.py.

Source: sending.md 1.2 to 1.5, 3.6.
"""

import time
import uuid
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, cast

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import BadHeaderError

from campaigns.content.dialects import (
    READ_EVERYWHERE,
    refuse_code,
    refuse_code_in_headers,
)
from campaigns.content.render import CompiledVariant, RecipientContext, fill
from campaigns.errors import ProviderMisconfigured
from campaigns.sending.channels import (
    BAD_IN_A_ROW,
    NOT_REACHED,
    STOPS,
    Channel,
    Envelope,
    LeavingCall,
    Outgoing,
    Refused,
    Result,
)
from campaigns.sending.channels.anymail import (
    AnymailChannel,
    from_line,
    heads_problem,
    readable,
)
from campaigns.sending.channels.calls import (
    KEY_SECONDS,
    MIXED,
    PLAIN_ADDRESS,
    Call,
    Entry,
    Filled,
    Repeatable,
    call_of,
)
from campaigns.sending.classify import classify, status_code

# The largest that settings.MAILS_PER_CALL may be: a batch holds a group.
BATCH_SIZE: Final = 500
# One call of a group, and twice as often as 500 can be halved, with some to spare.
MOST_CALLS: Final = 24
TOO_LARGE: Final = 413
_KEYS: Final = uuid.UUID("b7b2a9a5-6f1e-4a55-a3b2-1e0a4ae6a2c7")


@dataclass(slots=True)
class _Part:
    """Mails, by number, that may leave in one call."""

    numbers: list[int] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    bytes: int = 0


class ManyChannel(AnymailChannel):
    """A group is one call where it can be; the results are read per customer."""

    batch_size = BATCH_SIZE
    group_answers = MOST_CALLS

    def __init__(self, provider: str, call: Call) -> None:
        super().__init__(
            provider,
            f"anymail.backends.{provider}.EmailBackend",
            group_size=min(settings.MAILS_PER_CALL, call.most),
        )
        self._call = call
        # Above 0: a call in doubt may be repeated for so long under its key.
        self.key_seconds = KEY_SECONDS.get(provider, 0.0)
        # Told of every call before it leaves, by who can repeat it; see repeating.py.
        self.keep: Callable[[LeavingCall], None] | None = None
        # Halved when the provider says that a call was too large, or tells of a call
        # only how many in it were refused.
        self._most = self.group_size
        self._leaving: Sequence[Filled] = ()
        self._repeats: LeavingCall | None = None

    def compose(
        self, envelope: Envelope, variant: CompiledVariant, context: RecipientContext
    ) -> Outgoing:
        slots = fill(variant, context)
        if self.provider in READ_EVERYWHERE:
            refuse_code(
                self.provider,
                slots.subject,
                variant.html.filled(slots.html),
                variant.text.filled(slots.text),
            )
        headers = self._headers(slots.headers)
        refuse_code_in_headers(
            self.provider,
            envelope.address,
            from_line(variant),
            variant.sender.reply_to,
            *headers.values(),
        )
        return envelope.holding(
            Filled(
                envelope,
                variant,
                subject=slots.subject,
                html=slots.html,
                text=slots.text,
                headers=headers,
            ),
            unsubscribe=context.links.unsubscribe,
            texts=(variant.sha256, slots.subject, *slots.html, *slots.text),
        )

    def check(self, mail: Outgoing) -> str:
        body: Filled = mail.body
        if body.address != mail.address:
            return "it is addressed to somebody else than its customer"
        if body.public_id != mail.public_id:
            return "it would be taken for another message"
        return heads_problem(
            {
                "Subject": body.subject,
                "From": from_line(body.variant),
                "Reply-To": body.variant.sender.reply_to,
                **body.headers,
            },
            unsubscribe=mail.unsubscribe,
        )

    def hand_over(self, mails: Sequence[Outgoing]) -> list[Result]:
        results: list[Result] = [NOT_REACHED] * len(mails)
        waiting = list(self._parts(mails))[::-1]
        # More where they differ in kind: as long as one more is surely in time.
        most_calls = MOST_CALLS + len(waiting) - 1
        ends = time.monotonic() + (MOST_CALLS - 1) * self.timeout_seconds
        calls = bad = 0
        while (
            waiting
            and bad < BAD_IN_A_ROW
            and calls < most_calls
            and (calls < MOST_CALLS or time.monotonic() < ends)
        ):
            part = waiting.pop()
            if len(part) > self._most:
                waiting += _halves(part)
                continue
            told = self._ask([mails[number] for number in part])
            calls += 1
            if told is None:
                waiting += _halves(part)
                continue
            for number, result in zip(part, told, strict=True):
                results[number] = result
                bad = bad + 1 if _is_bad(result) else 0
            if any(isinstance(result, STOPS) for result in told):
                break
        return results

    def _parts(self, mails: Sequence[Outgoing]) -> Iterator[list[int]]:
        """Who leaves together, by number; whoever must leave alone does."""
        parts: dict[Hashable, _Part] = {}
        for number, mail in enumerate(mails):
            body: Filled = mail.body
            address, bytes_more = body.address.casefold(), self._call.bytes_of(body)
            if (
                not body.public_id
                or not PLAIN_ADDRESS.fullmatch(body.address)
                or bytes_more > self._call.most_bytes
                or not self._call.fits(body)
            ):
                yield [number]
                continue
            kind = body.variant, body.envelope.batch_id, self._call.kind(body)
            part = parts.setdefault(kind, _Part())
            if address in part.addresses:
                yield [number]
                continue
            if part.numbers and (
                len(part.numbers) >= self._most
                or part.bytes + bytes_more > self._call.most_bytes
            ):
                yield part.numbers
                part = parts[kind] = _Part()
            part.numbers.append(number)
            part.addresses.add(address)
            part.bytes += bytes_more
        yield from (part.numbers for part in parts.values())

    def _ask(self, mails: Sequence[Outgoing]) -> list[Result] | None:
        """One call's results; None when it is to be halved and asked again."""
        if len(mails) == 1:
            alone = self._call.alone(self.write, mails[0].body)
            return [self._hand_over(replace(mails[0], body=alone))]
        bodies = [mail.body for mail in mails]
        try:
            self._open()
            self._leaving = bodies
            told = self._call.post(
                self._connection, self.write, bodies, key=_key(bodies)
            )
        except (AnymailError, ImproperlyConfigured, BadHeaderError) as problem:
            self.close()
            code = status_code(problem) if isinstance(problem, AnymailError) else None
            whole = classify(problem, now_seconds=time.time())
        else:
            if MIXED in told:
                self._most = len(mails) // 2
            return told
        finally:
            self._leaving = ()
        if code == TOO_LARGE:
            self._most = len(mails) // 2
        return None if isinstance(whole, Refused) else [whole] * len(mails)

    def repeat(self, call: LeavingCall) -> list[Result]:
        """The same bytes under the same key; a result for each of its mails.

        A refusal says that this time it was not taken, and nothing of the first time.
        """
        count = len(call.public_ids)
        again = cast(Repeatable, self._call).again
        try:
            self._open()
            self._repeats, self._expected = call, b""
            return again(self._connection, call.body, key=call.key, mails=count)
        except (AnymailError, ImproperlyConfigured) as problem:
            self.close()
            return [classify(problem, now_seconds=time.time())] * count
        finally:
            self._repeats = None

    def _watch(self, client: Any) -> None:
        super()._watch(client)
        bulk = readable(client.send_bulk_email)
        client.send_bulk_email = partial(self._watched, bulk)

    def _watched(self, request: Any, **params: Any) -> Any:
        """The last look at a call: everybody in it, each with what is theirs."""
        if self._repeats is None and not self._leaving:
            if self.keep is not None and self._expected:
                self.keep(LeavingCall((self._expected_id,)))
            return super()._watched(request, **params)
        try:
            entries = self._call.entries(params)
        except (KeyError, TypeError, ValueError) as problem:
            raise self._dropped() from problem
        if self._repeats is not None:
            wanted = [str(one) for one in self._repeats.public_ids]
            if [entry.public_id for entry in entries] != wanted:
                raise self._dropped()
            return request(**params)
        if entries != [_expected(mail) for mail in self._leaving]:
            raise self._dropped()
        leaving = self._call.leaving(params)
        if self.keep is not None:
            ids = tuple(mail.public_id for mail in self._leaving)
            body = leaving["data"]
            body = body if isinstance(body, bytes) else str(body).encode()
            self.keep(LeavingCall(ids, _key(self._leaving), body))
        self.shown(leaving)
        return request(**leaving)


def _halves(part: list[int]) -> list[list[int]]:
    """The first half last: it is asked first."""
    middle = len(part) // 2
    return [part[middle:], part[:middle]]


def _is_bad(result: Result) -> bool:
    return isinstance(result, Refused) and result.reason == "not_sent_bad"


def _expected(mail: Filled) -> Entry:
    return Entry(
        mail.address,
        str(mail.public_id),
        mail.headers["List-Unsubscribe"],
        mail.headers["List-Unsubscribe-Post"],
    )


def _key(mails: Sequence[Filled]) -> str:
    """One key for these mails of this hand-over, and for nothing else."""
    first, ids = mails[0].envelope, ",".join(str(mail.public_id) for mail in mails)
    return str(uuid.uuid5(_KEYS, f"{first.batch_id}/{first.generation}/{ids}"))


def build(provider: str) -> Channel:
    try:
        call = call_of(provider)
    except ImproperlyConfigured as problem:  # its library is not there
        raise ProviderMisconfigured(
            f"ATTUNE_PROVIDER is {provider}, which lacks something: {problem}"
        ) from None
    return ManyChannel(provider, call)

"""What came of the mails that verify a provider: by webhook, and in the mailboxes."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from campaigns.content import arrived
from campaigns.planning import links_lead_here
from campaigns.sending.channels.anymail import WITHOUT_METADATA
from campaigns.sending.verification import ARRIVED, REPORTS, SIGNED, Check
from campaigns.sending.verifying import SEEDS, CannotVerify, Mail
from customers.addresses import address_key
from engagement.inbox import told_since
from engagement.services import Event
from engagement.webhooks import provider_webhooks

POLL_SECONDS: Final = 1.0
FILES_MOST: Final = 1_000
FILE_BYTES: Final = 5_000_000
GIVE_THEM: Final = "give the received mails with --received"


def reports(
    mails: Sequence[Mail],
    *,
    provider: str,
    since: datetime,
    wait_seconds: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Check:
    """Whether what the provider reports names our mails by what it was told of them.

    Waits until each accepted mail was reported, at most so long.
    """
    if not provider_webhooks(provider):
        words = f"Not checked, because {provider} reports nothing by webhook."
        return Check(REPORTS, "not_checked", words, needed=False)
    wanted = {one.public_id: one for one in mails if one.accepted}
    if not wanted:
        return Check(REPORTS, "not_checked", "No mail was accepted.")
    found, nameless, last = set[int](), set[int](), 0
    ends = time.monotonic() + wait_seconds
    while True:
        for call, event in told_since(provider, since=since, after=last):
            last = call
            known = _mail_of(event, wanted)
            if event.public_id in wanted or provider in WITHOUT_METADATA:
                found.update({known.public_id} if known else ())
            elif known is not None:
                nameless.add(known.public_id)
        if len(found) == len(wanted) or time.monotonic() >= ends:
            break
        sleep(min(POLL_SECONDS, max(0.0, ends - time.monotonic())))
    return _reports_check(wanted, found, nameless - found, provider, wait_seconds)


def _mail_of(event: Event, wanted: dict[int, Mail]) -> Mail | None:
    if event.public_id is not None:
        return wanted.get(event.public_id)
    key = address_key(event.recipient)
    # By both: some providers give one id to a whole call.
    for one in wanted.values():
        same_id = one.provider_message_id == event.provider_message_id != ""
        if same_id and address_key(one.address) == key:
            return one
    return None


def _reports_check(
    wanted: dict[int, Mail],
    found: set[int],
    nameless: set[int],
    provider: str,
    waited_seconds: float,
) -> Check:
    if nameless:
        who = ", ".join(sorted({wanted[one].address for one in nameless}))
        words = f"{provider} reported mails to {who} without what it was told of them."
        return Check(REPORTS, "failed", words)
    if len(found) == len(wanted):
        by = "its own ids, since it keeps none of ours"
        how = by if provider in WITHOUT_METADATA else "the id they were given"
        words = f"All {len(wanted)} mails were reported, by {how}."
        return Check(REPORTS, "passed", words)
    many = f"{len(found)} of {len(wanted)} mails were reported"
    if not waited_seconds:
        words = f"{many} so far, and nobody waited."
        return Check(REPORTS, "not_checked", words)
    hint = (
        "ATTUNE_BASE_URL is an address that only this machine can reach."
        if links_lead_here()
        else "Is its webhook set up, as its page in docs/providers says?"
    )
    words = f"{many} within {waited_seconds:,.0f} seconds. {hint}"
    return Check(REPORTS, "failed", words)


def read_received(paths: Sequence[Path]) -> list[bytes]:
    """The saved mails in these files and folders. Raises CannotVerify."""
    mails = []
    for path in paths:
        files = sorted(path.glob("*.eml")) if path.is_dir() else [path]
        if not files:
            raise CannotVerify(f"--received: the folder {path} has no file ….eml.")
        if len(files) > FILES_MOST:
            raise CannotVerify(
                f"--received: at most {FILES_MOST:,} files are read; {path} has "
                f"{len(files):,}."
            )
        mails += [_read(file) for file in files]
    return mails


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES + 1)
    except OSError as problem:
        raise CannotVerify(f"--received: {path}: {problem.strerror}.") from None
    if len(raw) > FILE_BYTES:
        raise CannotVerify(f"--received: {path} has more than {FILE_BYTES:,} bytes.")
    if not arrived.is_mail(raw):
        raise CannotVerify(
            f"--received: {path} is no mail: a saved source with From and To is needed "
            "(“show original”, “download”)."
        )
    return raw


def received(raws: Sequence[bytes], mails: Sequence[Mail]) -> tuple[Check, Check]:
    """What arrived, and how it was signed; the three that left together are needed.

    A mail is known by the word in it, whoever it is addressed to.
    """
    if not raws:
        left = f"Not checked: {GIVE_THEM}."
        return Check(ARRIVED, "not_checked", left), Check(SIGNED, "not_checked", left)
    by_word = {one.word: one for one in mails}
    given, wrong, unsigned = dict[str, Mail](), list[str](), list[str]()
    for raw in raws:
        for word in arrived.words_in(raw, by_word):
            mail = given[word] = by_word[word]
            others = [one.expected for one in mails if one.word != word]
            where = f"{mail.address} in the batch of {mail.batch}"
            found = arrived.problems_of(raw, mail.expected, others)
            if found:
                wrong.append(f"{where}: {', '.join(found)}")
            if problem := arrived.signature_problem(raw):
                unsigned.append(f"{where}: {problem}")
    strange = sum(not arrived.words_in(raw, by_word) for raw in raws)
    missing = [
        one.address for one in mails if one.batch == SEEDS and one.word not in given
    ]
    known = f"{len(given)} of {len(mails)} mails were given"
    good = f"{known}, each with its own address, words and List-Unsubscribe pair."
    signed = (
        f"{known}; in each a signature of the sender’s domain names both list headers "
        "in h=. Whether it is good was not recomputed: Authentication-Results says so."
    )
    return (
        _received_check(ARRIVED, wrong, missing, strange, good),
        _received_check(SIGNED, unsigned, missing, strange, signed),
    )


def _received_check(
    name: str, wrong: Sequence[str], missing: Sequence[str], strange: int, good: str
) -> Check:
    """strange: so many files were none of these mails."""
    if wrong:
        return Check(name, "failed", f"{'; '.join(wrong)}.")
    if missing:
        words = f"Not given of the batch of three: the mail to {', '.join(missing)}"
        if strange:
            words += f"; files that are of other mails: {strange}"
        return Check(name, "not_checked", f"{words}. {GIVE_THEM.capitalize()}.")
    return Check(name, "passed", good)

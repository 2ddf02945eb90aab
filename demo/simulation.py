"""A SIMULATION of what customers do with their mail, by real requests to a real server.

It reads each mail as it lies in the outbox and does what mail clients do with it: asks
for the picture, follows a link, presses unsubscribe; a provider's reports go to the
provider's webhook. Every request says that it is simulated, so every figure made of it
says so too. Its rates are the same for every segment and tone: it knows nothing of
either, and no lift can be learnt from it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from random import Random
from threading import local
from urllib.parse import urlsplit

import requests

HEADER = "X-Attune-Simulation"
# Invented shares of mails; the order of magnitude of a small shop's newsletter.
SHARES = {
    "bounce": 0.008,
    "open": 0.42,
    "open_by_privacy_proxy": 0.18,
    "click_of_openers": 0.17,
    "scanner": 0.05,
    "unsubscribe_of_openers": 0.012,
    "complaint_of_openers": 0.001,
}
PEOPLE = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0",
)
PRIVACY_PROXY = "Mozilla/5.0"
SCANNER = "LinkScanner/1.0 (mail gateway; simulated)"
WORKERS = 4
_PICTURE = re.compile(rb"/o/[\w-]+\.gif")
_CLICK = re.compile(r"https?://[^\s\"'<>]+/c/[\w-]+/\d+")


@dataclass
class Mail:
    """One mail as its reader's programs see it."""

    public_id: str
    recipient: str
    picture: str | None
    links: tuple[str, ...]
    unsubscribe: str


@dataclass
class Simulated:
    """What was done: requests by kind, and those that were not answered well."""

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)


def read_mail(path: Path) -> Mail:
    """The addresses in an .eml of the outbox."""
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    html = message.get_body(("html",))
    words = html.get_content() if html is not None else ""
    picture = _PICTURE.search(words.encode())
    header = str(message["List-Unsubscribe"])
    address = re.search(r"<(https?://[^>]+)>", header)
    return Mail(
        public_id=path.stem,
        recipient=str(message["To"].addresses[0].addr_spec),
        picture=picture[0].decode() if picture else None,
        links=tuple(dict.fromkeys(_CLICK.findall(words))),
        unsubscribe=urlsplit(address[1]).path if address else "",
    )


class Simulation:
    """Seeded readers of mails, and the provider that reports on them."""

    def __init__(self, *, server: str, webhook_secret: str, seed: int) -> None:
        self._server = server.rstrip("/")
        self._secret = webhook_secret
        self._seed = seed
        self._mark = f"seed {seed}"
        # The server believes a simulation only with a proof that it is its own.
        self._header = f"{self._mark}; {webhook_secret}"
        self._local = local()

    def run(
        self, mails: Iterable[Path], *, progress: Callable[[], object]
    ) -> Simulated:
        """Let every mail be read, or not, as the seed says."""
        result = Simulated()
        with ThreadPoolExecutor(WORKERS) as pool:
            for done, failed in pool.map(self._live, mails):
                result.done.update(done)
                result.failed.update(failed)
                progress()
        return result

    def _live(self, path: Path) -> tuple[Counter[str], Counter[str]]:
        mail = read_mail(path)
        random = Random(f"{self._seed}-{mail.recipient}")
        steps = list(self._steps(mail, random))
        done: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for name, act in steps:
            (done if act() else failed)[name] += 1
        return done, failed

    def _steps(
        self, mail: Mail, random: Random
    ) -> Iterable[tuple[str, Callable[[], bool]]]:
        if random.random() < SHARES["bounce"]:
            yield "bounce", lambda: self._report(_bounce(mail))
            return
        yield "delivery", lambda: self._report(_delivery(mail))
        agent = random.choice(PEOPLE)
        if random.random() < SHARES["scanner"]:
            for link in mail.links:
                yield "scanner click", partial(self._get, link, SCANNER)
        if random.random() < SHARES["open_by_privacy_proxy"]:
            yield "proxy open", lambda: self._picture(mail, PRIVACY_PROXY)
        if random.random() >= SHARES["open"]:
            return
        yield "open", lambda: self._picture(mail, agent)
        if mail.links and random.random() < SHARES["click_of_openers"]:
            link = random.choice(mail.links)
            yield "click", lambda: self._get(link, agent)
        if random.random() < SHARES["unsubscribe_of_openers"]:
            yield "unsubscribe", lambda: self._unsubscribe(mail, agent)
        if random.random() < SHARES["complaint_of_openers"]:
            yield "complaint", lambda: self._report(_complaint(mail))

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        session: requests.Session = self._local.session
        return session

    def _picture(self, mail: Mail, agent: str) -> bool:
        return mail.picture is not None and self._get(mail.picture, agent)

    def _get(self, address: str, agent: str) -> bool:
        answer = self._session.get(
            self._server + urlsplit(address).path,
            headers={"User-Agent": agent, HEADER: self._header},
            allow_redirects=False,
            timeout=30,
        )
        return answer.status_code in {200, 302}

    def _unsubscribe(self, mail: Mail, agent: str) -> bool:
        answer = self._session.post(
            self._server + mail.unsubscribe,
            data={"List-Unsubscribe": "One-Click"},
            headers={"User-Agent": agent, HEADER: self._header},
            timeout=30,
        )
        return answer.status_code == 200

    def _report(self, body: dict[str, object]) -> bool:
        """A provider's report, in one real provider's format, to its webhook."""
        metadata = {"d": str(body.pop("d")), "simulated": self._mark}
        answer = self._session.post(
            f"{self._server}/anymail/postmark/tracking/",
            json={**body, "Metadata": metadata},
            auth=("attune", self._secret),
            timeout=30,
        )
        return answer.status_code == 200


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _delivery(mail: Mail) -> dict[str, object]:
    return {
        "RecordType": "Delivery",
        "d": mail.public_id,
        "MessageID": mail.public_id,
        "Recipient": mail.recipient,
        "DeliveredAt": _now(),
        "Details": "simulated delivery",
    }


def _bounce(mail: Mail) -> dict[str, object]:
    return {
        "RecordType": "Bounce",
        "d": mail.public_id,
        "ID": int(mail.public_id) % 2**53,
        "Type": "HardBounce",
        "TypeCode": 1,
        "MessageID": mail.public_id,
        "Email": mail.recipient,
        "BouncedAt": _now(),
        "Description": "simulated: the mailbox does not exist",
    }


def _complaint(mail: Mail) -> dict[str, object]:
    return {
        "RecordType": "SpamComplaint",
        "d": mail.public_id,
        "ID": int(mail.public_id) % 2**53,
        "Type": "SpamComplaint",
        "TypeCode": 512,
        "MessageID": mail.public_id,
        "Email": mail.recipient,
        "BouncedAt": _now(),
        "Description": "simulated complaint",
    }

"""A provider on this machine that takes many mails in one call, as eight of them do."""

import base64
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default as modern
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings as configured

from campaigns.content.designs import SharedBlocks, Words, load_design
from campaigns.content.headers import SenderFacts
from campaigns.content.links import Links
from campaigns.content.render import CompiledVariant, RecipientContext, compile_variant
from tests.campaigns.chaos.loopback import Taken

OPTIONS = {
    "amazon_ses": {},
    "brevo": {"BREVO_API_KEY": "k"},
    "mailgun": {"MAILGUN_API_KEY": "k", "MAILGUN_SENDER_DOMAIN": "shop.example"},
    "mailjet": {"MAILJET_API_KEY": "k", "MAILJET_SECRET_KEY": "k"},
    "postmark": {"POSTMARK_SERVER_TOKEN": "k"},
    "resend": {"RESEND_API_KEY": "k"},
    "sendgrid": {"SENDGRID_API_KEY": "k"},
    "sparkpost": {"SPARKPOST_API_KEY": "k"},
}


@dataclass
class Delivered:
    """One mail as its reader gets it."""

    address: str
    subject: str
    html: str
    text: str
    headers: dict[str, str]
    public_id: str
    # Unix time.
    at: float = field(default_factory=time.time)


def _mailgun(request: Any, filling: Any) -> list[Delivered]:
    data = parse_qs(request.body.decode(), keep_blank_values=True)
    variables = json.loads(data.get("recipient-variables", ["{}"])[0])
    found = []
    for address in data["to"]:
        mine = {f"recipient.{key}": v for key, v in variables.get(address, {}).items()}

        def fill(text: str, mine: dict[str, str] = mine) -> str:
            return filling["mailgun"](text, mine) if variables else text

        found.append(
            Delivered(
                address,
                *(fill(data[name][0]) for name in ("subject", "html", "text")),
                {
                    name[2:]: fill(values[0])
                    for name, values in data.items()
                    if name.startswith("h:")
                },
                fill(data["v:d"][0]),
            )
        )
    return found


def _sendgrid(request: Any, filling: Any) -> list[Delivered]:
    data = json.loads(request.body)
    text, html = (part["value"] for part in data["content"])
    found = []
    for one in data["personalizations"]:
        values = one.get("substitutions", {})
        [to] = one["to"]
        filled = (
            filling["sendgrid"](part, values) for part in (data["subject"], html, text)
        )
        headers = {**data["headers"], **one.get("headers", {})}
        args = {**data.get("custom_args", {}), **one.get("custom_args", {})}
        found.append(Delivered(to["email"], *filled, headers, args["d"]))
    return found


def _postmark(request: Any, filling: Any) -> list[Delivered]:
    data = json.loads(request.body)
    assert isinstance(data, list) == request.path.endswith("/email/batch")
    return [
        Delivered(
            one["To"],
            one["Subject"],
            one["HtmlBody"],
            one["TextBody"],
            {header["Name"]: header["Value"] for header in one["Headers"]},
            one["Metadata"]["d"],
        )
        for one in (data if isinstance(data, list) else [data])
    ]


def _resend(request: Any, filling: Any) -> list[Delivered]:
    data = json.loads(request.body)
    found = []
    for one in data if isinstance(data, list) else [data]:
        [address] = one["to"]
        known = json.loads(one["headers"]["X-Metadata"])["d"]
        words = (one["subject"], one["html"], one["text"])
        found.append(Delivered(address, *words, one["headers"], known))
    return found


def _brevo(request: Any, filling: Any) -> list[Delivered]:
    data = json.loads(request.body)
    found = []
    for version in data.get("messageVersions", [{}]):
        one = {**data, **version}
        [to] = one["to"]
        words = [one.get(name, "") for name in ("subject", "htmlContent")]
        text = one.get("textContent", "")
        assert not any("{{" in part or "{%" in part for part in (*words, text))
        known = json.loads(one["headers"]["X-Mailin-custom"])["d"]
        found.append(Delivered(to["email"], *words, text, one["headers"], known))
    return found


def _mailjet(request: Any, filling: Any) -> list[Delivered]:
    data = json.loads(request.body)
    found = []
    for message in data["Messages"]:
        one = {**data.get("Globals", {}), **message}
        assert "TemplateLanguage" not in one
        [to] = one["To"]
        words = (one["Subject"], one["HTMLPart"], one["TextPart"])
        known = json.loads(one["EventPayload"])["d"]
        found.append(Delivered(to["Email"], *words, one["Headers"], known))
    return found


def _sparkpost(request: Any, filling: Any) -> list[Delivered]:
    data = json.loads(request.body)
    content, found = data["content"], []
    for one in data["recipients"]:
        # The nearer to the recipient, the sooner it counts; metadata last.
        values: dict[str, str] = {}
        for source in (data, one):
            values |= source.get("metadata", {})
        for source in (data, one):
            values |= source.get("substitution_data", {})

        def fill(part: str, text: str, values: dict[str, str] = values) -> str:
            filled: str = filling["sparkpost"](text, values, part=part)
            return filled

        assert one["address"]["header_to"] == one["address"]["email"]
        words = (fill(part, content[part]) for part in ("subject", "html", "text"))
        headers = {name: fill("head", v) for name, v in content["headers"].items()}
        known = {**data.get("metadata", {}), **one.get("metadata", {})}.get("d", "0")
        found.append(Delivered(one["address"]["email"], *words, headers, known))
    return found


def _ses(request: Any, filling: Any) -> list[Delivered]:
    data = json.loads(request.body)
    if "Content" in data:
        assert request.path == "/v2/email/outbound-emails"
        return [_raw(base64.b64decode(data["Content"]["Raw"]["Data"]))]
    assert request.path == "/v2/email/outbound-bulk-emails"
    template, found = data["DefaultContent"]["Template"], []
    assert set(template) == {"TemplateContent", "TemplateData"}
    words = [template["TemplateContent"][name] for name in ("Subject", "Html", "Text")]
    assert len(data["BulkEmailEntries"]) <= 50
    for one in data["BulkEmailEntries"]:
        own = one["ReplacementEmailContent"]["ReplacementTemplate"]
        values = json.loads(own["ReplacementTemplateData"])
        filled = (filling["amazon_ses"](text, values) for text in words)
        headers = {
            header["Name"]: header["Value"] for header in one["ReplacementHeaders"]
        }
        [address] = one["Destination"]["ToAddresses"]
        known = json.loads(headers["X-Metadata"])["d"]
        found.append(Delivered(address, *filled, headers, known))
    return found


def _raw(mime: bytes) -> Delivered:
    got = message_from_bytes(mime, policy=modern)
    text, html = (got.get_body([kind]).get_content() for kind in ("plain", "html"))
    headers = {name: str(value).strip() for name, value in got.items()}
    known = json.loads(headers.get("X-Metadata", '{"d": "0"}'))["d"]
    return Delivered(headers["To"], headers["Subject"], html, text, headers, known)


READ = {
    "amazon_ses": _ses,
    "brevo": _brevo,
    "mailgun": _mailgun,
    "mailjet": _mailjet,
    "postmark": _postmark,
    "resend": _resend,
    "sendgrid": _sendgrid,
    "sparkpost": _sparkpost,
}


def taken(
    name: str, mails: list[Delivered], refused: set[str], *, bulk: bool = False
) -> tuple[int, Any]:
    """What the provider answers; it says by address whom it refused."""
    if name == "postmark":
        answers = [
            {"ErrorCode": 1235, "Message": "no"}
            if one.address in refused
            else {
                "ErrorCode": 0,
                "Message": "OK",
                "To": one.address,
                "MessageID": f"p-{one.public_id}",
            }
            for one in mails
        ]
        return 200, answers if len(mails) > 1 else answers[0]
    if name == "mailjet":
        answers = [
            {
                "Status": "error",
                "Errors": [{"ErrorCode": "mj-0013", "StatusCode": 400}],
            }
            if one.address in refused
            else {
                "Status": "success",
                "To": [{"Email": one.address, "MessageID": 7}],
            }
            for one in mails
        ]
        return (400 if refused else 200), {"Messages": answers}
    if name == "amazon_ses":
        results = [
            {"Status": "MESSAGE_REJECTED", "Error": "no"}
            if one.address in refused
            else {"Status": "SUCCESS", "MessageId": f"ses-{one.public_id}"}
            for one in mails
        ]
        if bulk:
            return 200, {"BulkEmailEntryResults": results}
        return (400, {"message": "no"}) if refused else (200, {"MessageId": "ses-1"})
    ids = [f"{name}-{one.public_id}" for one in mails]
    single, together = {
        "brevo": ({"messageId": ids[0]}, {"messageIds": ids}),
        "resend": ({"id": ids[0]}, {"data": [{"id": one} for one in ids]}),
        "sendgrid": (b"", b""),
        "mailgun": ({"id": "<m@mailgun>", "message": "Queued."},) * 2,
        "sparkpost": (
            {
                "results": {
                    "total_accepted_recipients": len(mails) - len(refused),
                    "total_rejected_recipients": len(refused),
                    "id": "sp-1",
                }
            },
        )
        * 2,
    }[name]
    return 202 if name == "sendgrid" else 200, single if len(mails) == 1 else together


def key_of(request: Any) -> str:
    """The key of a call that has one."""
    if "Idempotency-Key" in request.headers:
        return str(request.headers["Idempotency-Key"])
    headers = json.loads(request.body).get("headers", {})
    return str(headers.get("idempotencyKey", ""))


PARTIAL = {"amazon_ses", "mailjet", "postmark", "sparkpost"}


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeProvider:
    """Delivers what it takes into `ledger`; `script` answers before it would."""

    name: str = ""
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    ledger: list[Delivered] = field(default_factory=list)
    # Addresses that it does not take.
    poisoned: set[str] = field(default_factory=set)
    # More than so many in a call are too large.
    largest: int = 10_000
    # Answers in turn: (code, answer, headers, whether it took them), None, or "reset".
    script: list[Any] = field(default_factory=list)
    # How raw values are filled in.
    filling: dict[str, Any] = field(default_factory=dict)
    # What it answered under which key, where it minds them.
    minds_keys: bool = False
    answered: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def read(self, request: Request) -> list[Delivered]:
        found: list[Delivered] = READ[self.name](request, self.filling)
        return found

    def answer(self, request: Request) -> tuple[int, Any, dict[str, str]] | None:
        self.requests.append(request)
        mails = self.read(request)
        keyed = self.minds_keys and self.name in {"brevo", "resend"}
        key = key_of(request) if keyed else ""
        if key in self.answered:
            # Brevo refuses it, Resend answers as it did.
            again = 400, {"code": "duplicate_parameter"}
            return *(again if self.name == "brevo" else self.answered[key]), {}
        before = len(self.ledger)
        said = self._answer(mails, bulk=b"BulkEmailEntries" in request.body)
        if key and len(self.ledger) > before:
            self.answered[key] = taken(self.name, mails, set())
        return said

    def _answer(
        self, mails: list[Delivered], *, bulk: bool
    ) -> tuple[int, Any, dict[str, str]] | None:
        said = self.script.pop(0) if self.script else None
        if said == "reset":
            self.ledger += mails
            return None
        if said is not None:
            code, answer, headers, took = said
            self.ledger += mails if took else []
            return code, answer, headers
        if len(mails) > self.largest:
            return 413, {"message": "too large"}, {}
        refused = self.poisoned & {one.address for one in mails}
        if refused and (self.name not in PARTIAL):
            return 400, {"message": "bad address"}, {}
        self.ledger += [one for one in mails if one.address not in refused]
        return *taken(self.name, mails, refused, bulk=bulk), {}

    @property
    def taken(self) -> list[Taken]:
        """Its ledger, as the invariants read one."""
        return [
            Taken(one.at, int(one.public_id), one.address, one.subject, one.text)
            for one in self.ledger
            if one.public_id != "0"  # one that asks, which is nobody's
        ]

    @property
    def sizes(self) -> list[int]:
        return [len(self.read(one)) for one in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Answered at once: no waiting for more to send together.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = Request(self.path, dict(self.headers), body)
        said = self.server.fake.answer(request)  # type: ignore[attr-defined]
        if said is None:
            self.close_connection = True
            return
        code, answer, headers = said
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fake(emulators: Any) -> Any:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    server.fake = FakeProvider(url=url, filling=emulators)  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.fake  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.fixture
def many(fake: FakeProvider, settings: Any) -> Any:
    """The channel of a provider, in front of the fake one."""
    from campaigns.sending.channels import channel_for

    opened = []

    def many(name: str) -> Any:
        fake.name = settings.PROVIDER = name
        settings.ANYMAIL = {
            **OPTIONS[name],
            f"{name.upper()}_API_URL": fake.url,
            "REQUESTS_TIMEOUT": 20,
        }
        if name == "amazon_ses":
            settings.ANYMAIL["AMAZON_SES_CLIENT_PARAMS"] = {
                "endpoint_url": fake.url,
                "aws_access_key_id": "a",
                "aws_secret_access_key": "s",
                "region_name": "eu-west-1",
            }
        opened.append(channel_for(name))
        return opened[-1]

    yield many
    for channel in opened:
        channel.close()


@pytest.fixture(scope="session")
def shop_variant() -> CompiledVariant:
    """Words with signs that some provider reads as its own."""
    name = '{{ customer.first_name | default: "there" }}'
    return compile_variant(
        load_design(configured.EMAIL_DESIGNS_DIR, "announcement").layout,
        SharedBlocks(
            offer="One pot free with every plant.",
            terms="Until stocks are planted.",
            button_label="See the plants",
            button_url="https://shop.example/plants?from=mail&x=%C3%A9",
            footer_reason="100% of you get 50%off, %recipient.x% and -s1-.",
        ),
        Words(
            subject=f"It is here, {name}: 100%",
            preheader="First looks inside",
            blocks={
                "headline": "Hooray from the garden",
                "opening": f"Hello {name},",
                "details": "New pots.\n\n- clay\n- zinc\n\nGrüße, **Zoë**",
                "closing": "See you,\n\nLin",
            },
        ),
        sender=SenderFacts(
            shop_name="Linden & Loam",
            from_name="Linden & Loam",
            from_address="hello@shop.example",
            postal_address="8 Sample Lane, Northport",
            reply_to="lin@shop.example",
        ),
    )


@pytest.fixture
def ines() -> RecipientContext:
    links = Links("https://mail.shop.example", 77, ["a tracking key for tests"])
    return RecipientContext({"customer": {"first_name": "Ines"}}, links)


class Sink:
    """Keeps what it takes; refuses as told."""

    def __init__(self) -> None:
        self.kept: list[tuple[list[str], bytes]] = []
        self.refuse: dict[str, str] = {}
        self.back_to: list[str] = []
        self.url = ""

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.kept.append((envelope.rcpt_tos, envelope.content))
        self.back_to.append(envelope.mail_from)
        return "250 taken"


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def sink(unused_port: int) -> Any:
    controller = Controller(Sink(), hostname="127.0.0.1", port=unused_port)
    controller.start()
    controller.handler.url = f"smtp://127.0.0.1:{unused_port}"
    yield controller.handler
    controller.stop()

"""Mail that came back, from a mailbox of a real IMAP server (Dovecot) on loopback."""

import grp
import imaplib
import ipaddress
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.management import CommandError, call_command
from django.db import OperationalError

from campaigns.content.return_path import read_return_path
from config import env
from customers.models import Suppression
from engagement import beside, bounce_mailbox, tasks
from engagement.bounce_mailbox import MailboxTrouble, take_mailbox
from engagement.inbox import take_in_open
from engagement.mailbox_url import read_mailbox_url
from engagement.models import TrackingEvent, WebhookCall

PATH = read_return_path("bounces@mail.shop.example")
NOBODY = 65534
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
ssl = yes
ssl_cert = <{folder}/certificate.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login}
auth_mechanisms = plain
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = static
  args = password=open/sesame
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {plain}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
namespace inbox {{
  inbox = yes
}}
"""


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for one in probes:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in probes]
    for one in probes:
        one.close()
    return ports


def certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    here = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(here), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


@pytest.fixture(scope="session")
def dovecot():
    """A server of its own on two ports of its own; its mail is a folder."""
    server = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin")
    if server is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs dovecot; it is not there.", pytrace=False)
        pytest.skip("needs Debian's dovecot-imapd; it is not there")
    # Short: the paths of its sockets may have a hundred characters.
    yield from serving(server, Path(tempfile.mkdtemp()))


def serving(server, folder):
    plain, tls = free_ports(2)
    certificate(folder)
    me, root = pwd.getpwuid(os.getuid()).pw_name, os.getuid() == 0
    (folder / "mail").mkdir()
    config = folder / "dovecot.conf"
    config.write_text(
        CONFIG.format(
            folder=folder,
            plain=plain,
            tls=tls,
            user="daemon" if root else me,
            group="daemon" if root else grp.getgrgid(os.getgid()).gr_name,
            login="nobody" if root else me,
            uid=NOBODY if root else os.getuid(),
            gid=NOBODY if root else os.getgid(),
        )
    )
    if root:
        folder.chmod(0o755)
        os.chown(folder / "mail", NOBODY, NOBODY)
    process = subprocess.Popen([server, "-F", "-c", str(config)])
    try:
        wait_for(plain, folder)
        yield SimpleNamespace(folder=folder, plain=plain, tls=tls)
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder)


def wait_for(port, folder):
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError((folder / "log").read_text())


@pytest.fixture
def box(dovecot, request, monkeypatch, settings):
    """A mailbox for this test alone."""
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.folder / "certificate.pem"))
    settings.BROKER_URL = ""
    user = f"u{abs(hash(request.node.name))}"

    def url(scheme="imaps", word="open%2Fsesame", more=""):
        port = dovecot.tls if scheme == "imaps" else dovecot.plain
        return f"{scheme}://{user}:{word}@127.0.0.1:{port}/INBOX{more}"

    with imaplib.IMAP4("127.0.0.1", dovecot.plain) as server:
        server.login(user, "open/sesame")

        def put(*mails):
            for mail in mails:
                server.append("INBOX", "", None, mail)

        def left():
            server.select("INBOX", readonly=True)
            seen = server.uid("SEARCH", "SEEN")[1][0].split()
            return len(server.uid("SEARCH", "ALL")[1][0].split()), len(seen)

        settings.BOUNCE_MAILBOX = read_mailbox_url(url())
        yield SimpleNamespace(put=put, left=left, url=url)


@pytest.fixture
def back_to(message, settings):
    return PATH.of(message.public_id, settings.TRACKING_KEYS)


def take(box, *more, **named):
    at = datetime.now(UTC)
    return take_mailbox(read_mailbox_url(box.url(*more, **named)), at=at)


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("scheme", ["imaps", "imap"])
def test_what_is_ours_is_kept_and_deleted_and_the_rest_stays(
    box, mails, back_to, message, scheme
):
    box.put(mails.report(back_to), mails.report("someone@else.example"))
    assert take(box, scheme) == (1, 1, False)
    assert box.left() == (1, 1)
    take_in_open(at=datetime.now(UTC))
    assert [one.event_type for one in TrackingEvent.objects.all()] == ["bounced"]
    assert Suppression.objects.get().address == message.address_wire
    assert take(box, scheme) == (0, 0, False)


@pytest.mark.slow
@pytest.mark.django_db
def test_a_mail_that_comes_twice_or_is_found_again_after_a_crash_is_kept_once(
    box, mails, back_to, monkeypatch
):
    box.put(mails.report(back_to), mails.report(back_to))
    with monkeypatch.context() as cut:

        def die(*_):
            raise ConnectionResetError

        cut.setattr(bounce_mailbox, "_delete", die)
        with pytest.raises(MailboxTrouble, match="ConnectionResetError"):
            take(box)
    assert box.left()[0] == 2
    assert take(box).ours == 2
    assert box.left()[0] == 0
    assert WebhookCall.objects.count() == 1


@pytest.mark.slow
@pytest.mark.django_db
def test_nothing_is_deleted_that_the_database_did_not_keep(
    box, mails, back_to, monkeypatch
):
    def away(*_, **__):
        raise OperationalError

    box.put(mails.report(back_to))
    with monkeypatch.context() as cut:
        cut.setattr(bounce_mailbox, "keep_mail", away)
        with pytest.raises(OperationalError):
            take(box)
    assert box.left() == (1, 0)
    assert take(box).ours == 1


@pytest.mark.slow
@pytest.mark.django_db
def test_of_a_large_mail_only_the_beginning_is_read_and_many_go_in_turns(
    box, mails, back_to
):
    large = mails.report(back_to).replace(b"Hello Ada", b"x" * 78 + b"\n")
    box.put(large + b"y" * 3_000_000)
    box.put(*[mails.report("someone@else.example")] * 25)
    at = datetime.now(UTC)
    mailbox = read_mailbox_url(box.url())
    assert take_mailbox(mailbox, at=at, until=time.monotonic()) == (1, 19, True)
    assert take_mailbox(mailbox, at=at) == (0, 6, False)
    assert len(WebhookCall.objects.get().body) == bounce_mailbox.KEPT_BYTES


@pytest.mark.slow
@pytest.mark.django_db
def test_the_command_and_the_engine_take_it_the_engine_once_a_minute(
    box, mails, back_to, monkeypatch
):
    box.put(mails.report(back_to), mails.report("someone@else.example"))
    out = StringIO()
    call_command("take_bounce", imap=True, stdout=out)
    assert out.getvalue() == "Kept: 1; not about a message of ours: 1.\n"
    mind, now = beside._MindMailbox(), [time.monotonic()]
    monkeypatch.setattr(beside, "monotonic", lambda: now[0])
    counts = []
    for seconds in (0, 30, 31):
        now[0] += seconds
        box.put(mails.report(back_to, message_id=f"<{seconds}@x.example>"))
        counts.append(mind(datetime.now(UTC), float("inf")))
    assert counts == [1, 0, 2]


@pytest.mark.slow
@pytest.mark.django_db
def test_trouble_is_told_without_the_password_and_keeps_the_engine_going(
    box, caplog, settings, monkeypatch
):
    with pytest.raises(MailboxTrouble, match="refused the log-in"):
        take(box, word="wrong")
    with pytest.raises(MailboxTrouble, match="no folder"):
        take(box, more="/none")
    settings.BOUNCE_MAILBOX = read_mailbox_url(box.url(word="wrong"))
    with pytest.raises(CommandError, match="ATTUNE_BOUNCE_IMAP_URL"):
        call_command("take_bounce", imap=True)
    mind = beside._MindMailbox()
    assert mind(datetime.now(UTC), 0.0) == mind(datetime.now(UTC), 0.0) == 0
    assert caplog.text.count("refused the log-in") == 1
    assert "wrong" not in caplog.text
    monkeypatch.delenv("SSL_CERT_FILE")
    for scheme in ("imaps", "imap"):
        with pytest.raises(MailboxTrouble, match="certificate has to be good"):
            take(box, scheme)


def test_a_server_that_is_not_there_is_told_and_beat_asks_again(settings, caplog):
    settings.BOUNCE_MAILBOX = read_mailbox_url("imaps://a:b@127.0.0.1:9")
    with pytest.raises(MailboxTrouble, match="ConnectionRefusedError"):
        take_mailbox(settings.BOUNCE_MAILBOX, at=None)
    tasks.take_bounces()
    assert "INBOX at 127.0.0.1 does not answer" in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "pop3://a:secret@x.example",
        "imaps://x.example/INBOX",
        "imaps://a:secret@/INBOX",
        "imaps://a:secret@x.example:port/",
        "imaps://a:secret@x.example/INBOX?encryption=some",
        "imaps://a:secret@x.example/INBOX?tls=no",
        "imaps://a:secret%0d%0aX@x.example/INBOX",
        "imaps://a:secret@x.example/Zur%C3%BCck",
    ],
)
def test_an_address_that_is_none_stops_the_start_and_tells_no_password(
    monkeypatch, url
):
    monkeypatch.setenv("ATTUNE_X", url)
    with pytest.raises(env.ImproperlyConfigured, match="ATTUNE_X needs an") as stopped:
        env.mailbox("ATTUNE_X")
    assert "secret" not in str(stopped.value)


def test_an_address_is_read_with_its_defaults():
    found = read_mailbox_url("imaps://bounces%40x.example:a%2Fb@mail.example.com")
    assert (found.user, found.password) == ("bounces@x.example", "a/b")
    assert (found.port, found.folder, found.encryption) == (993, "INBOX", "required")
    assert read_mailbox_url("imap://a:b@h/A%2FB").folder == "A/B"

"""The SMTP lane against a real server, and against one that misbehaves."""

import asyncio
import re
import socket
import socketserver
import threading
import time
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from types import SimpleNamespace

import pytest
from django.core.mail import EmailMultiAlternatives

from campaigns.content.links import Links
from campaigns.content.render import RecipientContext, compile_variant, render
from campaigns.content.return_path import message_of, read_return_path
from campaigns.errors import ProviderMisconfigured
from campaigns.rendering import sender_facts, shared_blocks, words_of
from campaigns.sending import engine
from campaigns.sending.channels import (
    NOT_REACHED,
    Busy,
    Envelope,
    InDoubt,
    Later,
    Misconfigured,
    Receipt,
    Refused,
    channel_for,
)
from campaigns.sending.channels.smtp import SmtpChannel
from campaigns.sending.protocol import GATE_SPARE_SECONDS, Lane, deliver_next_batch
from campaigns.sending.smtp_client import (
    SmtpClient,
    SmtpMail,
    SmtpServer,
    read_smtp_url,
)
from customers.models import Suppression

KEYS = ["a tracking key for tests"]


@pytest.fixture
def variant(campaign):
    template = campaign.template
    return compile_variant(
        template.layout,
        shared_blocks(template),
        words_of(template.variants.get(tone="lively")),
        sender=sender_facts(campaign.sender),
    )


def context(public_id, first_name):
    links = Links("https://mail.shop.example", public_id, KEYS)
    return RecipientContext(data={"customer": {"first_name": first_name}}, links=links)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["Ada", "Zoë ✿ 李", ".dot", "x" * 300, "a\nb", None])
def test_a_mail_arrives_as_django_would_have_rendered_it(sink, variant, name):
    channel = SmtpChannel(sink.url)
    values = context(7, name)
    mail = channel.compose(Envelope(1, 7, 1, 1, "ada@example.com"), variant, values)
    assert channel.check(mail) == ""
    [receipt] = channel.hand_over([mail])
    channel.close()
    [(to, content)] = sink.kept
    email = render(variant, values)
    django = EmailMultiAlternatives(
        email.subject,
        email.text,
        "Linden & Loam <hello@shop.example>",
        ["ada@example.com"],
        headers=email.headers,
        alternatives=[(email.html, "text/html")],
    ).message()
    theirs = message_from_bytes(django.as_bytes(linesep="\r\n"), policy=default)
    ours = message_from_bytes(content, policy=default)
    assert to == ["ada@example.com"]
    assert receipt == Receipt(email.headers["Message-ID"].strip("<>"))
    for header in ("From", "To", "Subject", *email.headers, "Content-Type"):
        clean = [
            re.sub(r"boundary=.*|\s+", "", str(one[header])) for one in (ours, theirs)
        ]
        assert clean[0] == clean[1], header
    for our, their in zip(ours.iter_parts(), theirs.iter_parts(), strict=True):
        assert our.get_content_type() == their.get_content_type()
        both = [
            one.get_content().replace("\r\n", "\n").rstrip() for one in (our, their)
        ]
        assert both[0] == both[1]
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content.isascii()


@pytest.mark.django_db
def test_a_mail_to_the_longest_address_there_is_passes_and_arrives(sink, variant):
    address = f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.example"
    channel = SmtpChannel(sink.url)
    values = context(7, "Ada")
    mail = channel.compose(Envelope(1, 7, 1, 1, address), variant, values)
    assert channel.check(mail) == ""
    channel.hand_over([mail])
    channel.close()
    [(to, content)] = sink.kept
    assert to == [address]
    assert message_from_bytes(content, policy=default)["To"].addresses[0].addr_spec == (
        address
    )


@pytest.mark.django_db
def test_a_whole_send_goes_over_one_connection(world, campaign, sink, settings, at):
    settings.PROVIDER, settings.SMTP_URL = "smtp", sink.url
    world.add_customers(30)
    sink.refuse["person4@example.com"] = "550 5.1.1 no such person4@example.com"
    sink.refuse["person5@example.com"] = "451 4.7.1 come back later"
    send = world.prepared_send(campaign)
    channel = SmtpChannel(sink.url)
    while deliver_next_batch(Lane("bulk", channel), now=at + timedelta(seconds=1)):
        pass
    channel.close()
    assert len(sink.kept) == 28
    assert len({tuple(to) for to, _ in sink.kept}) == 28
    failed = send.messages.get(state="failed")
    assert (failed.reason, failed.detail) == ("invalid", "550 5.1.1")
    assert send.messages.get(state="waiting").address_wire == "person5@example.com"


def sent_over_smtp(world, campaign, url, at):
    send = world.prepared_send(campaign)
    channel = SmtpChannel(url)
    while deliver_next_batch(Lane("bulk", channel), now=at + timedelta(seconds=1)):
        pass
    channel.close()
    return send


@pytest.mark.django_db
def test_a_send_goes_over_several_connections_side_by_side(
    world, campaign, sink, settings, at
):
    under_way, most = set(), []

    async def slowly(server, session, envelope):
        under_way.add(session)
        most.append(len(under_way))
        await asyncio.sleep(0.02)
        under_way.discard(session)
        sink.kept.append((envelope.rcpt_tos, envelope.content))
        return "250 taken"

    sink.handle_DATA = slowly
    settings.PROVIDER = "smtp"
    settings.SMTP_URL = f"{sink.url}?connections=4"
    world.add_customers(60)
    send = world.prepared_send(campaign)
    assert engine.run_once(at=at).accepted == 60
    assert max(most) == 4
    assert len({address for to, _ in sink.kept for address in to}) == 60
    assert len(sink.kept) == 60
    ids = set(send.messages.values_list("provider_message_id", flat=True))
    assert len(ids - {""}) == 60


def test_where_there_is_nobody_nobody_writes_again(world, campaign, sink, settings, at):
    settings.PROVIDER, settings.SMTP_URL = "smtp", sink.url
    world.add_customers(12)
    sink.refuse = {
        "person4@example.com": "550 5.1.1 no such person4@example.com",
        "person5@example.com": "552 5.2.2 the mailbox is full",
        "person6@example.com": "550 no",
        "person7@example.com": "550 5.7.1 not from you",
        "person8@example.com": "556 5.1.10 it takes no mail",
    }
    sent_over_smtp(world, campaign, sink.url, at)
    told = Suppression.objects.values_list("address", "reason", "source")
    assert set(told) == {
        (f"person{n}@example.com", "bounced", f"refused at hand-over ({code})")
        for n, code in ((4, "550 5.1.1"), (8, "556 5.1.10"))
    }


@pytest.mark.django_db
def test_a_server_that_knows_nobody_at_all_is_not_believed(
    world, campaign, sink, settings, at
):
    settings.PROVIDER, settings.SMTP_URL = "smtp", sink.url
    sink.refuse = {one.email: "550 5.1.1 no" for one in world.add_customers(12)}
    send = sent_over_smtp(world, campaign, sink.url, at)
    assert send.messages.filter(state="failed", reason="invalid").count() == 12
    assert not Suppression.objects.exists()


@pytest.mark.django_db
def test_every_mail_of_a_send_comes_back_to_an_address_of_its_own(
    world, campaign, sink, settings, at
):
    settings.PROVIDER, settings.SMTP_URL = "smtp", sink.url
    settings.BOUNCE_ADDRESS = read_return_path("bounces@mail.shop.example")
    world.add_customers(5)
    send = world.prepared_send(campaign)
    channel = channel_for("smtp")
    while deliver_next_batch(Lane("bulk", channel), now=at + timedelta(seconds=1)):
        pass
    channel.close()
    of = {message.address_wire: message.public_id for message in send.messages.all()}
    sent_to = [to for ((to,), _) in sink.kept]
    assert len(set(sink.back_to)) == 5
    for to, back_to in zip(sent_to, sink.back_to, strict=True):
        assert back_to.startswith("bounces+")
        assert message_of(back_to, settings.TRACKING_KEYS) == of[to]


@pytest.mark.django_db
def test_without_a_bounce_address_mail_comes_back_to_the_sender(variant, sink):
    channel = SmtpChannel(sink.url)
    envelope = Envelope(1, 7, 1, 1, "ada@example.com")
    channel.hand_over([channel.compose(envelope, variant, context(7, "Ada"))])
    channel.close()
    assert sink.back_to == ["hello@shop.example"]


@pytest.mark.django_db
def test_a_mail_that_would_come_back_as_another_does_not_pass_the_check(variant, sink):
    path = read_return_path("@bounces.shop.example")
    channel = SmtpChannel(sink.url, return_path=path, keys=KEYS)
    mail = channel.compose(
        Envelope(1, 7, 1, 1, "a@example.com"), variant, context(7, "")
    )
    assert channel.check(mail) == ""
    for back_to in (path.of(8, KEYS), "hello@shop.example"):
        other = mail.body._replace(mail=mail.body.mail._replace(sender=back_to))
        assert "another message's" in channel.check(replace(mail, body=other))


@pytest.mark.django_db
def test_a_mail_to_somebody_else_does_not_pass_the_check(variant, sink):
    channel = SmtpChannel(sink.url)
    mail = channel.compose(
        Envelope(1, 7, 1, 1, "a@example.com"), variant, context(7, "")
    )
    other = mail.body._replace(mail=mail.body.mail._replace(recipient="b@example.com"))
    assert "somebody else" in channel.check(replace(mail, body=other))
    head = mail.body.head.replace(b"List-Unsubscribe-Post", b"X-Other")
    assert "Post" in channel.check(replace(mail, body=mail.body._replace(head=head)))


class _Scripted(socketserver.StreamRequestHandler):
    """A server that follows a script: one answer a line, "drop" to hang up."""

    def handle(self):
        server = self.server
        with server.lock:
            server.connections += 1
            if server.connections > server.most:
                self.wfile.write(b"421 too many connections\r\n")
                return
            script = server.scripts.pop(0) if server.scripts else ["drop"]
        time.sleep(server.wait_seconds)
        self.wfile.write(b"220 hello\r\n")
        in_data = False
        while line := self.rfile.readline():
            server.seen.append(line)
            verb = line.split(b" ")[0].strip().upper()
            if in_data:
                server.quit_as_content |= line == b"QUIT\r\n"
                if line != b".\r\n":
                    continue
                in_data = False
                verb = b"DOT"
            if verb == b"EHLO":
                time.sleep(server.wait_seconds)
                self.wfile.write(server.greeting)
                continue
            if verb in (b"RSET", b"QUIT"):
                self.wfile.write(b"250 fine\r\n")
                continue
            answer = script.pop(0) if script else "250 fine"
            if isinstance(answer, tuple):
                answer, together = answer
                together.wait(5)
            if answer == "drop":
                return
            if verb == b"DATA" and answer.startswith("354"):
                in_data = True
            self.wfile.write(answer.encode() + b"\r\n")


@pytest.fixture(params=["pipelining", "one by one"])
def scripted(request):
    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    server = Server(("127.0.0.1", 0), _Scripted)
    server.scripts, server.seen, server.lock = [], [], threading.Lock()
    server.connections, server.most, server.quit_as_content = 0, 1000, False
    server.wait_seconds = 0.0
    extra = b"250-PIPELINING\r\n" if request.param == "pipelining" else b""
    server.greeting = b"250-me\r\n" + extra + b"250 SIZE 1000000\r\n"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


GOOD = ["250 sender", "250 recipient", "354 go on", "250 taken"]


def deliver(server, count=2):
    address = SmtpServer(
        "127.0.0.1", server.server_address[1], "", "", False, "offered"
    )
    client = SmtpClient(address, timeout_seconds=3)
    mails = [
        SmtpMail(
            "a@shop.example",
            f"p{one}@example.com",
            f"id{one}",
            b"Subject: x\r\n\r\ny\r\n",
        )
        for one in range(count)
    ]
    results = client.deliver(mails)
    client.close()
    return results


def test_good_answers_are_receipts_in_their_order(scripted):
    scripted.scripts = [GOOD * 3]
    assert deliver(scripted, 3) == [Receipt("id0"), Receipt("id1"), Receipt("id2")]


def test_after_the_final_dot_without_an_answer_is_in_doubt(scripted):
    scripted.scripts = [[*GOOD, *GOOD[:3], "drop"]]
    first, second, third = deliver(scripted, 3)
    assert first == Receipt("id0")
    assert isinstance(second, InDoubt)
    assert third == Busy("not_reached")


@pytest.mark.parametrize("place", range(3))
def test_a_connection_cut_before_the_content_is_tried_once_more(scripted, place):
    scripted.scripts = [[*GOOD, *GOOD[:place], "drop"], list(GOOD)]
    assert deliver(scripted) == [Receipt("id0"), Receipt("id1")]


def test_a_server_that_always_hangs_up_is_busy_and_nothing_is_in_doubt(scripted):
    scripted.scripts = [["drop"], ["drop"]]
    first, second = deliver(scripted)
    assert isinstance(first, Busy)
    assert second == Busy("not_reached")


@pytest.mark.parametrize(
    ("answers", "kind", "detail"),
    [
        (["250", "550 5.1.1 nobody", "503 no"], Refused, "550 5.1.1"),
        (["250", "550 5.1.1 nobody", "354 well"], Refused, "550 5.1.1"),
        (["250", "450 4.2.0 later", "503 no"], Later, "450 4.2.0"),
        (["250", "250", "354 go", "554 5.6.0 spam"], Refused, "554 5.6.0"),
        (["250", "250", "354 go", "451 try again"], Later, "451"),
    ],
)
def test_what_a_server_says_of_one_mail_does_not_touch_the_next(
    scripted, answers, kind, detail
):
    extra = ["250 emptied"] if "354 well" in answers else []
    if b"PIPELINING" not in scripted.greeting:
        # Without pipelining nobody says DATA after a refused RCPT.
        answers, extra = [a for a in answers if a not in ("503 no", "354 well")], []
    scripted.scripts = [[*answers, *extra, *GOOD]]
    first, second = deliver(scripted)
    assert (type(first), first.detail) == (kind, detail)
    assert second == Receipt("id1")


def many_mails(count):
    return [
        SimpleNamespace(
            body=SimpleNamespace(
                mail=SmtpMail("a@x", f"p{one}@y", f"id{one}", b"Subject: x\r\n\r\n")
            )
        )
        for one in range(count)
    ]


def side_by_side(scripted, connections):
    port = scripted.server_address[1]
    return SmtpChannel(
        f"smtp://127.0.0.1:{port}?connections={connections}&encryption=never"
    )


def test_what_stops_one_connection_stops_them_all(scripted):
    # The log-in is refused when the others' first mails are under way, not before.
    together = threading.Barrier(3)
    slow = [*GOOD[:3], ("250 taken", together)]
    scripted.scripts = [
        slow + GOOD * 50,
        [("530 log in first", together)],
        slow + GOOD * 50,
    ]
    channel = side_by_side(scripted, 3)
    results = channel.hand_over(many_mails(120))
    channel.close()
    (stop,) = (one for one in results if isinstance(one, Misconfigured))
    assert stop.reason == "not_sent_auth"
    for place, result in enumerate(results):
        if result is not stop:
            assert result in (Receipt(f"id{place}"), NOT_REACHED)
    # The two others had forty mails each, and ended soon after.
    assert 2 <= sum(isinstance(one, Receipt) for one in results) < 40
    assert not scripted.quit_as_content


def test_a_server_that_takes_two_connections_is_used_with_two(scripted, caplog):
    scripted.most = 2
    scripted.scripts = [GOOD * 50, GOOD * 50]
    channel = side_by_side(scripted, 4)
    for _ in range(3):
        results = channel.hand_over(many_mails(20))
        assert results == [Receipt(f"id{one}") for one in range(20)]
    channel.close()
    assert scripted.connections == 4  # two stood, two were refused once, then rested
    assert "takes 2 connections at once, not 4" in caplog.text


def test_where_no_connection_stands_the_server_is_busy_and_nothing_is_in_doubt(
    unused_port,
):
    channel = SmtpChannel(f"smtp://127.0.0.1:{unused_port}?connections=3")
    first, *others = channel.hand_over(many_mails(5))
    assert isinstance(first, Busy)
    assert others == [NOT_REACHED] * 4


@pytest.fixture(params=["says nothing", "answers to no SYN", "greets and is silent"])
def swallowing(request):
    """The port of a server that takes connections, or not even that, and no more."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if request.param != "answers to no SYN":
            server.listen(64)
            stop = threading.Event()

            def accept():
                taken = []
                while not stop.is_set():
                    taken.append(server.accept()[0])
                    if request.param == "greets and is silent":
                        taken[-1].sendall(b"220 hello\r\n")

            thread = threading.Thread(target=accept, daemon=True)
            thread.start()
            yield server.getsockname()[1]
            stop.set()
            socket.create_connection(server.getsockname()).close()
            thread.join(10)
            return
        # A queue of one that nobody takes from: Linux drops what comes after it.
        server.listen(0)
        queued = [socket.socket() for _ in range(2)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for one in queued:
            one.close()


@pytest.mark.parametrize("connections", [1, 4])
def test_a_server_that_swallows_connections_costs_one_timeout(
    swallowing, connections, monkeypatch
):
    monkeypatch.setattr(SmtpChannel, "timeout_seconds", 2.5)
    url = f"smtp://127.0.0.1:{swallowing}?connections={connections}"
    channel = SmtpChannel(url)
    began = time.monotonic()
    first, *others = channel.hand_over(many_mails(8))
    assert 2.4 < time.monotonic() - began < 4.9
    channel.close()
    # Surely not sent: the same mails may leave later.
    assert (type(first), first.reason) == (Busy, "not_sent_net")
    assert others == [NOT_REACHED] * 7


def test_an_answer_always_later_than_the_last_costs_one_timeout(scripted):
    """A server that greets, answers and encrypts, each just in time."""
    scripted.wait_seconds, scripted.scripts = 1.6, [GOOD, GOOD]
    address = SmtpServer("127.0.0.1", scripted.server_address[1], "", "", False, "")
    client, began = SmtpClient(address, timeout_seconds=2), time.monotonic()
    assert isinstance(client.open(), Busy)
    assert time.monotonic() - began < 3.1  # and not the two answers' 3.2
    assert not client.stands


def test_whichever_connection_stands_is_used_and_the_swallowed_one_rests(
    scripted, monkeypatch
):
    """The first is the one that is swallowed, and is not waited for again."""
    monkeypatch.setattr(SmtpChannel, "timeout_seconds", 3.0)
    scripted.scripts = [GOOD * 50 for _ in range(2)]
    channel = side_by_side(scripted, 3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        there = channel._clients[0]._server._replace(port=silent.getsockname()[1])
        channel._clients[0]._server = there
        took = []
        for _ in range(2):
            began = time.monotonic()
            results = channel.hand_over(many_mails(20))
            took.append(time.monotonic() - began)
            assert results == [Receipt(f"id{one}") for one in range(20)]
        assert scripted.connections == 2
        assert took[1] < 2.9 < took[0]
        channel.close()


def test_the_lease_outlasts_the_opening_and_every_answer_after_it():
    channel = SmtpChannel("smtp://127.0.0.1?connections=16")
    longest = (1 + channel.group_size) * channel.timeout_seconds
    spare = Lane("bulk", channel).lease.total_seconds() - longest
    assert spare > GATE_SPARE_SECONDS


def test_when_handing_over_is_interrupted_no_thread_goes_on(scripted, monkeypatch):
    """Celery's time limit is raised in the middle of whatever runs."""
    scripted.scripts = [GOOD * 50, GOOD * 50]
    channel = side_by_side(scripted, 2)

    class Limit(Exception):
        pass

    deliver, begun = SmtpClient.deliver, threading.Event()

    def limited(client, mails, stopped):
        if client is channel._clients[0]:
            begun.wait(10)
            raise Limit
        begun.set()
        return deliver(client, mails, stopped)

    monkeypatch.setattr(SmtpClient, "deliver", limited)
    with pytest.raises(Limit):
        channel.hand_over(many_mails(40))
    taken = len(scripted.seen)
    assert all(client._smtp is None for client in channel._clients)
    monkeypatch.undo()
    scripted.scripts = [GOOD * 50, GOOD * 50]
    assert len(scripted.seen) == taken
    results = channel.hand_over(many_mails(6))
    channel.close()
    assert results == [Receipt(f"id{one}") for one in range(6)]


def test_a_closed_port_is_busy(unused_port):
    client = SmtpClient(
        SmtpServer("127.0.0.1", unused_port, "", "", False, "offered"),
        timeout_seconds=2,
    )
    [result] = client.deliver([SmtpMail("a@x", "b@y", "id", b"")])
    assert isinstance(result, Busy)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", ("mail.example", 25, "", "", False, "offered", 1)),
        (
            "smtps://u:p%40@m.example",
            ("m.example", 465, "u", "p@", True, "required", 1),
        ),
        (
            "smtp://u:p@m.example:587?encryption=never&connections=16",
            ("m.example", 587, "u", "p", False, "never", 16),
        ),
    ],
)
def test_an_address_of_a_server_is_read(url, expected):
    assert read_smtp_url(url) == expected


@pytest.mark.parametrize("number", ["0", "17", "-1", "two", "1.5"])
def test_a_number_of_connections_that_is_none_is_named(number):
    url = f"smtp://m.example?connections={number}"
    with pytest.raises(ProviderMisconfigured, match=f"from 1 to 16; it is '{number}'"):
        read_smtp_url(url)


@pytest.mark.parametrize("url", ["", "http://x", "smtp://", "smtp://x:port", "mail"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ProviderMisconfigured, match="ATTUNE_SMTP_URL"):
        read_smtp_url(url)

"""What the DNS says, asked of a name server on loopback."""

import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.resolver import Resolver

from engagement.dns_records import look_up

GOOD = {
    ("_dmarc.shop.example.", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:d@x.example"'],
    ("s1._domainkey.news.shop.example.", "TXT"): ['"k=rsa; p=" "MIGf"'],
    ("news.shop.example.", "TXT"): ['"v=spf1 include:x.example ~all"', '"other=1"'],
    ("bounces.shop.example.", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"'],
    ("bounces.shop.example.", "MX"): ["10 mail.shop.example."],
}


@pytest.fixture
def name_server():
    """Answers by the records it is given; whoever has none is not known."""
    records = dict(GOOD)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))

        def serve():
            while True:
                said, who = door.recvfrom(4096)
                if said == b"end":
                    return
                door.sendto(answer(said, records), who)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        resolver = Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], door.getsockname()[1]
        resolver.records = records
        yield resolver
        door.sendto(b"end", door.getsockname())
        thread.join(5)


def answer(said, records):
    asked = dns.message.from_wire(said)
    (question,) = asked.question
    reply = dns.message.make_response(asked)
    reply.flags |= dns.flags.RA
    kind = dns.rdatatype.to_text(question.rdtype)
    found = records.get((question.name.to_text(), kind))
    if found == "trouble":
        reply.set_rcode(dns.rcode.SERVFAIL)
    elif found:
        reply.answer = [dns.rrset.from_text(question.name, 60, "IN", kind, *found)]
    elif not any(name == question.name.to_text() for name, _ in records):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply.to_wire()


def looked(resolver, **more):
    asked = {"selectors": ("s1",), "return_path": "", "resolver": resolver} | more
    return list(look_up("news.shop.example", **asked))


def test_a_domain_that_is_in_order_is_well_by_its_parents_policy(name_server):
    found = looked(name_server, return_path="bounces.shop.example")
    assert [state for state, _ in found] == ["well"] * 4
    assert "that of shop.example, policy reject" in found[0][1]


@pytest.mark.parametrize(
    ("name", "kind", "records", "place", "state", "words"),
    [
        ("_dmarc.shop.example.", "TXT", None, 0, "look", 'TXT "v=DMARC1; p=none"'),
        ("_dmarc.shop.example.", "TXT", ['"v=DMARC1; p=none"'] * 2, 0, "well", "none"),
        (
            "_dmarc.shop.example.",
            "TXT",
            ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'],
            0,
            "broken",
            "2 DMARC records",
        ),
        ("s1._domainkey.news.shop.example.", "TXT", None, 1, "look", "No DKIM key"),
        (
            "s1._domainkey.news.shop.example.",
            "TXT",
            ['"v=DKIM1; p="'],
            1,
            "look",
            "No DKIM key",
        ),
        (
            "bounces.shop.example.",
            "TXT",
            ['"v=spf1 -all"', '"v=spf1 ~all"'],
            2,
            "broken",
            "2 SPF records",
        ),
        ("bounces.shop.example.", "TXT", None, 2, "look", "no SPF record"),
        ("bounces.shop.example.", "MX", None, 3, "look", "no MX record"),
    ],
)
def test_what_is_missing_or_there_twice_is_told(
    name_server, name, kind, records, place, state, words
):
    if records is None:
        del name_server.records[name, kind]
    else:
        name_server.records[name, kind] = records
    found = looked(name_server, return_path="bounces.shop.example")[place]
    assert (found[0], words in found[1]) == (state, True)


def test_without_a_name_of_its_key_a_domain_is_not_called_unsigned(name_server):
    found = looked(name_server, selectors=())[1]
    assert (found[0], "ATTUNE_DKIM_SELECTOR" in found[1]) == ("look", True)


def test_a_name_server_in_trouble_says_nothing_against_the_domain(name_server):
    name_server.records["_dmarc.news.shop.example.", "TXT"] = "trouble"
    ((state, words),) = looked(name_server)
    assert (state, "could not be asked" in words) == ("look", True)

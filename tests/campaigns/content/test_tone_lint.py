import pytest

from campaigns.content.designs import TONE_KEYS, SharedBlocks, Words
from campaigns.content.tone_lint import GUARDED_TONES, lint_words

OFFER = SharedBlocks(offer="**15 % off** until 31 December.", terms="From £20.")


def _rules(text, tone="reassuring"):
    return {f.rule for f in lint_words(Words("s", "", {"opening": text}), OFFER, tone)}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Last chance for a fern.", "urgency"),
        ("Only 3 left in the shop.", "urgency"),
        ("It ends tonight.", "urgency"),
        ("Don’t miss it.", "urgency"),
        ("Ferns are selling fast.", "scarcity"),
        ("While stocks last.", "scarcity"),
        ("We miss you.", "guilt"),
        ("Order before it's too late.", "fear"),
        ("Your fern is at risk.", "fear"),
        ("We see you are upset.", "feeling"),
        ("You must be really disappointed.", "feeling"),
        ("We understand your frustration.", "feeling"),
        ("Please don't worry.", "feeling"),
        ("Yes! Yes!", "exclamation"),
        ("A FREE fern.", "capitals"),
        ("Sorry 🌱", "emoji"),
        ("Order by Friday.", "deadline"),
        ("Yours until 3 March.", "deadline"),
        ("Take 20 % off.", "offer"),
        ("With a voucher of £5.", "offer"),
    ],
)
def test_words_that_press_are_found(text, rule):
    assert rule in _rules(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hello {{ customer.first_name | default: 'LAST CHANCE!!' }}",
        "What happens with anything you order now:",
        "Order before noon and it leaves the same day.",
        "There is no risk in waiting; returns are risk-free.",
        "We refund you by Friday, and Tomas rings you.",
        "15 % off until 31 December stands above.",
        "The RHS and the BBC wrote about it!",
        "Packed below 8 °C — with care.",
    ],
)
def test_plain_words_are_left_alone(text):
    assert _rules(text) == set()


@pytest.mark.parametrize("tone", TONE_KEYS)
def test_pressure_blocks_where_it_would_hurt_and_warns_elsewhere(tone):
    finding = lint_words(Words("Hurry"), OFFER, tone)[0]
    assert finding.severity == ("blocks" if tone in GUARDED_TONES else "warns")


def test_no_tone_may_offer_more_than_the_others():
    finding = lint_words(Words("20 % off"), OFFER, "lively")[0]
    assert (finding.rule, finding.severity, finding.block) == (
        "offer",
        "blocks",
        "subject",
    )


def test_a_finding_says_what_reads_how_and_what_to_write():
    finding = lint_words(Words("s", "Only this week"), OFFER, "lively")[0]
    assert finding.message == "“Only this week” reads as pressure."
    assert finding.block == "preheader"
    assert finding.instead

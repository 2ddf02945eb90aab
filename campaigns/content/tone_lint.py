"""Words that press, scare, shame or tell people how they feel.

Where somebody is frustrated, anxious or disappointed such words block; elsewhere they
are a warning. What is offered is not judged here: it is the same in every tone.
Source: docs/method.md, "Copy lint". The patterns read English.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from campaigns.content.designs import SharedBlocks, Words
from campaigns.content.liquid import scan
from campaigns.content.problems import TemplateError
from segmentation.tones import GUARDED_TONES

Severity = Literal["blocks", "warns"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to change before it is sent, or to look at once more.

    block: subject, preheader, a block's name, "sender", "layout"; words: what was
    found; instead: what to write.
    """

    severity: Severity
    rule: str
    block: str
    words: str
    message: str
    instead: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    pattern: re.Pattern[str]
    reads_as: str
    instead: str


def _rule(name: str, pattern: str, reads_as: str, instead: str) -> _Rule:
    return _Rule(name, re.compile(pattern, re.IGNORECASE), reads_as, instead)


_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_DATE = (
    rf"(?:(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:{_MONTHS})\b"
    rf"|(?:{_MONTHS})\s+\d{{1,2}}\b|\d{{1,2}}[./]\d{{1,2}}(?:[./]\d{{2,4}})?"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|tomorrow\b|tonight\b|midnight\b"
    r"|(?:the\s+)?end\s+of\s+(?:the\s+|this\s+)?(?:day|week|month|year)\b)"
)
_FEELINGS = (
    "angry|annoyed|anxious|concerned|confused|cross|disappointed|distressed|excited|"
    "frustrated|furious|hurt|irritated|let down|mad|nervous|sad|scared|stressed|"
    "unhappy|upset|worried"
)
_NOUNS = (
    "anger|annoyance|anxiety|confusion|disappointment|distress|excitement|frustration|"
    "sadness|unhappiness|worry|worries"
)
_RULES = (
    _rule(
        "urgency",
        r"\blast chance\b|\bhurry\b|\bact (?:now|fast)\b"
        r"|\bends? (?:today|tonight|soon)\b"
        r"|\bdon['’]t (?:miss|wait)\b|\bexpir(?:es|ing)\b|\bcountdown\b"
        r"|\bnow or never\b"
        r"|\bfinal (?:hours?|calls?|days?)\b|\btoday only\b"
        r"|\bonly (?:today|this week)\b"
        r"|\b(?:this week|this weekend) only\b|\bonly \d+ (?:left|hours?|days?)\b"
        r"|\bbefore (?:it['’]s|they['’]re) gone\b|\bwhile you (?:still )?can\b"
        r"|(?:^|[.!?:]\s*)(?:order|buy|book) (?:right )?now\b|\btime is running out\b",
        "pressure",
        "Say what there is, and let it stand: “It is there when you want it.”",
    ),
    _rule(
        "scarcity",
        r"\balmost (?:gone|sold out)\b|\bsell(?:s|ing) (?:out|fast)\b|\bgoing fast\b"
        r"|\blimited (?:time|stock|offer|quantit\w+|edition)\b|\brunning (?:out|low)\b"
        r"|\bwhile (?:stocks?|supplies) lasts?\b|\blast (?:few|ones|pieces)\b"
        r"|\bonly a few\b|\bfirst come\b",
        "scarcity",
        "Leave stock out, or say plainly when more comes.",
    ),
    _rule(
        "guilt",
        r"\bwe(?:['’]ve| have)? miss(?:ed)? you\b|\bdon['’]t leave us\b|\byou forgot\b"
        r"|\bwhere have you been\b|\bhave you forgotten\b|\bafter all we\b"
        r"|\bit['’]s not the same without you\b|\bplease don['’]t go\b",
        "guilt",
        "Say what is useful to the reader now.",
    ),
    _rule(
        "fear",
        r"\bbefore it['’]s too late\b|\b(?:avoid|stop) losing\b"
        r"|\byou (?:could|will) lose\b"
        r"|\b(?:lose|miss) out\b|(?<!no )(?<!without )\brisk(?:s|ing|ed|y)?\b(?!-free)"
        r"|\bdanger(?:ous)?\b|\bdisaster\b",
        "a threat",
        "Name the next step and what is certain.",
    ),
    _rule(
        "feeling",
        rf"\byou(?:['’]re| are| were| must be| must feel| may be| may feel| might be"
        rf"| might feel| feel| felt| seem| sound)(?: \w+){{0,2}} (?:{_FEELINGS})\b"
        rf"|\byour (?:{_NOUNS})\b|\bwe (?:know|see|sense|noticed?) how you feel\b"
        rf"|\b(?:don['’]t|do not|no need to) (?:be (?:{_FEELINGS})|worry|panic)\b",
        "telling people how they feel",
        "Tell what happened and what you did: “Here is what went wrong and what we "
        "did.”",
    ),
)
_DEADLINE = re.compile(
    rf"\b(?:until|till|ends?(?: on)?|expires?(?: on)?|deadline(?: is)?)\s+{_DATE}"
    rf"|\b(?:order|book|buy|claim|reply|answer|decide|use (?:it|the code))\b"
    rf"[^.!?\n]{{0,40}}\b(?:by|before)\s+{_DATE}",
    re.IGNORECASE,
)
_WORTH = re.compile(
    r"\d+(?:[.,]\d+)?\s?(?:%|per\s?cent)(?:\s+(?:off|less|discount))?"
    r"|[£€$]\s?\d+(?:[.,]\d+)?|\b(?:discount|voucher|coupon|gift card|half price"
    r"|promo(?:tional)? code)s?\b",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"\b[A-ZÀ-ÖØ-Þ]{4,}\b")
_ACRONYMS = frozenset("ASAP COVID FAQS HTML IBAN NATO PDFS UNESCO".split())
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2b55\ufe0f]+"
    r"|(?<!\w)[:;]-?[)(DP](?!\w)"
)


def lint_words(words: Words, shared: SharedBlocks, tone: str) -> list[Finding]:
    """What in the words of one tone should not be sent as it stands."""
    severity: Severity = "blocks" if tone in GUARDED_TONES else "warns"
    findings: list[Finding] = []
    exclamations: list[str] = []
    for block, text in _parts(words):
        for rule in _RULES:
            findings += (
                Finding(
                    severity,
                    rule.name,
                    block,
                    match.group(),
                    f"“{match.group()}” reads as {rule.reads_as}.",
                    rule.instead,
                    tone,
                )
                for match in rule.pattern.finditer(text)
            )
        findings += _shape_findings(block, text, severity, tone)
        findings += _offer_findings(block, text, shared, severity, tone)
        exclamations += [block] * text.count("!")
    if len(exclamations) > 1:
        message = f"{len(exclamations)} exclamation marks read as shouting."
        findings.append(
            Finding(
                severity,
                "exclamation",
                exclamations[1],
                "!" * len(exclamations),
                message,
                "Keep one at most; a full stop is warmer.",
                tone,
            )
        )
    return findings


def _parts(words: Words) -> Iterator[tuple[str, str]]:
    parts = {"subject": words.subject, "preheader": words.preheader, **words.blocks}
    for block, source in parts.items():
        yield block, static_text(source)


def static_text(source: str) -> str:
    """Words without {{ values }}, {% tags %} and **; as it is if it cannot be read."""
    try:
        tokens = scan(source)
    except TemplateError:
        return source
    text = "".join(t.source if t.kind == "text" else " … " for t in tokens)
    return re.sub(r"[ \t]+", " ", text.replace("**", ""))


def _shape_findings(
    block: str, text: str, severity: Severity, tone: str
) -> Iterator[Finding]:
    for match in _CAPITALS.finditer(text):
        if match.group() not in _ACRONYMS:
            yield Finding(
                severity,
                "capitals",
                block,
                match.group(),
                f"“{match.group()}” in capitals reads as shouting.",
                f"Write “{match.group().lower()}”.",
                tone,
            )
    for match in _EMOJI.finditer(text) if tone in GUARDED_TONES else ():
        yield Finding(
            severity,
            "emoji",
            block,
            match.group(),
            f"“{match.group()}” makes an apology sound less sincere.",
            "Leave it out.",
            tone,
        )


def _offer_findings(
    block: str, text: str, shared: SharedBlocks, severity: Severity, tone: str
) -> Iterator[Finding]:
    """Deadlines and amounts that the offer, the same for everyone, does not have."""
    offered = _folded(f"{shared.offer} {shared.terms}")
    for match in _DEADLINE.finditer(text):
        date = re.search(_DATE, match.group(), re.IGNORECASE)
        if date and _folded(date.group()) not in offered:
            yield Finding(
                severity,
                "deadline",
                block,
                match.group(),
                f"“{match.group()}” sets a date that the offer does not have.",
                "Leave the date out, or put it into the offer, where all tones have "
                "it.",
                tone,
            )
    for match in _WORTH.finditer(text):
        if _folded(match.group()) not in offered:
            yield Finding(
                "blocks",
                "offer",
                block,
                match.group(),
                f"“{match.group()}” offers something that other tones do not.",
                "What is offered stands in the offer, the same for everyone.",
                tone,
            )


def _folded(text: str) -> str:
    return re.sub(r"[\s*]+", "", text).casefold()

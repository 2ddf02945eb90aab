"""Texts that only a person may answer: bereavement, illness, violence, ruin, despair.

Two readers, either is enough. The encoder's flags know the many ways in which people
say such things in passing. The patterns below know the plain ones, whatever the
encoder says; they need a context, because single words mislead: in reviews nearly
every "died" is a battery. What is found is never named by its kind outside this file:
the product stores "sensitive, human". Source of the rule: docs/method.md.
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

_KIN: Final = (
    r"(?:mums?|moms?|mam|mother|dads?|father|parents?|husband|hubby|wife|partner"
    r"|fianc[eé]e?|boyfriend|girlfriend|son|daughter|child|kid|baby|little (?:boy|girl)"
    r"|youngest|eldest|twins|brother|sister|grand(?:ma|pa|dad|mother|father|son"
    r"|daughter)|grandad|gran(?:ny)?|nan(?:a|ny)?|uncle|aunt(?:ie|y)?|niece|nephew"
    r"|cousin|(?:best )?(?:friend|mate)|(?:mother|father|brother|sister)[- ]in[- ]law)"
)
_OWN: Final = rf"(?:my|our|his|her|their)\s+(?:\w+\s+){{0,2}}?{_KIN}"
# Between who died and that they did: "has", "sadly", a name; never another thing, since
# a son's phone dies, too.
_STILL_THEM: Final = (
    r"(?:(?:has|have|had|was|were|is|just|sadly|suddenly|recently|tragically|also|both"
    r"|unexpectedly|peacefully|who|then|now|got|been|(?-i:[A-Z]\w+)),?\s+){0,4}"
)
_THEM: Final = rf"(?:{_OWN}|{_KIN}|s?he)(?!['’]?s\b)"
# "Nearly had a heart attack" when the bill came: no illness.
_REALLY: Final = r"(?<!nearly )(?<!almost )(?<!practically )(?<!about )(?<!you )"
# Where a sentence goes no further than that: "he left me", not "he left me on hold".
_THAT_IS_ALL: Final = (
    r"(?=\s*(?:[,.;!?]|$|last\b|on \w+day\b|after\b|and\b|so\b|this\b|in (?:jan|feb|mar"
    r"|apr|may|jun|jul|aug|sep|oct|nov|dec)))"
)
_BEREAVED: Final = (
    r"\bbereave(?:d|ment)\b|\b(?:was|been|am|i'?m|newly|recently) widowed\b"
    r"|\b(?:my|his) widow\b|\bas a widow(?:er)?\b",
    rf"\b{_THEM}\s+{_STILL_THEM}(?:died|dyed|passed away|passed on|dying|killed"
    r"|dropped down dead|no longer with us|took (?:his|her) own life)\b",
    rf"\b{_THEM}\s+(?:has |have |had |just |sadly |suddenly )+passed\b"
    r"(?! (?:the|a|my|his|her|by|out|up|over|on|it|through)\b)"
    r"|\bpassed (?:suddenly|peacefully|in (?:hospital|his sleep|her sleep))\b",
    rf"\b{_THEM}(?: is|'s|'s been| has been| was) dead\b"
    r"(?! (?:tired|keen|chuffed|set|serious|pleased|happy|right|on|good))",
    rf"\b(?:death|passing|funeral|loss|suicide|burial) of {_OWN}\b",
    rf"\b{_OWN}(?:'s|s)? (?:funeral|death|passing|wake|ashes|headstone|memorial)\b",
    rf"\b(?:lost|losing|buried|burying|bury|grieving for) (?:{_OWN}|(?:mum|mom|mam|dad"
    r"|gran|nan|grandad|grandma|grandpa)\b)(?!['’]s)"
    r"(?=\s*(?:[,.;!?]|to\b|last\b|in\b|this\b|on\b|at\b|and\b|that\b|$))"
    r"(?! (?:in|at) the (?:shop|store|crowd|airport|station))",
    rf"\b(?:my|our|his|her) late {_KIN}\b"
    r"|\bthe late (?-i:(?:Mr|Mrs|Ms|Miss)\b|[A-Z][a-z]+ [A-Z][a-z]+)",
    r"\b(?:executors?|probate|death certificate)\b",
    r"\bin (?:loving )?memory of (?:my|our|him|her)\b",
    r"\b(?:to|for|at|after|from|of|missed?|attend|his|her|a|the) (?:the )?funeral\b"
    r"(?! (?:scene|song|march|dirge|music|home|parlou?r|director|business))"
    r"|\bcremat(?:ed|ion|orium)\b",
    r"\b(?:had|have) (?:\w+ ){1,3}put to sleep\b|\b(?:was|were) put to sleep\b(?! by)",
    rf"\bsay goodbye to (?:him|her|our (?:baby|son|daughter)){_THAT_IS_ALL}",
    rf"\b(?:mum|mom|dad|nan|gran)(?:'?s| is| has)? (?:gone|passed){_THAT_IS_ALL}",
    r"\blast (?:pictures|photos?|messages?|things?) (?:we|i) have of "
    r"(?:my|our|him|her)\b",
    r"\bfell asleep for the last time\b|\bdidn'?t (?:survive|make it through)\b",
)
_HAS: Final = (
    r"(?:has|have|had|having|with|got|from|my|his|her|(?:mum|dad|wife|husband|son"
    r"|daughter)'?s|lives with|breast|lung|bowel|prostate|early onset)"
)
_ILL: Final = (
    r"\bchemo(?:therapy)?\b|\bradiotherapy\b|\bpalliative\b|\bterminally ill\b"
    r"|\bhospice\b(?! (?:charity|shop|fund))"
    r"|\bterminal (?:cancer|illness|diagnosis)\b|\b(?:it'?s|is|was) terminal\s*[,.;!]",
    rf"\b{_HAS} (?:\w+ )?(?:cancer|leuka?emia|lymphoma|tumou?rs?|dementia|alzheimer'?s"
    r"|parkinson'?s|motor neurone|multiple sclerosis|cystic fibrosis|crohn'?s)\b"
    r"(?! (?:charity|research|awareness|fund|walk|run|ribbon|sign|mug|appeal))"
    r"|\bthe big c\b|\b(?:wife|husband|mum|dad|sister|brother)(?:'s)? MS\b",
    r"\b(?:on|of|need|needs|start(?:s|ed|ing)?) dialysis\b|\bmastectomy\b"
    r"|\b(?:my|his|her|a|the|from the) biopsy\b",
    rf"{_REALLY}\b(?:had|having|suffered|after|since) (?:a|another|his|her|my) "
    r"(?:\w+ )?(?:stroke|heart attack|breakdown|aneurysm)\b",
    r"\bin (?:a coma|(?:the )?intensive care|(?:the )?icu|a psychiatric ward|rehab"
    r"|remission)\b|\b(?:open )?heart surgery\b|\bbeen sectioned\b"
    r"|\b(?:liver|kidney|heart|lung|bone marrow) transplant\b"
    r"|\bheart condition\b|\b(?:weeks|months) (?:left )?to live\b",
    rf"\b(?:i|we|{_OWN})\b[^.!?\n]{{0,30}}\bdiagnosed with\b",
    rf"\b{_OWN} (?:was|has been|got) (?:just )?diagnosed\b",
)
_HARMED: Final = (
    r"\bdomestic (?:violence|abuse)\b|\b(?:abusive|violent) (?:ex|husband|wife|partner"
    r"|relationship|marriage|home)\b|\brestraining order\b|\bnon[- ]molestation\b",
    rf"\b(?:s?he|ex|ex[- ]\w+|{_OWN}) (?:is|was|got|gets|turned) "
    r"(?:violent|abusive|nasty when)\b",
    rf"\b(?:s?he|my ex|{_OWN}) (?:hits|hit|punched|strangled|choked|hurts"
    r"|threaten(?:s|ed) to kill) (?:me|us)\b(?! (?:with|up|back|as))"
    r"|\bsomeone who hurt me\b",
    r"\bmy ex(?:[- ](?:husband|wife|partner|boyfriend|girlfriend))? (?:still )?"
    r"(?:has|knows|follows|found out|turns up)\b",
    r"\b(?:in|at) an? (?:women'?s )?(?:refuge|safe house)\b|\bmy stalker\b"
    r"|\b(?:being|been) stalked\b|\b(?:man|ex) (?:has been|keeps|is) following me\b",
    r"\bi (?:was|got|'ve been|have been) (?:sexually )?(?:assaulted|raped)\b",
    r"\b(?:isn'?t|is not|not) allowed to know where (?:she|he|we|i)\b",
    r"\bhe controlled (?:all|every|my|the money)\b",
    r"\b(?:afraid|scared|frightened|terrified) of my (?:husband|ex|partner|boyfriend)\b"
    r"|\b(?:escaped?|fled|fleeing) (?:from )?"
    r"(?:an abusive|my (?:ex|husband|partner))\b",
)
_RUINED: Final = (
    r"(?<!would have )(?<!could have )\blost (?:my|our|his|her) jobs?\b",
    rf"\b(?:i|we|he|she|i'?ve|we'?ve|{_OWN})\b[^.!?\n]{{0,20}}"
    r"\b(?:laid off|made redundant|sacked|(?:was|were|been|being) let go)\b"
    r"|\b(?:my|facing|taken) redundancy\b|\bcontract (?:wasn'?t|was not) renewed\b"
    rf"|\b(?:they|work) let (?:me|him|her) go{_THAT_IS_ALL}",
    r"\b(?:i'?m|i am|we'?re|currently|been|now) (?:unemployed|jobless|out of work"
    r"|between jobs)\b|\bpeople out of work\b|\bwithout a wage\b|\bnothing coming in\b"
    r"|\blost my income\b",
    r"\bbusiness (?:went|has gone|is going) under\b"
    r"|\b(?:(?:i|we|being|been) (?:am |are |have been )?declared|i'?m|i am|we'?re"
    r"|(?:i|we) (?:went|have gone|filed for)) (?:\w+ )?bankrupt(?:cy)?\b",
    r"\b(?:can'?t|cannot|couldn'?t|unable to) (?:pay|afford|make) "
    r"(?:the |my |our |this month'?s )?(?:rent|mortgage|heating|electric(?:ity)?)\b"
    r"|\bcan'?t afford (?:food|to eat)\b|\bstruggling to (?:feed|eat|heat)\b"
    r"|\bmake ends meet\b",
    r"\b(?:behind (?:on|with)|months? of|owe|arrears (?:on|of)) (?:the |my |our )?"
    r"(?:\w+ )?(?:rent|mortgage)\b|\brent (?:arrears|is (?:already )?\w+ months?)\b",
    r"\bbailiffs?\b|\bcollection agency\b|\bdebt (?:charity|collectors?|management"
    r"|advisers?)\b|\bdrowning in (?:debts?|credit|bills)\b|\bfood ?bank\b"
    r"|\b(?:deep |badly |so far )in debt\b|\bpayday loans?\b",
    r"\b(?:being|been|got|get|getting|facing) evict(?:ed|ion)\b|\brepossess(?:ed|ion)\b"
    r"|\blandlord changed the locks\b|\blost (?:our|my) home\b|\bsection 21\b"
    r"|\bkicked out of (?:my|our) (?:home|house|flat)\b",
    r"\b(?:i'?m|i am|we'?re|we are|been|made|become|now) homeless\b(?! for)"
    r"|\bsofa[- ]surfing\b|\bsleeping (?:in (?:my|the|our) car|rough)\b"
    r"|\bnowhere (?:else )?to live\b|\bput in a hostel\b",
    r"\bskipping meals\b|\bmy benefits (?:were|have been|got) (?:stopped|sanctioned)\b"
    r"|\b(?:there is|got|have|with) no money (?:until|till|left|at all)\b",
)
_PARTED: Final = (
    r"\b(?:going through|after|since|in the middle of|getting|my|our|a) "
    r"(?:messy |painful |the |a )?divorc(?:e|ed|ing)\b",
    rf"\b(?:{_OWN}|my ex) and (?:i|me) (?:are|have|'ve|is) (?:\w+ )?"
    rf"(?:separat(?:ed|ing)|split(?:ting)? up|broken up)\b",
    r"\bwe(?:'ve| have)? (?:just )?"
    rf"(?:broke|broken|split) up{_THAT_IS_ALL}",
    rf"\b(?:s?he|my (?:\w+ )?(?:husband|wife|partner|fianc[eé]e?|boyfriend|girlfriend))"
    rf" (?:has |just )?(?:left me|walked out|moved out){_THAT_IS_ALL}",
    r"\bwedding is off\b|\bcalled (?:off )?the wedding\b|\blost custody\b"
    r"|\bdecree (?:absolute|nisi)\b",
)
_UNBORN: Final = (
    r"\bmiscarr\w+\b|\bstillb(?:orn|irth)\b|\bno heartbeat\b|\bcot death\b"
    r"|\bectopic\b|\bangel baby\b",
    r"\blost (?:the|our|my) (?:baby|babies|twins|pregnancy)\b(?!['’]s)"
    r"(?! (?:monitor|seat|bag|shoes?|hat|toy|blanket|carrier|buggy|group))"
    r"|\b(?:not|no longer) pregnant(?: any ?more)\b|\bno longer pregnant\b"
    r"|\bround of ivf\b|\bivf (?:failed|didn'?t work)\b|\bours came too soon\b",
)
_URGENT: Final = (
    r"\bsuicidal\b|\bself[- ]?harm(?:ing|ed)?\b|\bkill(?:ing)? (?:my|him|her)self\b"
    r"|\b(?:commit|attempt)(?:ted|ing)? suicide\b|\bthoughts of suicide\b",
    r"\b(?:end|ending|take|taking) my (?:own )?life\b(?!')|\bend it all\b"
    r"|\bbetter off (?:dead|without me)\b|\bthinking (?:of|about) ending it all\b",
    r"\b(?:don'?t|do not|didn'?t) want to (?:live|be alive|be here any ?more"
    r"|go on living)\b|\bwants? to die\b|\bwish(?:ed)? (?:i was|i were) dead\b"
    r"|\b(?:don'?t|do not) want to wake up\b(?! (?:my|the|early|at|to|in|him|her|our))"
    r"|\bdecided not to be alive\b|\bno will to live\b|\bcan'?t go on living\b",
    r"\bno (?:reason|point) (?:to|in) (?:live|living|go on|going on|wake up"
    r"|waking up)\b"
    r"|\bno point to any of it\b|\b(?:not|isn'?t) worth living\b",
    r"\bhurt(?:ing)? myself (?:on purpose|last night|tonight)\b|\bmight do to myself\b"
    r"|\btook an overdose\b|\btook all (?:my|the) (?:pills|tablets)\b",
    r"\bburden (?:on|to) (?:everyone|everybody|my family|them all)\b"
    r"|\bif i (?:just )?disappeared\b|\bnobody would (?:miss me|notice if i)\b",
)


class _Kind(NamedTuple):
    """words: a sentence without any of them matches none of the patterns, and most
    sentences have none."""

    words: frozenset[str]
    pattern: re.Pattern[str]


def _kind(patterns: tuple[str, ...], words: str) -> _Kind:
    pattern = re.compile("|".join(patterns), re.IGNORECASE)
    return _Kind(frozenset(words.split()), pattern)


_PLAIN_KINDS: Final = (
    _kind(
        _BEREAVED,
        """bereaved bereavement widowed widow widower died dyed passed dying killed dead
        longer life death passing funeral loss suicide burial wake ashes headstone
        memorial lost losing buried burying bury grieving late executor executors
        probate certificate memory cremated cremation crematorium sleep goodbye gone
        pictures picture photo photos message messages thing things asleep survive
        through""",
    ),
    _kind(
        _ILL,
        """chemo chemotherapy radiotherapy palliative terminally terminal hospice cancer
        leukemia leukaemia lymphoma tumor tumour tumors tumours dementia alzheimer
        alzheimers parkinson parkinsons motor multiple cystic crohn crohns c ms dialysis
        mastectomy biopsy stroke attack breakdown aneurysm coma care icu ward rehab
        remission surgery sectioned transplant condition live diagnosed""",
    ),
    _kind(
        _HARMED,
        """domestic abusive violent restraining molestation nasty hits hit punched
        strangled choked hurts hurt threatens threatened ex refuge safe stalker stalked
        following assaulted raped know controlled afraid scared frightened terrified
        escape escaped fled fleeing""",
    ),
    _kind(
        _RUINED,
        """job jobs laid redundant sacked go redundancy contract unemployed jobless work
        wage coming income business bankrupt bankruptcy pay afford make mortgage rent
        feed eat heat ends arrears bailiff bailiffs agency debt debts drowning food
        foodbank payday evicted eviction repossessed repossession landlord home section
        house flat homeless surfing sleeping nowhere hostel meals benefits money""",
    ),
    _kind(
        _PARTED,
        """divorce divorced divorcing separated separating split splitting broke broken
        left walked moved wedding custody decree""",
    ),
    _kind(
        _UNBORN,
        """miscarriage miscarriages miscarried miscarry miscarrying miscarrige
        stillborn stillbirth heartbeat cot ectopic angel lost pregnant ivf soon""",
    ),
)
_URGENT_KIND: Final = _kind(
    _URGENT,
    """suicidal suicide harm harming harmed kill killing life end better live alive here
    living die dead wake will reason point worth hurt hurting myself overdose pills
    tablets burden disappeared nobody""",
)

# Beyond this a flag is worth the time of a person. With the patterns, 94 % of messages
# for a person in the development set are noticed and 2 % of what sounds alike is taken
# for one; from 0.85 on none is, at 93 %, but of texts that nobody had looked at a tenth
# more were missed then. Daily traffic: docs/emotion_model.md.
SENSITIVE_FROM: Final = 0.7
URGENT_FROM: Final = 0.3

_WORD: Final = re.compile(r"[a-z]+")
_SENTENCE: Final = re.compile(r"[^.!?\n]+[.!?\n]*")
_READ_AT_MOST_CHARS: Final = 20_000
_LONGEST_SENTENCE_CHARS: Final = 600


@dataclass(frozen=True, slots=True)
class Sensitive:
    """urgent: a life may be in danger, a person must look at once."""

    sentence: str
    urgent: bool


def flagged(sentence: str, sensitive: float, urgent: float) -> Sensitive | None:
    """What the encoder's two flags say of a sentence, each 0 to 1."""
    if urgent >= URGENT_FROM:
        return Sensitive(sentence, urgent=True)
    return Sensitive(sentence, urgent=False) if sensitive >= SENSITIVE_FROM else None


def stronger(one: Sensitive | None, other: Sensitive | None) -> Sensitive | None:
    """The urgent one of two findings, else the first there is."""
    if one is None or (other is not None and other.urgent and not one.urgent):
        return other
    return one


def sensitive_matter(text: str) -> Sensitive | None:
    """The first sentence that plainly says such a thing; an urgent one wins.

    text: cleaned or not, title first.
    """
    found: Sensitive | None = None
    for match in _SENTENCE.finditer(text[:_READ_AT_MOST_CHARS].replace("’", "'")):
        sentence = match[0].strip()[:_LONGEST_SENTENCE_CHARS]
        words = frozenset(_WORD.findall(sentence.lower()))
        if _is_of(_URGENT_KIND, sentence, words):
            return Sensitive(sentence, urgent=True)
        if found is None and any(_is_of(one, sentence, words) for one in _PLAIN_KINDS):
            found = Sensitive(sentence, urgent=False)
    return found


def _is_of(kind: _Kind, sentence: str, words: frozenset[str]) -> bool:
    return not kind.words.isdisjoint(words) and bool(kind.pattern.search(sentence))

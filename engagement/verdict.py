"""Person or machine: a verdict on one open or click, with its reasons. Pure.

Record first, judge later: nothing is thrown away, reports show people and machines
apart. The signals and limits are those of sending practice, docs/method.md, "People
and machines".
"""

import re
from dataclasses import dataclass

HUMAN, PROBABLE, PROXY, MACHINE = "human", "probable", "proxy", "machine"

# Nobody opens or follows a link this soon after the hand-over; scanners do.
OPEN_TOO_SOON_SECONDS = 2.0
CLICK_TOO_SOON_SECONDS = 10.0
# A person does not follow most links of a mail within five seconds.
BURST_SHARE, BURST_LINKS = 0.8, 3

_MACHINES = re.compile(
    r"bot\b|bots\b|crawl|spider|scan|preview|curl/|wget|python-|go-http|java/|okhttp"
    r"|headless|phantomjs|monitor|barracuda|proofpoint|mimecast|safelinks|libwww",
    re.IGNORECASE,
)
# Stand for a person's mail client, not for a crawler.
_PERSONAL_PROXIES = re.compile(r"googleimageproxy|yahoomailproxy", re.IGNORECASE)
# Apple's mail privacy fetches every picture with this and nothing more.
_APPLE_PRIVACY = "Mozilla/5.0"


@dataclass(frozen=True, slots=True)
class Hit:
    """One request for a picture or a link of a mail.

    seconds_since_handover: None when not known. links_in_burst: links of this message
    followed within five seconds, this one included, of links_in_mail.
    """

    is_click: bool
    user_agent: str
    method: str = "GET"
    prefetch: bool = False
    seconds_since_handover: float | None = None
    links_in_burst: int = 1
    links_in_mail: int = 0


def judge(hit: Hit) -> tuple[str, tuple[str, ...]]:
    """The verdict and its reasons: human, probable, proxy or machine."""
    reasons = tuple(_against(hit))
    if reasons:
        return MACHINE, reasons
    agent = hit.user_agent.strip()
    if not hit.is_click:
        if agent == _APPLE_PRIVACY:
            return PROXY, ("a mail client that fetches every picture",)
        if _PERSONAL_PROXIES.search(agent):
            return PROBABLE, ("fetched through the mail service's proxy",)
    if not agent:
        return PROBABLE, ("no user agent was given",)
    return HUMAN, ()


def _against(hit: Hit) -> list[str]:
    agent = hit.user_agent
    reasons = []
    if hit.method not in {"GET", "POST"} or hit.prefetch:
        reasons.append("asked ahead, not followed")
    if _MACHINES.search(agent) and not _PERSONAL_PROXIES.search(agent):
        reasons.append("calls itself a machine")
    limit = CLICK_TOO_SOON_SECONDS if hit.is_click else OPEN_TOO_SOON_SECONDS
    waited = hit.seconds_since_handover
    if waited is not None and waited < limit:
        reasons.append(f"{max(waited, 0):.1f} s after the hand-over")
    if (
        hit.is_click
        and hit.links_in_burst >= BURST_LINKS
        and hit.links_in_burst >= BURST_SHARE * hit.links_in_mail
    ):
        reasons.append(f"{hit.links_in_burst} links within five seconds")
    return reasons

"""The local outbox: what really lies in the .eml files."""

import re
from email.message import EmailMessage

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from campaigns.pages import framed, number_in
from campaigns.sending.outbox import read_mail, read_outbox
from customers.doors import shown_page

PICTURE = re.compile(r'src="[^"]*/o/[\w-]+\.gif"')
HEADERS_SHOWN = (
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
)


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """The newest mails first."""
    found = read_outbox(page=number_in(request, "page", default=1))
    return shown_page(
        request,
        "campaigns/outbox.html",
        title="Outbox",
        found=found,
        before=found.page - 1,
        after=found.page + 1 if found.page < found.pages else 0,
    )


@require_safe
def mail(request: HttpRequest, name: str) -> HttpResponse:
    """One mail: its headers, its HTML in a frame, its text."""
    message = _read(name)
    return shown_page(
        request,
        "campaigns/outbox_mail.html",
        title=str(message["Subject"]),
        crumbs=[("Outbox", reverse("campaigns:outbox")), (name, None)],
        name=name,
        headers=[(key, str(message[key])) for key in HEADERS_SHOWN if message[key]],
        text=_part(message, "plain"),
    )


@require_safe
def frame(request: HttpRequest, name: str) -> HttpResponse:
    """The HTML part alone. Its picture is left out: looking here is not an open."""
    return framed(PICTURE.sub('src="data:,"', _part(_read(name), "html")))


def _read(name: str) -> EmailMessage:
    try:
        return read_mail(name)
    except FileNotFoundError:
        raise Http404(f"The outbox has no mail {name}.") from None


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return str(body.get_content()) if body is not None else ""

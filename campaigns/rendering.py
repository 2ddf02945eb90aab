"""Rows become the values that campaigns.content fills into words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from campaigns.content.designs import load_design
from campaigns.content.links import (
    InertLinks,
    Links,
    UntrackedLinks,
    WebViewLinks,
)
from campaigns.content.render import (
    CompiledVariant,
    RecipientContext,
    RenderedEmail,
    SenderFacts,
    SharedBlocks,
    Words,
    compile_variant,
    render,
)
from campaigns.models import EmailTemplate, Message, Sender, SendVariant, Variant
from customers.models import Consent, Customer, Interaction

NEUTRAL_TONE: Final = "neutral"
IDS_A_QUESTION: Final = 2000
# Compiled words of sends under way: a few hundred kilobytes each.
VARIANTS_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Facts:
    """What a mail may say about one customer, and whether she may be tracked."""

    data: dict[str, Any]
    tracked: bool = True


def facts_about(
    customer_ids: Iterable[int], *, with_orders: bool = True
) -> dict[int, Facts]:
    """The facts of these customers; three queries per 2,000 of them.

    What we do not know is None: the words' own default stands in, or, where they have
    none, the person is left out by name.
    """
    waiting, facts = iter(customer_ids), {}
    while ids := list(islice(waiting, IDS_A_QUESTION)):
        orders = _last_orders(ids) if with_orders else {}
        untracked = _untracked(ids)
        rows = Customer.objects.filter(pk__in=ids).values_list(
            "pk", "first_name", "last_name", "language", "country"
        )
        for pk, first, last, language, country in rows.order_by():
            customer = {
                "first_name": first or None,
                "last_name": last or None,
                "full_name": f"{first} {last}".strip() or None,
                "language": language or None,
                "country": country or None,
            }
            last_order = orders.get(pk, {"product": None, "date": None})
            facts[pk] = Facts(
                {"customer": customer, "last_order": last_order}, pk not in untracked
            )
    return facts


def facts_of_nobody() -> Facts:
    """Of somebody of whom nothing is known: every default of the words stands in."""
    names = ("first_name", "last_name", "full_name", "language", "country")
    nothing = {"customer": names, "last_order": ("product", "date")}
    return Facts({key: dict.fromkeys(values) for key, values in nothing.items()})


def _last_orders(ids: list[int]) -> dict[int, dict[str, Any]]:
    rows = (
        Interaction.objects.filter(customer_id__in=ids, kind=Interaction.Kind.ORDER)
        .order_by("occurred_at", "pk")
        .values_list("customer_id", "product", "occurred_at")
    )
    return {
        customer: {
            "product": product or None,
            "date": f"{when.day} {when:%B %Y}",
        }
        for customer, product, when in rows
    }


def _untracked(ids: list[int]) -> set[int]:
    """Those whose last word on tracking was no."""
    rows = (
        Consent.objects.filter(customer_id__in=ids, purpose=Consent.Purpose.TRACKING)
        .order_by("occurred_at", "pk")
        .values_list("customer_id", "basis")
    )
    latest = dict(rows)
    return {pk for pk, basis in latest.items() if basis == Consent.Basis.WITHDRAWN}


def context_of(
    public_id: int, facts: Facts, variant: CompiledVariant
) -> RecipientContext:
    """The values and signed addresses of one message."""
    if facts.tracked:
        links = Links(settings.BASE_URL, public_id, settings.TRACKING_KEYS)
    else:
        links = UntrackedLinks(
            settings.BASE_URL,
            public_id,
            settings.TRACKING_KEYS,
            [link.url for link in variant.links],
        )
    return RecipientContext(data=facts.data, links=links)


def sender_facts(sender: Sender) -> SenderFacts:
    return SenderFacts(
        shop_name=sender.shop_name,
        from_name=sender.from_name,
        from_address=sender.from_address,
        reply_to=sender.reply_to,
        postal_address=sender.postal_address,
    )


def shared_blocks(template: EmailTemplate) -> SharedBlocks:
    return SharedBlocks(
        offer=template.offer,
        terms=template.terms,
        button_label=template.button_label,
        button_url=template.button_url,
        footer_reason=template.footer_reason,
    )


def words_of(variant: Variant) -> Words:
    return Words(
        subject=variant.subject, preheader=variant.preheader, blocks=variant.blocks
    )


def neutral_words(template: EmailTemplate) -> Variant | None:
    """The neutral words, once they are written."""
    return template.variants.filter(tone=NEUTRAL_TONE).first()


def words_in(template: EmailTemplate, tone: str) -> Variant:
    """The words in this tone, or the neutral ones. Raises Variant.DoesNotExist."""
    found = {
        variant.tone: variant
        for variant in template.variants.filter(tone__in={tone, NEUTRAL_TONE})
    }
    if not found:
        raise Variant.DoesNotExist(
            f"The template {template.name} has no words in the neutral tone."
        )
    return found.get(tone) or found[NEUTRAL_TONE]


def compile_template(
    template: EmailTemplate, tone: str, *, sender: Sender
) -> CompiledVariant:
    """The design with the words of one tone in it; neutral where that tone is missing.

    Raises TemplateError with line and column, Variant.DoesNotExist without neutral
    words.
    """
    return compile_variant(
        template.layout,
        shared_blocks(template),
        words_of(words_in(template, tone)),
        sender=sender_facts(sender),
    )


def preview_message(
    template: EmailTemplate,
    tone: str,
    customer: Customer,
    *,
    sender: Sender,
    at: datetime,
) -> RenderedEmail:
    """The mail as this customer would get it, by the same render() as the send.

    Its links lead nowhere. Raises what compile_template() and render() raise.
    """
    variant = compile_template(template, tone, sender=sender)
    facts = facts_about([customer.pk])[customer.pk]
    return render(variant, RecipientContext(data=facts.data, links=InertLinks()))


def starter_template(design: str, *, name: str | None = None) -> EmailTemplate:
    """A template of one's own: a copy of a design with all its tones."""
    starter = load_design(settings.EMAIL_DESIGNS_DIR, design)
    shared = starter.shared
    with transaction.atomic():
        template = EmailTemplate.objects.create(
            name=_free_name(name or starter.label),
            design=starter.key,
            purpose=starter.purpose,
            layout=starter.layout,
            offer=shared.offer,
            terms=shared.terms,
            button_label=shared.button_label,
            button_url=shared.button_url,
            footer_reason=shared.footer_reason,
        )
        Variant.objects.bulk_create(
            Variant(
                template=template,
                tone=tone,
                subject=words.subject,
                preheader=words.preheader,
                blocks=dict(words.blocks),
            )
            for tone, words in starter.words.items()
        )
    return template


def _free_name(wanted: str) -> str:
    taken = set(
        EmailTemplate.objects.filter(name__startswith=wanted).values_list(
            "name", flat=True
        )
    )
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted} {number}", number + 1
    return name


@lru_cache(maxsize=VARIANTS_KEPT)
def frozen_variant(variant_id: int, content_hash: str) -> CompiledVariant:
    """The compiled words of a send; parsed once per process."""
    # Frozen rows never change: the hash of the send's content only keeps apart rows
    # of databases that come and go, as in tests.
    compiled = SendVariant.objects.values_list("compiled", flat=True).get(pk=variant_id)
    return CompiledVariant.from_json(compiled)


def variant_of(message: Message) -> CompiledVariant | None:
    """The words this message was sent with; None if it was left out before."""
    send = message.send
    row = SendVariant.objects.filter(send=send, tone=message.tone).only("pk").first()
    return frozen_variant(row.pk, send.content_hash) if row else None


def rendered_message(message: Message) -> RenderedEmail:
    """The mail again, from its frozen words and what we know of the customer now.

    Raises Variant.DoesNotExist if it was left out, and what render() raises.
    """
    return render(*_as_sent(message))


def web_view_of(message: Message) -> str:
    """The HTML of that mail as a page, without the links only its reader may have."""
    variant, mail = _as_sent(message)
    page = RecipientContext(data=mail.data, links=WebViewLinks(mail.links))
    return render(variant, page).html


def _as_sent(message: Message) -> tuple[CompiledVariant, RecipientContext]:
    variant = variant_of(message)
    if variant is None:
        raise Variant.DoesNotExist(f"Message {message.public_id} has no words.")
    facts = facts_about([message.customer_id])[message.customer_id]
    return variant, context_of(message.public_id, facts, variant)


def link_destination(message: Message, number: int) -> str | None:
    """Where a link of this message leads, by its frozen table; None if it has none."""
    variant = variant_of(message)
    if variant is None or not 0 <= number < len(variant.links):
        return None
    return variant.links[number].url


def link_count(message: Message) -> int:
    """How many links of this message are counted."""
    variant = variant_of(message)
    return len(variant.links) if variant else 0

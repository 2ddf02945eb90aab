"""Templates: tones side by side, words, what is offered, the layout, previews."""

from django.contrib import messages
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from django.views.decorators.http import require_POST, require_safe

from campaigns.content.designs import NEUTRAL, TONES, VARIANT_BLOCKS, Tone
from campaigns.content.lint import Finding, lint_template, lint_words
from campaigns.content.problems import TemplateError, UndefinedValue
from campaigns.content.render import RenderedEmail
from campaigns.errors import CampaignsError
from campaigns.forms import (
    EVERY_TONE,
    LayoutForm,
    SharedForm,
    TestMailForm,
    WordsForm,
    example_sender,
)
from campaigns.models import EmailTemplate, Sender, Variant
from campaigns.pages import framed, number_in
from campaigns.rendering import (
    neutral_words,
    sender_facts,
    shared_blocks,
    words_of,
)
from campaigns.services import preview_message, send_test
from customers.doors import shown_page
from customers.models import Customer
from segmentation.models import Segment
from segmentation.naming import segments_in_tone
from segmentation.places import published_run, surest_members

TONE_OF = {tone.key: tone for tone in TONES}
SIDE_BY_SIDE = 2
CANNOT_BE_SHOWN = (TemplateError, UndefinedValue, CampaignsError, Variant.DoesNotExist)


def template_page(request: HttpRequest, template: EmailTemplate) -> HttpResponse:
    """Blocks × tones, two previews beside each other, and what to mend."""
    variants = {variant.tone: variant for variant in template.variants.all()}
    columns = [(tone, variants[tone.key]) for tone in TONES if tone.key in variants]
    columns.sort(key=lambda column: column[0].key != NEUTRAL)
    chosen = [key for key in request.GET.getlist("tone") if key in variants]
    shown = (chosen or [tone.key for tone, _ in columns])[:SIDE_BY_SIDE]
    findings = findings_of(template)
    return shown_page(
        request,
        "campaigns/template.html",
        title=template.name,
        crumbs=[
            ("Templates", reverse("admin:campaigns_emailtemplate_changelist")),
            (template.name, None),
        ],
        template=template,
        columns=columns,
        rows=[
            (block, [variant.blocks.get(block, "") for _, variant in columns])
            for block in VARIANT_BLOCKS
        ],
        missing=[tone for tone in TONES if tone.key not in variants],
        previews=[(TONE_OF[key], example_customer(TONE_OF[key])) for key in shown],
        findings=findings,
        blocking=[finding for finding in findings if finding.severity == "blocks"],
        test_form=TestMailForm(),
    )


def findings_of(template: EmailTemplate) -> list[Finding]:
    """What the lint says of all tones."""
    words = {variant.tone: words_of(variant) for variant in template.variants.all()}
    try:
        return lint_template(
            template.layout,
            shared_blocks(template),
            words,
            sender_facts(example_sender()),
        )
    except TemplateError as error:
        return [
            Finding("blocks", "markup", problem.part, "", problem.message, problem.hint)
            for problem in error.problems
        ]


def example_customer(tone: Tone) -> Customer | None:
    """Somebody who would get this tone: the surest member of its segments."""
    run = published_run()
    # A question a segment: each is answered by the first entry of an index.
    surest = [
        surest_members(run, segment).select_related("customer").first()
        for segment in Segment.objects.filter(key__in=segments_in_tone(tone.key))
    ]
    members = [member for member in surest if member is not None]
    if not members:
        return Customer.objects.first()
    return max(members, key=lambda member: member.probability).customer


def words(request: HttpRequest, pk: int, tone: str) -> HttpResponseBase:
    """The words of one tone; a tone that is missing is written here first."""
    template = get_object_or_404(EmailTemplate, pk=pk)
    if tone not in TONE_OF:
        raise Http404(f"There is no tone {tone}.")
    variant = template.variants.filter(tone=tone).first() or _draft(template, tone)
    form = WordsForm(request.POST or None, instance=variant)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, f"The {tone} words are kept.")
        return _to_template(template)
    return shown_page(
        request,
        "campaigns/words.html",
        title=f"{template.name}: {TONE_OF[tone].label}",
        crumbs=_crumbs(template, TONE_OF[tone].label),
        template=template,
        tone=TONE_OF[tone],
        form=form,
        findings=lint_words(words_of(form.instance), shared_blocks(template), tone),
        neutral=neutral_words(template),
        customer=example_customer(TONE_OF[tone]),
        kept=variant.pk is not None,
    )


def _draft(template: EmailTemplate, tone: str) -> Variant:
    neutral = neutral_words(template)
    return Variant(
        template=template,
        tone=tone,
        subject=neutral.subject if neutral else "",
        preheader=neutral.preheader if neutral else "",
        blocks=dict(neutral.blocks) if neutral else {},
    )


@require_POST
def remove(request: HttpRequest, pk: int, tone: str) -> HttpResponseBase:
    """Drop a tone; its segment then gets the neutral words."""
    template = get_object_or_404(EmailTemplate, pk=pk)
    if tone == NEUTRAL:
        messages.error(
            request, "Neutral stays: it is what everyone without a tone of theirs gets."
        )
    else:
        template.variants.filter(tone=tone).delete()
        messages.success(request, f"The {tone} words are gone; neutral is used.")
    return _to_template(template)


def shared(request: HttpRequest, pk: int) -> HttpResponseBase:
    """What is the same for everyone."""
    template = get_object_or_404(EmailTemplate, pk=pk)
    form = SharedForm(request.POST or None, instance=template)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Kept, in every tone at once.")
        return _to_template(template)
    return shown_page(
        request,
        "campaigns/shared.html",
        title=f"{template.name}: what is the same for everyone",
        crumbs=_crumbs(template, "The offer"),
        template=template,
        form=form,
    )


def layout(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The MJML of the design."""
    template = get_object_or_404(EmailTemplate, pk=pk)
    form = LayoutForm(request.POST or None, instance=template)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "The layout is kept.")
        return _to_template(template)
    return shown_page(
        request,
        "campaigns/layout.html",
        title=f"{template.name}: layout",
        crumbs=_crumbs(template, "Layout"),
        template=template,
        form=form,
    )


@require_safe
def preview(request: HttpRequest, pk: int, tone: str) -> HttpResponse:
    """The mail as one customer gets it, for a frame: ?customer=ID&part=text."""
    template = get_object_or_404(EmailTemplate, pk=pk)
    if tone not in TONE_OF:
        raise Http404(f"There is no tone {tone}.")
    chosen = Customer.objects.filter(pk=number_in(request, "customer")).first()
    customer = chosen or example_customer(TONE_OF[tone])
    rendered, problem = try_preview(template, tone, customer)
    if rendered is None:
        return framed(f"<p style='font:16px sans-serif'>{escape(problem)}</p>")
    if request.GET.get("part") == "text":
        style = "font:14px/1.6 monospace;white-space:pre-wrap;margin:24px"
        return framed(f"<pre style='{style}'>{escape(rendered.text)}</pre>")
    if request.GET.get("dark"):
        return framed(as_if_dark(rendered.html))
    return framed(rendered.html)


def as_if_dark(html: str) -> str:
    """The mail's own dark rules, applied whatever this browser prefers."""
    return html.replace("(prefers-color-scheme: dark)", "all")


def try_preview(
    template: EmailTemplate, tone: str, customer: Customer | None
) -> tuple[RenderedEmail | None, str]:
    """The rendered mail, or why there is none."""
    sender = Sender.objects.first()
    if customer is None:
        return None, "There are no customers yet: import a history to see a preview."
    if sender is None:
        return None, "There is no sender yet: add one, then this shows the mail."
    try:
        rendered = preview_message(
            template, tone, customer, sender=sender, at=timezone.now()
        )
    except CANNOT_BE_SHOWN as problem:
        return None, str(problem)
    return rendered, ""


@require_POST
def test_mail(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One mail to an address of one's own."""
    template = get_object_or_404(EmailTemplate, pk=pk)
    form = TestMailForm(request.POST)
    sender = Sender.objects.first()
    if not form.is_valid():
        messages.error(request, "A test mail needs an address and a tone.")
    elif sender is None:
        messages.error(request, "There is no sender yet: add one first.")
    else:
        to, tone = form.cleaned_data["to"], form.cleaned_data["tone"]
        tones = [tone]
        if tone == EVERY_TONE:
            written = set(template.variants.values_list("tone", flat=True))
            tones = [one.key for one in TONES if one.key in written]
        left = [_send_test(request, template, one, to, sender) for one in tones]
        if all(left):
            one_or_many = "A test mail is on its way"
            if len(tones) > 1:
                one_or_many = f"{len(tones)} test mails are on their way"
            messages.success(request, f"{one_or_many} to {to}.")
    return _to_template(template)


def _send_test(
    request: HttpRequest, template: EmailTemplate, tone: str, to: str, sender: Sender
) -> bool:
    """True when it left; else the page says why it did not."""
    customer = example_customer(TONE_OF[tone])
    if customer is None:
        messages.error(request, "There are no customers yet to take words from.")
        return False
    try:
        send_test(
            template, tone, customer=customer, to=to, sender=sender, at=timezone.now()
        )
    except CANNOT_BE_SHOWN as problem:
        label = TONE_OF[tone].label
        messages.error(request, f"{label}: the test mail was not sent: {problem}")
        return False
    return True


def _to_template(template: EmailTemplate) -> HttpResponseRedirect:
    return HttpResponseRedirect(
        reverse("admin:campaigns_emailtemplate_change", args=[template.pk])
    )


def _crumbs(template: EmailTemplate, last: str) -> list[tuple[str, str | None]]:
    return [
        ("Templates", reverse("admin:campaigns_emailtemplate_changelist")),
        (
            template.name,
            reverse("admin:campaigns_emailtemplate_change", args=[template.pk]),
        ),
        (last, None),
    ]

"""Doors: one text and why it reads so, the shop's words, messages for a person."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
)
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from customers.doors import download, shown_page
from customers.models import Interaction
from segmentation.corrections import (
    correct_reading,
    corrections_as_csv,
    corrections_as_jsonl,
    standing,
    withdraw_correction,
)
from segmentation.emotion.brand_words import NAME, BrandWordRefused, BrandWords
from segmentation.emotion.explaining import Explained, explain_text
from segmentation.emotion.families import FAMILIES
from segmentation.emotion.reading import TextToRead
from segmentation.errors import SegmentationError
from segmentation.frames import families_of
from segmentation.models import BrandWord, EmotionScore, SensitiveMatter
from segmentation.scoring import text_of
from segmentation.sensitive_matters import (
    SILENT,
    clear_matter,
    mark_seen,
    silent_matters,
    waiting_matters,
)
from segmentation.shop_words import add_brand_word, brand_words, remove_brand_word
from segmentation.showing import strongest_family

TINT_MOST_PERCENT = 46  # of the family's colour behind the word that carried most
TINT_LEAST_PERCENT = 6  # fainter ones are left white
WORDS_LISTED = 6
TEST_TEXT_CHARS = 5_000
MATTERS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class ShownWord:
    """tint: per cent of the family's colour behind the word; 0 for none."""

    text: str
    tint: int
    against: bool


@dataclass(frozen=True, slots=True)
class ShownText:
    """A text with its words tinted by what they carry of one family."""

    explained: Explained
    family: str
    sentences: list[tuple[list[ShownWord], str, int]]
    bars: list[tuple[str, float, float]]
    carriers: list[tuple[str, float]]
    against: list[tuple[str, float]]
    usual: float
    carried: float
    model: float


@require_http_methods(["GET", "POST"])
def text(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One text: what it reads as, which words carried it, a person's better word."""
    interaction = get_object_or_404(
        Interaction.objects.select_related("customer"), pk=pk
    )
    if request.method == "POST":
        return _corrected(request, interaction)
    objected = interaction.customer.profiling_objected_at is not None
    score = EmotionScore.objects.filter(interaction=interaction).first()
    read = not objected and score is not None
    explained = _explained(text_of(interaction), brand_words().digest) if read else None
    customer = interaction.customer
    return shown_page(
        request,
        "segmentation/text.html",
        title="One text",
        crumbs=[
            ("Customers", reverse("admin:customers_customer_changelist")),
            (
                str(customer),
                reverse("admin:customers_customer_change", args=[customer.pk]),
            ),
            ("One text", None),
        ],
        interaction=interaction,
        objected=objected,
        score=score,
        shown=shown_text(explained, request.GET.get("family", "")),
        read_as=_read_as(score) if read else None,
        families=FAMILIES,
        may_correct=read and request.user.has_perm("segmentation.add_correction"),
        correction=standing(interaction) if read else None,
        earlier=(
            interaction.corrections.filter(withdrawn_at__isnull=False)
            .select_related("corrected_by", "withdrawn_by")
            .order_by("-pk")
            if read
            else []
        ),
        matter=_matter_shown(request, interaction),
    )


@lru_cache(maxsize=128)
def _explained(item: TextToRead, digest: str) -> Explained:
    """Another family of the same text is another look at the same numbers.

    digest: of the rules in force, so that new rules are not answered from before.
    """
    return explain_text(item, brand_words=brand_words())


def _matter_shown(
    request: HttpRequest, interaction: Interaction
) -> SensitiveMatter | None:
    """For whoever may know, while marketing is silent because of it."""
    if not request.user.has_perm("segmentation.view_sensitivematter"):
        return None
    return SensitiveMatter.objects.filter(
        interaction=interaction, occurred_at__gt=timezone.now() - SILENT
    ).first()


def _corrected(request: HttpRequest, interaction: Interaction) -> HttpResponseBase:
    if not request.user.has_perm("segmentation.add_correction"):
        raise PermissionDenied
    now = timezone.now()
    try:
        if request.POST.get("withdraw"):
            withdraw_correction(interaction, by=request.user, at=now)
            messages.success(request, "The model's reading counts again.")
        else:
            family = request.POST.get("family", "")
            correct_reading(interaction, family=family, by=request.user, at=now)
            messages.success(
                request,
                f"Kept: this text reads as {family}. It counts from the next sorting.",
            )
    except SegmentationError as problem:
        messages.error(request, str(problem))
    return redirect("segmentation:text", pk=interaction.pk)


def shown_text(explained: Explained | None, family: str) -> ShownText | None:
    """Words tinted for `family`, or for the one the text reads as most."""
    if explained is None or explained.reading.families is None:
        return None
    family = family if family in FAMILIES else explained.family
    column = FAMILIES.index(family)
    words = [word for sentence in explained.sentences for word in sentence.words]
    most = max((abs(word.carried[column]) for word in words), default=0.0) or 1.0
    mix = explained.reading.families
    by_part = sorted(_runs(explained, column), key=lambda run: -run[1])
    return ShownText(
        explained,
        family,
        [
            (
                [
                    _tinted(word.text, word.carried[column] / most)
                    for word in part.words
                ],
                *strongest_family(part.families.tolist()),
            )
            for part in explained.sentences
        ],
        [
            (name, float(share), 100 * float(share) / float(mix.max()))
            for name, share in zip(FAMILIES, mix, strict=True)
        ],
        [word for word in by_part[:WORDS_LISTED] if word[1] > 0],
        [word for word in by_part[::-1][:WORDS_LISTED] if word[1] < 0],
        float(explained.usual[column]),
        float(np.sum([word.carried[column] for word in words])),
        float(explained.model[column]),
    )


def _runs(explained: Explained, column: int) -> list[tuple[str, float]]:
    """Words that were taken away together, with what they carry together."""
    runs: list[tuple[str, float]] = []
    for sentence in explained.sentences:
        for _, same in groupby(sentence.words, key=lambda word: tuple(word.carried)):
            run = list(same)
            part = float(np.sum([word.carried[column] for word in run]))
            runs.append((" ".join(word.text for word in run), part))
    return runs


def _tinted(word: str, part: float) -> ShownWord:
    tint = round(TINT_MOST_PERCENT * abs(part))
    return ShownWord(word, tint if tint >= TINT_LEAST_PERCENT else 0, part < 0)


def _read_as(score: EmotionScore | None) -> tuple[str, int] | None:
    if score is None or not score.families:
        return None
    return strongest_family(families_of(score.families).tolist())


@require_http_methods(["GET", "POST"])
def words(request: HttpRequest) -> HttpResponseBase:
    """The shop's own words, with a box to try a text before a rule is kept.

    Trying is a POST too: what customers wrote has no place in addresses and logs.
    """
    if request.method == "POST" and "try" not in request.POST:
        return _word_changed(request)
    tried = request.POST.get("text", "")[:TEST_TEXT_CHARS]
    phrase, family = request.POST.get("phrase", ""), request.POST.get("family", NAME)
    rules, problem = _with_candidate(phrase, family)
    item = TextToRead(tried)
    return shown_page(
        request,
        "segmentation/words.html",
        title="Words of this shop",
        crumbs=[("Texts", reverse("segmentation:model")), ("Words", None)],
        rules=BrandWord.objects.select_related("added_by"),
        families=FAMILIES,
        may_change=request.user.has_perm("segmentation.change_brandword"),
        tried=tried,
        phrase=phrase,
        family=family,
        problem=problem,
        without=shown_text(explain_text(item), "") if tried else None,
        with_rules=(
            shown_text(explain_text(item, brand_words=rules), "") if tried else None
        ),
    )


def _with_candidate(phrase: str, family: str) -> tuple[BrandWords, str]:
    """The rules in force and, to be tried, one more."""
    rules = brand_words()
    if not phrase.strip():
        return rules, ""
    try:
        return BrandWords({**rules.rules, phrase.strip(): family}), ""
    except BrandWordRefused as error:
        return rules, str(error)


def _word_changed(request: HttpRequest) -> HttpResponseBase:
    if not request.user.has_perm("segmentation.change_brandword"):
        raise PermissionDenied
    try:
        removed = request.POST.get("remove", "")
        if removed:
            pk = int(removed[:18]) if removed.isdecimal() else 0
            word = get_object_or_404(BrandWord, pk=pk)
            touched = remove_brand_word(word)
            done = f"“{word.phrase}” is no rule any more"
        else:
            phrase = request.POST.get("phrase", "")
            touched = add_brand_word(
                phrase=phrase,
                family=request.POST.get("family", NAME),
                by=request.user,
                at=timezone.now(),
            )
            done = f"“{phrase.strip()}” is a rule now"
        messages.success(
            request, f"{done}. {touched:,} texts are read again with the next sorting."
        )
    except SegmentationError as problem:
        messages.error(request, str(problem))
    return redirect("segmentation:words")


@require_safe
def to_read(request: HttpRequest) -> HttpResponse:
    """Messages that a person should read before anything else is sent."""
    now = timezone.now()
    waiting = Paginator(waiting_matters(at=now), MATTERS_SHOWN)
    silent = Paginator(silent_matters(at=now), MATTERS_SHOWN)
    return shown_page(
        request,
        "segmentation/to_read.html",
        title="For a person",
        crumbs=[("Texts", reverse("segmentation:model")), ("For a person", None)],
        count=waiting.count,
        waiting=waiting.get_page(request.GET.get("waiting")),
        may_clear=request.user.has_perm("segmentation.change_sensitivematter"),
        silent=silent.get_page(request.GET.get("silent")),
    )


@require_POST
def matter(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Seen, or cleared: this message keeps no marketing away any more."""
    found = get_object_or_404(SensitiveMatter, pk=pk)
    if request.POST.get("clear"):
        clear_matter(found, by=request.user, at=timezone.now())
        messages.success(request, "Cleared: this message keeps no marketing away.")
    else:
        mark_seen(found, by=request.user, at=timezone.now())
        messages.success(
            request, "Marked as read. Marketing stays silent 90 days after the message."
        )
    return redirect("segmentation:to_read")


@require_safe
def corrections_jsonl(request: HttpRequest) -> HttpResponseBase:
    """Standing corrections as labelled rows, to train or evaluate on."""
    return download(corrections_as_jsonl(), "corrections.jsonl", "application/jsonl")


@require_safe
def corrections_csv(request: HttpRequest) -> HttpResponseBase:
    """The same for a spreadsheet."""
    return download(corrections_as_csv(), "corrections.csv", "text/csv")

"""Doors: rule segments as a list, one and its editor, trying a rule while it grows."""

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from customers.doors import shown_page
from customers.templatetags.attune import number
from segmentation.errors import RuleInUse, RuleRefused
from segmentation.groups import GROUP_KEY
from segmentation.models import RuleSegment
from segmentation.reasons import NAME_CHARACTERS
from segmentation.rule_segments import (
    Trial,
    change_rule,
    count_rule,
    create_rule,
    delete_rule,
    segment_names,
    tree_of,
    try_rule,
    words_of,
)
from segmentation.rules.fields import CHOICE, FIELDS, OP_LABELS
from segmentation.rules.tree import DEPTH_MOST
from segmentation.rules.wording import in_words

RULES_SHOWN = 200
# What a new rule begins with: something to change is easier than nothing.
FIRST_RULE = {
    "how": "all",
    "members": [{"field": "last_order", "op": "within", "value": 90}],
}


@require_safe
def rules(request: HttpRequest) -> HttpResponse:
    """All rules, with the count of the last time somebody counted."""
    kept = RuleSegment.objects.in_use().select_related("changed_by")
    found, names = list(kept[: RULES_SHOWN + 1]), segment_names()
    return shown_page(
        request,
        "segmentation/rules.html",
        title="Rules",
        crumbs=[("Segments", reverse("segmentation:segments")), ("Rules", None)],
        rules=[
            (one, in_words(tree_of(one), names=names)) for one in found[:RULES_SHOWN]
        ],
        more=len(found) > RULES_SHOWN,
        may_add=request.user.has_perm("segmentation.add_rulesegment"),
    )


@require_http_methods(["GET", "POST"])
def new_rule(request: HttpRequest) -> HttpResponseBase:
    """A rule from the beginning."""
    if request.method == "POST":
        try:
            made = create_rule(
                name=request.POST.get("name", ""),
                text=request.POST.get("rule", ""),
                by=request.user,
                at=timezone.now(),
            )
        except RuleRefused as problem:
            return _editor(request, None, problem=str(problem))
        messages.success(request, f"“{made}” is a rule now.")
        return redirect("segmentation:rule", key=made.key)
    return _editor(request, None)


@require_http_methods(["GET", "POST"])
def rule(request: HttpRequest, key: str) -> HttpResponseBase:
    """One rule: its words, and the editor for whoever may change it."""
    shown = get_object_or_404(RuleSegment.objects.in_use(), key=key)
    if request.method == "POST":
        if not request.user.has_perm("segmentation.change_rulesegment"):
            raise PermissionDenied
        try:
            change_rule(
                shown,
                name=request.POST.get("name", ""),
                text=request.POST.get("rule", ""),
                by=request.user,
                at=timezone.now(),
            )
        except RuleRefused as problem:
            return _editor(request, shown, problem=str(problem))
        messages.success(
            request,
            f"“{shown}” is kept. Sends that are scheduled keep the rule of then.",
        )
        return redirect("segmentation:rule", key=shown.key)
    return _editor(request, shown)


def _editor(
    request: HttpRequest, shown: RuleSegment | None, *, problem: str = ""
) -> HttpResponse:
    """The page of a rule; after a refusal with what was typed, not what is kept."""
    kept = shown.rule if shown else FIRST_RULE
    text = json.dumps(kept, indent=2, ensure_ascii=False)
    right = "change" if shown else "add"
    return shown_page(
        request,
        "segmentation/rule.html",
        title=str(shown) if shown else "A new rule",
        crumbs=[
            ("Segments", reverse("segmentation:segments")),
            ("Rules", reverse("segmentation:rules")),
            (str(shown) if shown else "New", None),
        ],
        rule=shown,
        words=words_of(tree_of(shown)) if shown else "",
        name=request.POST.get("name", shown.name if shown else ""),
        text=request.POST.get("rule", text),
        problem=problem,
        catalogue=catalogue(),
        name_characters=NAME_CHARACTERS,
        may_keep=request.user.has_perm(f"segmentation.{right}_rulesegment"),
        may_count=request.user.has_perm("segmentation.change_rulesegment"),
        may_delete=request.user.has_perm("segmentation.delete_rulesegment"),
    )


def catalogue() -> dict[str, Any]:
    """What the editor offers: every fact with its operations and choices."""
    names = segment_names()
    groups = [[key, name] for key, name in names.items() if key.startswith(GROUP_KEY)]
    return {
        "deepest": DEPTH_MOST,
        "fields": [
            {
                "key": one.key,
                "label": one.label,
                "about": one.about,
                # Which groups there are is known here only.
                "kind": CHOICE if key == "group" else one.kind,
                "ops": [[op, OP_LABELS[op]] for op in one.ops],
                "choices": groups
                if key == "group"
                else [
                    [choice, names.get(choice, choice) if key == "segment" else choice]
                    for choice in one.choices
                ],
                "unit": one.unit,
                "needs": one.needs,
                "least": one.least,
                "most": one.most,
            }
            for key, one in FIELDS.items()
            if key != "group" or groups
        ],
    }


@require_POST
def try_out(request: HttpRequest) -> JsonResponse:
    """Whom the rule in the editor holds for: nothing is kept.

    A POST, since what a rule asks about people has no place in addresses and logs.
    """
    rights = ("segmentation.add_rulesegment", "segmentation.change_rulesegment")
    if not any(request.user.has_perm(right) for right in rights):
        raise PermissionDenied
    try:
        found = try_rule(request.POST.get("rule", ""), at=timezone.now())
    except RuleRefused as problem:
        return JsonResponse({"problem": str(problem)}, status=422)
    return JsonResponse(
        {
            "words": found.words,
            "count": _counted(found),
            "sample": _sample(request, found),
        }
    )


def _counted(found: Trial) -> str:
    if found.more:
        return f"More than {number(found.count)} customers"
    return f"{number(found.count)} customer{'' if found.count == 1 else 's'}"


def _sample(request: HttpRequest, found: Trial) -> list[dict[str, str]]:
    """Names only for whoever may see customers, and what is inferred of them."""
    rights = ("customers.view_customer", "segmentation.view_segment")
    if not all(request.user.has_perm(right) for right in rights):
        return []
    return [
        {
            "name": str(one),
            "page": reverse("admin:customers_customer_change", args=[one.pk]),
        }
        for one in found.sample
    ]


@require_POST
def count(request: HttpRequest, key: str) -> HttpResponseBase:
    """Count everybody now."""
    shown = get_object_or_404(RuleSegment.objects.in_use(), key=key)
    counted = count_rule(shown, at=timezone.now())
    messages.success(request, f"“{shown}” holds for {number(counted)} customers now.")
    return redirect("segmentation:rule", key=key)


@require_POST
def delete(request: HttpRequest, key: str) -> HttpResponseBase:
    """Gone, unless something to come relies on it."""
    shown = get_object_or_404(RuleSegment.objects.in_use(), key=key)
    try:
        delete_rule(shown, at=timezone.now())
    except RuleInUse as problem:
        messages.error(request, str(problem))
        return redirect("segmentation:rule", key=key)
    messages.success(request, f"“{shown}” is deleted.")
    return redirect("segmentation:rules")

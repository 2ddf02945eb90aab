"""Groups that no segment describes: proposed at a fit, decided on by a person.

An accepted group is a rule that campaigns may choose; the seven segments stay what they
are. Who is in it is found anew at every fit.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from django.db import transaction

from customers.models import Customer
from segmentation.clustering.emergent import (
    PEOPLE_NEEDED,
    SAME_BELOW,
    Group,
    belonging,
    find_group,
    group_evidence,
    jensen_shannon,
    suggested_name,
)
from segmentation.clustering.model import ProfileTable, SegmentModel
from segmentation.emotion.families import FAMILIES
from segmentation.errors import DecisionRefused
from segmentation.frames import People
from segmentation.models import EmergentGroup, GroupMember, SegmentationRun
from segmentation.naming import check_there_is
from segmentation.profile.behaviour import DEEDS
from segmentation.profile.events import SOURCES, Deeds, FloatArray, IntArray, Texts
from segmentation.reasons import tidy_reason
from segmentation.rule_segments import create_rule, free_key

State = EmergentGroup.State
# Keys of groups begin so: no segment's ever does.
GROUP_KEY: Final = "group-"
CHUNK: Final = 5000
DECIDED: Final = (State.ACCEPTED, State.DISMISSED)


@dataclass(frozen=True, slots=True)
class Fit:
    """What a run was made of; row i of the arrays is people.ids[i]."""

    run: SegmentationRun
    people: People
    texts: Texts
    deeds: Deeds
    profiles: ProfileTable
    model: SegmentModel


def look_for_groups(fit: Fit, *, at: datetime) -> None:
    """Find anew who is in the accepted groups, and whether there is one to propose."""
    follow_accepted(fit)
    found = find_group(fit.texts, fit.model, seed=fit.model.seed)
    keep_proposal(found, fit, at=at)
    # Whoever objected while this was going on.
    GroupMember.objects.filter(customer__profiling_objected_at__isnull=False).delete()


def follow_accepted(fit: Fit) -> None:
    """Who is in each accepted group by this fit."""
    for group in EmergentGroup.objects.filter(state=State.ACCEPTED):
        shares = np.array(group.figures["shares"])
        _write(group, fit.people, *_members(fit, np.array(group.row), shares))


def keep_proposal(
    found: Group | None, fit: Fit, *, at: datetime
) -> EmergentGroup | None:
    """What a search found is the open proposal, unless a person has decided on it.

    Any other open one fades: it is no longer there. Returns the one that is open.
    """
    kept = _proposal(found, fit, at=at) if found else None
    gone = EmergentGroup.objects.filter(state=State.OPEN)
    for group in gone.exclude(pk=kept.pk) if kept else gone:
        GroupMember.objects.filter(group=group).delete()
        # Only where nobody has decided on it meanwhile.
        gone.filter(pk=group.pk).update(state=State.FADED)
    return kept


def _proposal(found: Group, fit: Fit, *, at: datetime) -> EmergentGroup | None:
    like_it = [
        one
        for one in EmergentGroup.objects.exclude(state=State.FADED)
        if jensen_shannon(np.array(one.row), found.row) < SAME_BELOW
    ]
    if any(one.state in DECIDED for one in like_it):
        return None
    rows, sure = _members(fit, found.row, found.shares)
    if len(rows) < PEOPLE_NEEDED:
        return None
    fields = {
        "name": suggested_name(found.row, fit.model.mix),
        "row": [round(float(share), 6) for share in found.row],
        "share": found.share,
        "figures": {
            "shares": found.shares.tolist(),
            "gain": round(found.gain, 1),
            "divergence": round(found.divergence, 3),
            "stability": round(found.stability, 2),
            **_distinguishing(rows, fit, found.row),
        },
        "run": fit.run,
        "found_at": at,
    }
    if not like_it:
        group = EmergentGroup.objects.create(**fields)
    else:
        group = like_it[0]
        # Only where nobody has decided on it meanwhile.
        still_open = EmergentGroup.objects.filter(pk=group.pk, state=State.OPEN)
        if not still_open.update(**fields):
            return None
    _write(group, fit.people, rows, sure)
    group.refresh_from_db()
    return group


def _members(
    fit: Fit, row: FloatArray, shares: FloatArray
) -> tuple[IntArray, FloatArray]:
    own = group_evidence(fit.texts, fit.model, row)
    # Deeds speak for segments only; for a group they are as likely as for everybody.
    return belonging(own, fit.profiles.evidence, shares, temper=fit.model.temper)


def _distinguishing(rows: IntArray, fit: Fit, row: FloatArray) -> dict[str, Any]:
    """What they carry, where they write and what they do, each beside everybody."""
    texts, deeds = fit.texts, fit.deeds
    inside, wrote = (np.zeros(texts.n_customers, bool) for _ in range(2))
    inside[rows] = True
    wrote[texts.customer] = True
    theirs = inside[texts.customer]
    did = np.zeros((texts.n_customers, len(DEEDS)), bool)
    did[deeds.customer, deeds.code] = True
    return {
        "families": [
            [family, round(float(share), 4), round(float(usual), 4)]
            for family, share, usual in zip(FAMILIES, row, fit.model.mix, strict=True)
        ],
        "sources": [
            [name, *_shares(texts.source == code, theirs)]
            for code, name in enumerate(SOURCES)
            if (texts.source == code).any()
        ],
        "deeds": [
            [deed.words, *_shares(did[wrote, code], inside[wrote])]
            for code, deed in enumerate(DEEDS.values())
            if did[:, code].any()
        ],
    }


def _shares(which: Any, theirs: Any) -> tuple[float, float]:
    """The share of their own, and of everybody's."""
    return round(float(which[theirs].mean()), 4), round(float(which.mean()), 4)


@transaction.atomic
def _write(
    group: EmergentGroup, people: People, rows: IntArray, sure: FloatArray
) -> None:
    GroupMember.objects.filter(group=group).delete()
    written = 0
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        # Who was erased or objected while this was being computed is left out.
        there = set(
            Customer.objects.filter(
                pk__in=people.ids[rows[part]].tolist(), profiling_objected_at=None
            ).values_list("pk", flat=True)
        )
        written += len(there)
        GroupMember.objects.bulk_create(
            GroupMember(
                group=group,
                customer_id=int(people.ids[row]),
                probability=float(probability),
            )
            for row, probability in zip(rows[part], sure[part], strict=True)
            if int(people.ids[row]) in there
        )
    EmergentGroup.objects.filter(pk=group.pk).update(customers=written)


def accept_group(
    group: EmergentGroup, *, name: str, tone: str, by: Any, at: datetime
) -> EmergentGroup:
    """Name it: from now on it is a rule that campaigns may choose, with its own tone.

    Raises DecisionRefused for one that is decided on or gone, or a tone there is none
    of; RuleRefused for a name that can't be one or is taken.
    """
    check_there_is(tone)
    with transaction.atomic():
        found = _open(group)
        keys = EmergentGroup.objects.all()
        found.key = free_key(name, keys, otherwise="unnamed", before=GROUP_KEY)
        found.state = State.ACCEPTED
        found.decided_by, found.decided_at = by, at
        condition = {"field": "group", "op": "any_of", "value": [found.key]}
        # Refuses a bad name before anything of it is written.
        rule = create_rule(
            name=name,
            text=json.dumps({"how": "all", "members": [condition]}),
            by=by,
            at=at,
        )
        rule.tone, rule.counted, rule.counted_at = tone, found.customers, at
        rule.save(update_fields=["tone", "counted", "counted_at"])
        found.rule, found.name = rule, rule.name
        found.save()
    return found


def dismiss_group(
    group: EmergentGroup, *, because: str, by: Any, at: datetime
) -> EmergentGroup:
    """Say no to it: while it stays like this it is not proposed again.

    Raises DecisionRefused for one that is decided on or gone, or without a reason.
    """
    why = tidy_reason(because, why="Dismissing a group")
    with transaction.atomic():
        found = _open(group)
        found.state, found.decided_because = State.DISMISSED, why
        found.decided_by, found.decided_at = by, at
        found.save()
        GroupMember.objects.filter(group=found).delete()
    return found


def _open(group: EmergentGroup) -> EmergentGroup:
    found = EmergentGroup.objects.select_for_update(of=("self",)).get(pk=group.pk)
    if found.state != State.OPEN:
        raise DecisionRefused(
            f"“{found}” is {found.get_state_display()} already. Nothing was changed."
        )
    return found

"""Rule segments: keep, change, delete, count, and try a rule before it is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet
from django.utils.text import slugify

from customers.models import Customer
from segmentation.errors import RuleInUse, RuleRefused
from segmentation.models import EmergentGroup, RuleSegment, Segment
from segmentation.reasons import NAME_CHARACTERS, tidy_name
from segmentation.rule_uses import USES
from segmentation.rules.compiling import matching
from segmentation.rules.tree import Group, parse, read, to_json
from segmentation.rules.wording import in_words

# While a rule is being written the count stops here: "more than 10,000".
TRIED_MOST: Final = 10_000
SAMPLE: Final = 5


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule in words, how many it holds for (up to TRIED_MOST) and some of them."""

    words: str
    count: int
    more: bool
    sample: tuple[Customer, ...]


def tree_of(segment: RuleSegment) -> Group:
    return parse(segment.rule)


def segment_names() -> dict[str, str]:
    """What a marketer calls each segment and each accepted group, by its key."""
    groups = EmergentGroup.objects.filter(state=EmergentGroup.State.ACCEPTED)
    return {
        **dict(Segment.objects.values_list("key", "name")),
        **{key: name for key, name in groups.values_list("key", "name") if key},
    }


def words_of(tree: Group) -> str:
    """The rule as a sentence, segments by the names a marketer gave them."""
    return in_words(tree, names=segment_names())


def create_rule(*, name: str, text: str, by: Any, at: datetime) -> RuleSegment:
    """A new rule from its JSON. Raises RuleRefused with what is wrong in it."""
    fields = _fields(name, text, by=by, at=at)
    with _one_of_a_name(fields["name"]):
        return RuleSegment.objects.create(
            key=free_key(fields["name"], RuleSegment.objects.all(), otherwise="rule"),
            created_by=by,
            created_at=at,
            **fields,
        )


def change_rule(
    segment: RuleSegment, *, name: str, text: str, by: Any, at: datetime
) -> RuleSegment:
    """Another name or rule. Sends that are scheduled keep the rule they froze.

    Raises RuleRefused, also for a rule that was deleted meanwhile.
    """
    fields = _fields(name, text, by=by, at=at)
    with _one_of_a_name(fields["name"]):
        # An update, since saving would bring back one that is gone.
        changed = RuleSegment.objects.in_use().filter(pk=segment.pk).update(**fields)
    if not changed:
        raise RuleRefused(f"“{segment}” was deleted: make a new rule instead.")
    segment.refresh_from_db()
    return segment


def delete_rule(segment: RuleSegment, *, at: datetime) -> None:
    """Nobody can choose it any more.

    Its row stays where a campaign that has ended points at it. Raises RuleInUse, by
    name, while something still to come relies on it.
    """
    with transaction.atomic():
        # Whoever is about to choose it waits, or has chosen it already.
        found = RuleSegment.objects.select_for_update().get(pk=segment.pk)
        uses = [use for ask in USES for use in ask(found)]
        if uses:
            raise RuleInUse(
                f"“{found}” is used by {', '.join(uses)}: choose another rule there "
                "first. Nothing was deleted."
            )
        try:
            with transaction.atomic():
                found.delete()
        except ProtectedError:
            found.removed_at = at
            found.save(update_fields=["removed_at"])


def count_rule(segment: RuleSegment, *, at: datetime) -> int:
    """Count everybody it holds for now, and remember that."""
    segment.counted = matching(tree_of(segment), at=at).count()
    segment.counted_at = at
    segment.save(update_fields=["counted", "counted_at"])
    return segment.counted


def try_rule(text: str, *, at: datetime) -> Trial:
    """Whom a rule would hold for, without keeping it. Raises RuleRefused."""
    tree = read(text)
    found = matching(tree, at=at)
    count = found.order_by()[: TRIED_MOST + 1].count()
    return Trial(
        words=words_of(tree),
        count=min(count, TRIED_MOST),
        more=count > TRIED_MOST,
        sample=tuple(found.order_by("pk")[:SAMPLE]),
    )


def _fields(name: str, text: str, *, by: Any, at: datetime) -> dict[str, Any]:
    """What is written of a rule, read, worded anew and counted."""
    tree = read(text)
    return {
        "name": tidy_name(name, whose="A rule", refused=RuleRefused),
        "rule": to_json(tree),
        "changed_by": by,
        "changed_at": at,
        "counted": matching(tree, at=at).count(),
        "counted_at": at,
    }


@contextmanager
def _one_of_a_name(name: str) -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise RuleRefused(
            f"There is a rule “{name}” already: choose another name."
        ) from error


def free_key(
    name: str, taken: QuerySet[Any], *, otherwise: str, before: str = ""
) -> str:
    """The name as an address has it, with a number where that is taken.

    taken: rows with a key. otherwise: where no letter of the name is left. before:
    what every such key begins with.
    """
    plain = before + (slugify(name)[:NAME_CHARACTERS].strip("-_") or otherwise)
    key, number = plain, 1
    while taken.filter(key=key).exists():
        number += 1
        key = f"{plain}-{number}"
    return key

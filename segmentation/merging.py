"""What was read of two customers who are one person goes to the one who is kept."""

from customers.merges import Merging
from customers.models import Customer
from segmentation.models import Correction, EmotionScore, Pin, SensitiveMatter
from segmentation.run_lock import lock_runs


def lock(kept: Customer, other: Customer) -> None:
    """Whoever writes places locks the runs before a customer."""
    lock_runs()


def move(merging: Merging) -> None:
    """Readings, corrections, matters for a person and pins.

    Profile and place are folded anew; the other's places and history go with them.
    """
    for pk, stays in merging.same.items():
        _keep_word(pk, stays)
        _keep_matter(pk, stays)
    kept, other = merging.kept, merging.other
    EmotionScore.objects.filter(customer=other).update(customer=kept)
    SensitiveMatter.objects.filter(customer=other).update(customer=kept)
    if Pin.objects.filter(customer=kept, ended_at=None).exists():
        Pin.objects.filter(customer=other, ended_at=None).update(
            ended=Pin.Ended.REPLACED, ended_at=merging.at, ended_by=merging.by
        )
    Pin.objects.filter(customer=other).update(customer=kept)


def _keep_word(pk: int, stays: int) -> None:
    """What a person said of a text that both had, unless they said it of the one that
    stays."""
    if Correction.objects.filter(interaction=stays).exists():
        return
    Correction.objects.filter(interaction=pk).update(interaction=stays)
    corrected = EmotionScore.objects.filter(interaction=pk, corrected=True)
    if corrected.exists():
        EmotionScore.objects.filter(interaction=stays).delete()
        corrected.update(interaction=stays)


def _keep_matter(pk: int, stays: int) -> None:
    """Marketing stays away until a person has cleared both."""
    ours = SensitiveMatter.objects.filter(interaction=stays)
    theirs = SensitiveMatter.objects.filter(interaction=pk)
    if not ours.exists():
        theirs.update(interaction=stays)
    elif theirs.filter(cleared_at=None).exists():
        ours.update(cleared_at=None, cleared_by=None)

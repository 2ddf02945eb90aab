"""What holds are measured by in one shop: found at a fit, kept with its run."""

from dataclasses import dataclass
from typing import Final

from customers.models import Interaction
from customers.prepared import Prepared
from segmentation.clustering.model import ProfileTable, SegmentModel
from segmentation.models import SegmentationRun
from segmentation.profile.decay import negative_mass
from segmentation.profile.unhappiness import LINE, hold_line

# Marks up to five are out of five, unless the same channel has given higher ones.
OUT_OF_FIVE: Final = 5
OF_TEN: Final = "nps"
_KEPT: Final = "holds"


@dataclass(frozen=True, slots=True)
class HoldMeasures:
    """line: of negativity. usual: negative mass of everybody's texts. of_ten: channels
    of surveys whose marks are out of ten, in small letters."""

    line: float = LINE
    usual: float = 0.0
    of_ten: frozenset[str] = frozenset()

    def is_of_ten(self, kind: str, channel: str) -> bool:
        name = channel.strip().casefold()
        return kind == "survey" and (OF_TEN in name or name in self.of_ten)


def keep_measures(
    run: SegmentationRun, profiles: ProfileTable, model: SegmentModel
) -> None:
    """Put them into its quality; not saved."""
    scored = profiles.sums.texts > 0
    higher = Interaction.objects.filter(kind="survey", rating__gt=OUT_OF_FIVE)
    channels = higher.order_by().values_list("channel", flat=True).distinct()
    run.quality[_KEPT] = {
        "line": hold_line(profiles.negativity[scored]),
        "usual": float(negative_mass(model.mix[None, :])[0]),
        "of_ten": sorted({one.strip().casefold() for one in channels}),
    }


def measures_in_use() -> HoldMeasures:
    """Those of the run in use; before the first one, those of any shop."""
    kept = next((one for (one,) in _IN_USE()), None)
    if not kept:
        return HoldMeasures()
    return HoldMeasures(kept["line"], kept["usual"], frozenset(kept["of_ten"]))


_IN_USE: Final = Prepared(
    lambda: SegmentationRun.objects.filter(
        state=SegmentationRun.State.PUBLISHED
    ).values_list(f"quality__{_KEPT}")[:1]
)

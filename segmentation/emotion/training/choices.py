"""What the recipe has chosen: stages, shares, seeds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from segmentation.emotion.training.fitting import Stage

Say = Callable[[str], None]


_side_by_side = partial(Stage, threads=1, processes=2)
_teaching = partial(_side_by_side, flag_weight=4.0, comment_weight=1.5)
_FIRST: Final = _side_by_side(
    epochs=2.5, rate=2e-4, seed=3, flag_weight=2.0, comment_weight=1.5
)
_SECOND: Final = _side_by_side(
    epochs=0.5,
    rate=8e-5,
    seed=2,
    flag_weight=4.0,
    comment_weight=2.0,
    mosaic_share=0.1,
)
_REFINING: Final = replace(_SECOND, epochs=1.5, rate=1e-4)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that was chosen; what was tried besides is in the model page."""

    # Of all texts; then quicker of all comments and a fifth of our own, since after the
    # first round it still knew little of the rare labels.
    teacher: tuple[Stage, Stage] = (
        _teaching(epochs=2, rate=7e-5, seed=0),
        _teaching(epochs=1, rate=1.5e-4, seed=11),
    )
    teacher_own_again: float = 0.2
    first: Stage = _FIRST
    second: Stage = _SECOND
    refining: Stage = _REFINING
    lexical_share: float = 0.25
    soft_share: float = 0.7
    own_soft_share: float = 0.4
    teacher_share: float = 0.5
    teacher_marked_share: float = 0.25
    most_customer_texts: int | None = None
    most_comments: int | None = None
    seed: int = 0

"""What the recipe has chosen: stages, shares, seeds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from segmentation.emotion.training.fitting import Stage

Say = Callable[[str], None]


side_by_side = partial(Stage, threads=1, processes=2)
_teaching = partial(
    side_by_side, flag_weight=4.0, comment_weight=1.5, sentiment_weight=1.0
)
_FIRST: Final = side_by_side(
    epochs=2.5,
    rate=2e-4,
    seed=3,
    flag_weight=2.0,
    comment_weight=1.5,
    sentiment_weight=3.0,
)
_SECOND: Final = side_by_side(
    epochs=0.5,
    rate=8e-5,
    seed=2,
    flag_weight=4.0,
    comment_weight=2.0,
    sentiment_weight=3.0,
    mosaic_share=0.1,
)
_TEACHER_OF_COMMENTS: Final = _teaching(
    epochs=2, rate=6e-5, batch=32, layer_decay=0.9, seed=5
)
_REFINING: Final = replace(_SECOND, epochs=1.5, rate=1e-4)
_COMMENTS_ALONE: Final = side_by_side(epochs=1, rate=1e-4, seed=2, sentiment_weight=3.0)


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
    # Of comments alone, when the weights in place go on learning: those say more of our
    # own texts than a large network that starts anew.
    teacher_of_comments: Stage = _TEACHER_OF_COMMENTS
    first: Stage = _FIRST
    second: Stage = _SECOND
    refining: Stage = _REFINING
    # Beside it the same weights are refined with comments alone, and what is shipped is
    # the mean of both, so much of the first (Wortsman et al. 2022); chosen on
    # GoEmotions dev and the development set.
    comments_alone: Stage = _COMMENTS_ALONE
    of_all_share: float = 0.5
    # No: all of them were learned before, and no text has been added. Then the mean is
    # of the weights in place and of comments alone.
    refines_all: bool = True
    lexical_share: float = 0.25
    soft_share: float = 0.7
    own_soft_share: float = 0.4
    # Of the four sentiments the teacher knows more than one who is as small as the one
    # who learns: GoEmotions dev 0.713 of it, 0.706 of the weights that were in place.
    sentiment_soft_share: float = 0.8
    teacher_share: float = 0.5
    teacher_refining_share: float = 1 / 3
    teacher_marked_share: float = 0.25
    most_customer_texts: int | None = None
    most_comments: int | None = None
    seed: int = 0

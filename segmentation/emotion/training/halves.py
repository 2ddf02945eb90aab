"""Reading many texts in two processes with a thread each."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Found = tuple[NDArray[Any], ...]

_PROCESSES: Final = 2


def in_halves(
    read: Callable[[Path, Sequence[Ids]], Found], path: Path, pieces: Sequence[Ids]
) -> Found:
    """What read(path, pieces) gives, arrays with a row for each text, in this order.

    read: a function of a module, which each process imports anew.
    """
    halves = [pieces[part::_PROCESSES] for part in range(_PROCESSES)]
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(read, [path] * _PROCESSES, halves))
    found = tuple(
        np.empty((len(pieces), *one.shape[1:]), one.dtype) for one in parts[0]
    )
    for number, part in enumerate(parts):
        for whole, half in zip(found, part, strict=True):
            whole[number::_PROCESSES] = half
    return found

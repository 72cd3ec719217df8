"""One line at the top of a function that checks the shapes of its arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from guerdon.errors import DataError

__all__ = ["check_shapes"]


def check_shapes(dims: str, **arrays: NDArray[Any]) -> None:
    """Raise DataError unless all `arrays` have the rank of `dims` and one common shape.

    >>> check_shapes("N", rewards=np.zeros(2), group=np.zeros(3))
    Traceback (most recent call last):
    ...
    guerdon.errors.DataError: expected arrays of one shape [N], got rewards [2], group [3]
    """
    rank = len(dims.split())
    shapes = {np.shape(array) for array in arrays.values()}
    if len(shapes) > 1 or any(len(shape) != rank for shape in shapes):
        given = ", ".join(f"{name} {list(np.shape(array))}" for name, array in arrays.items())
        raise DataError(f"expected arrays of one shape [{dims}], got {given}")

"""The one line that checks shapes."""

from __future__ import annotations

import numpy as np
import pytest

from guerdon.batch.shapes import check_shapes
from guerdon.errors import DataError


def test_equal_shapes_pass() -> None:
    check_shapes("N", a=np.zeros(3), b=np.zeros(3))
    check_shapes("N K", a=np.zeros((3, 2)), b=np.zeros((3, 2)))
    check_shapes("N", a=np.zeros(0))


@pytest.mark.parametrize(
    ("dims", "shapes", "words"),
    [
        ("N", [(3,), (2,)], r"one shape \[N\], got a \[3\], b \[2\]"),
        ("N", [(3, 1), (3, 1)], r"one shape \[N\], got a \[3, 1\], b \[3, 1\]"),
        ("N", [()], r"one shape \[N\], got a \[\]"),
        ("N K", [(3, 2), (2, 3)], r"one shape \[N K\], got a \[3, 2\], b \[2, 3\]"),
    ],
)
def test_other_shapes_are_named(dims: str, shapes: list[tuple[int, ...]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_shapes(dims, **{name: np.zeros(shape) for name, shape in zip("ab", shapes, strict=False)})

"""The tables themselves: what they hold, and their kernels at the edges that no expression shows clearly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch.levels import Index, Segments
from guerdon.expr.tables import APPLY, EMPTY, REDUCE, WINDOW
from tests.strategies import NAN, assert_same

PARAMS = {"quantile": {"q": 0.5, "method": "linear"}, "std": {"ddof": 0}, "var": {"ddof": 0}}
WINDOW_PARAMS = {
    "rank": {"ties": "average", "pct": False},
    "zscore": {"ddof": 0},
    "softmax": {"temperature": 1.0},
}


def places(codes: Index) -> Index:
    """The place of each row in its piece."""
    return np.array([int((codes[:i] == code).sum()) for i, code in enumerate(codes)], np.int64)


def test_no_name_is_in_two_tables() -> None:
    assert not set(REDUCE) & set(WINDOW)
    assert set(EMPTY) <= set(REDUCE)
    for table in (APPLY, REDUCE, WINDOW):
        assert list(table) == sorted(table)


@pytest.mark.parametrize("op", sorted(REDUCE))
def test_a_reduction_of_no_rows_has_one_value_per_piece(op: str) -> None:
    none = np.empty(0)
    with np.errstate(all="ignore"):
        out = REDUCE[op](none, Segments(np.empty(0, np.int64), 3), np.empty(0, np.int64), **PARAMS.get(op, {}))
        assert out.shape == (3,)
        assert REDUCE[op](
            none, Segments(np.empty(0, np.int64), 0), np.empty(0, np.int64), **PARAMS.get(op, {})
        ).shape == (0,)


@pytest.mark.parametrize("op", sorted(WINDOW))
def test_a_window_of_no_rows_is_empty_and_of_none_that_count_unscored(op: str) -> None:
    params = WINDOW_PARAMS.get(op, {})
    with np.errstate(all="ignore"):
        empty = WINDOW[op](np.empty(0), np.empty(0, np.bool_), Segments(np.empty(0, np.int64), 0), **params)
        nobody = WINDOW[op](np.array([1.0, 2.0]), np.zeros(2, np.bool_), Segments(np.zeros(2, np.int64), 1), **params)
    assert empty.shape == (0,)
    assert np.isnan(nobody).all()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-8, 8)), min_size=1, max_size=12))
def test_pieces_in_any_order_give_what_sorted_pieces_give(rows: list[tuple[int, int]]) -> None:
    """Contiguous pieces take a short cut; the values are the same bits."""
    codes = np.array([row[0] for row in rows], np.int64)
    x = np.array([row[1] for row in rows], np.float64) / 3
    order = np.argsort(codes, kind="stable")
    with np.errstate(all="ignore"):
        for op, kernel in REDUCE.items():
            place = places(codes)
            scattered = kernel(x, Segments(codes, 4), place, **PARAMS.get(op, {}))
            lined_up = kernel(x[order], Segments(codes[order], 4), place[order], **PARAMS.get(op, {}))
            np.testing.assert_array_equal(scattered, lined_up, err_msg=op)
        for op, kernel in WINDOW.items():
            counts, params = np.ones(len(x), np.bool_), WINDOW_PARAMS.get(op, {})
            scattered = kernel(x, counts, Segments(codes, 4), **params)
            lined_up = kernel(x[order], counts, Segments(codes[order], 4), **params)
            np.testing.assert_array_equal(scattered[order], lined_up, err_msg=op)


def one_piece(size: int) -> Segments:
    return Segments(np.zeros(size, np.int64), 1)


def test_logmeanexp_survives_large_and_infinite_values() -> None:
    def kernel(values: list[float]) -> float:
        x = np.array(values)
        with np.errstate(all="ignore"):
            return float(REDUCE["logmeanexp"](x, one_piece(len(x)), np.arange(len(x)))[0])

    assert kernel([1000.0, 1000.0]) == 1000
    assert kernel([-1000.0, -1000.0]) == -1000
    assert kernel([-math.inf, -math.inf]) == -math.inf
    assert kernel([0.0, math.inf]) == math.inf
    assert kernel([0.0, -math.inf]) == pytest.approx(-math.log(2), abs=1e-15)


def test_softmax_survives_large_values() -> None:
    x = np.array([1000.0, 1000.0, -1000.0])
    assert WINDOW["softmax"](x, np.ones(3, np.bool_), one_piece(3), temperature=1.0).tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize(
    ("q", "linear", "inverted"),
    [(0.0, 1, 1), (0.2, 1.8, 1), (0.21, 1.84, 2), (0.5, 3, 3), (0.6, 3.4, 3), (0.61, 3.44, 4), (1.0, 5, 5)],
)
def test_both_quantiles_by_hand(q: float, linear: float, inverted: float) -> None:
    """numpy gives the same: np.quantile([5, 3, 1, 4, 2], q, method=...)."""
    x = np.array([5.0, 3.0, 1.0, 4.0, 2.0])
    for method, wanted in (("linear", linear), ("inverted_cdf", inverted)):
        given_value = REDUCE["quantile"](x, one_piece(5), np.arange(5), q=q, method=method)
        assert_same(given_value, [wanted], 1e-12)
        assert_same(given_value, [np.quantile(x, q, method=method)], 1e-12)


def test_a_share_of_k_in_n_is_k_values() -> None:
    """Shares times numbers miss whole numbers on both sides: 1/49 · 49 < 1, 0.07 · 100 > 7."""
    for n in (1, 3, 10, 49, 100, 107):
        x = np.arange(n, dtype=np.float64)
        for k in range(1, n + 1):
            value = REDUCE["quantile"](x, one_piece(n), np.arange(n), q=k / n, method="inverted_cdf")
            assert value.tolist() == [k - 1], (k, n)


@pytest.mark.parametrize(
    ("ties", "wanted"),
    [
        ("average", [2.5, 1, 2.5, 4, NAN]),
        ("min", [2, 1, 2, 4, NAN]),
        ("max", [3, 1, 3, 4, NAN]),
        ("dense", [2, 1, 2, 3, NAN]),
        ("first", [2, 1, 3, 4, NAN]),
    ],
)
def test_ranks_by_hand(ties: str, wanted: list[float]) -> None:
    x = np.array([2.0, 1.0, 2.0, 9.0, NAN])
    counts = ~np.isnan(x)
    assert_same(WINDOW["rank"](x, counts, one_piece(5), ties=ties, pct=False), wanted)
    assert_same(WINDOW["rank"](x, counts, one_piece(5), ties=ties, pct=True), np.array(wanted) / 4)


def test_a_deviation_is_exact_far_from_zero() -> None:
    """Two passes: Σx² − n·x̄² would lose every digit here."""
    x = np.array([1e9, 1e9 + 1, 1e9 + 2])
    assert REDUCE["var"](x, one_piece(3), np.arange(3), ddof=1).tolist() == [1]


def test_a_mean_of_large_values_does_not_overflow_into_infinity() -> None:
    x = np.array([1e308] * 3)
    with np.errstate(over="ignore"):
        assert REDUCE["mean"](x, one_piece(3), np.arange(3)).tolist() == [1e308]

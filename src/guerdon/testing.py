"""Contract checks that every built-in passes and that anyone can run on a source or credit function of their own.

from guerdon.testing import check_source
check_source(MySource(), batch)
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guerdon.batch import Batch
from guerdon.errors import ExpressionError
from guerdon.expr.core import ORDER, Expr, axis_level
from guerdon.expr.evaluate import evaluate
from guerdon.expr.save import from_json, to_json
from guerdon.expr.scores import Scores
from guerdon.expr.source import RowSource, Source
from guerdon.expr.text import parse

__all__ = ["check_credit", "check_source"]

ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "\ud800",
    "\u202eabc",
    "🙂",
    "{" * 1000,
    "\\boxed{" * 500,
    "<think>" * 500,
    "a\r\nb",
    "9" * 5000,
)
LONG = 5_000_000


def check_source(source: Source, batch: Batch) -> None:
    """Check that a source keeps its promises on `batch` and on hostile variations of it.

    Checked: the columns it reads are in the batch; one value per row (or item), finite or NaN; the same again on a second
    run; rows in another order, and a part of the rows (if `rowwise`), get the same scores; an empty batch is fine; missing
    text is unscored, never a number; odd and very long text ends in a score or a record; fields are plain:
    JSON (and for guerdon's own sources the text form) brings the source back, and so does a worker process.

    Args:
        source: the leaf to check.
        batch: two rows or more that it scores.

    Raises:
        AssertionError: a promise is broken; the message says which.

    Example:
        >>> from guerdon.sources.stats import Length
        >>> check_source(Length(), Batch({"response": ["a b", "c"]}))
    """
    name = type(source).__name__
    absent = [column for column in source.reads() if column not in batch]
    assert not absent, f"{name} reads {absent}, which the batch given to check_source lacks"
    assert batch.size >= 2, "check_source needs two rows or more"
    assert source.level == "sample" or source.level not in ORDER, (
        f"{name} has values per {source.level}: a source scores samples, or the items of an axis"
    )
    _plain(source, name)
    scores = _scored(source, batch, name, "the batch")
    unscored = np.isnan(scores.leaves[source])
    assert not unscored.all(), f"{name} scored none of the rows; the first reason: {scores.failures[:1]}"
    _same(scores, _scored(source, batch, name, "a second run"), name, "a second run")
    if source.rowwise:
        _rows(source, batch, scores, name)
    assert len(_scored(source, batch.select([]), name, "an empty batch").values) == 0, (
        f"{name} made scores for an empty batch"
    )
    _missing(source, batch, name)
    _odd(source, batch, name)


def _scored(source: Source, batch: Batch, name: str, what: str) -> Scores:
    """The scores; whatever a source raises, or infinity among its scores, is a broken promise."""
    try:
        scores = evaluate(source, batch)
    except Exception as error:
        raise AssertionError(f"{name} raised {type(error).__name__} on {what}: {error}") from error
    assert not np.isinf(scores.leaves[source]).any(), f"{name} gave an infinite score to {what}"
    return scores


def _plain(source: Source, name: str) -> None:
    try:
        again: Expr = from_json(to_json(source), trust=True)
    except ExpressionError as error:
        raise AssertionError(f"{name} cannot be saved: {error}") from error
    assert again == source, f"{name} comes back from JSON as something else: its fields must be plain values"
    if type(source).__module__.startswith("guerdon."):
        assert parse(str(source)) == source, f"{name} is printed as {source}, which reads back as something else"
    if isinstance(source, RowSource):
        copied = pickle.loads(pickle.dumps(source))
        assert copied == source, f"{name} changes when it is sent to a worker process"


def _per_row(scores: Scores) -> list[list[float]]:
    """The values row by row, so that reorderings can be compared on any level."""
    if not axis_level(scores.level):
        return [[value] for value in scores.values.tolist()]
    return scores.axes[scores.level].lists(scores.values)


def _same(given: Scores, wanted: Scores, name: str, what: str) -> None:
    assert repr(_per_row(given)) == repr(_per_row(wanted)), f"{name}: {what} gave other scores"


def _rows(source: Source, batch: Batch, scores: Scores, name: str) -> None:
    order: list[int] = np.random.default_rng(0).permutation(batch.size).tolist()
    shuffled = _scored(source, batch.select(order), name, "reordered rows")
    wanted = [_per_row(scores)[row] for row in order]
    assert repr(_per_row(shuffled)) == repr(wanted), f"{name} depends on the order of the rows; declare rowwise = False"
    half = order[: max(1, batch.size // 2)]
    part = _scored(source, batch.select(half), name, "half of the rows")
    wanted = [_per_row(scores)[row] for row in half]
    assert repr(_per_row(part)) == repr(wanted), f"{name} depends on other rows; declare rowwise = False"


def _text_columns(source: Source, batch: Batch) -> list[str]:
    return [c for c in source.reads() if c not in source.raw and c in batch.columns]


def _missing(source: Source, batch: Batch, name: str) -> None:
    for column in _text_columns(source, batch):
        holes = list(batch[column])
        holes[0] = None
        scores = _scored(source, batch.with_columns({column: _objects(holes)}), name, f"a row without {column}")
        first = _per_row(scores)[0]
        assert all(np.isnan(first)), f"{name} gave {first} to a row whose {column} is missing: unscored must be NaN"


def _odd(source: Source, batch: Batch, name: str) -> None:
    for column in _text_columns(source, batch):
        texts: Sequence[Any] = [*ODD_TEXTS, "x " * (LONG // 2)]
        rows = batch.select(np.zeros(len(texts), np.int64)).with_columns({column: _objects(list(texts))})
        _scored(source, rows, name, f"odd text in {column}")


def _objects(values: list[Any]) -> NDArray[Any]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def check_credit(credit: Callable[..., Any], *, sums_to_zero: bool = True, **options: Any) -> None:
    """Check that a credit function `credit(rewards, group, **options)` keeps the promises of `guerdon.credit`.

    Checked: `[N]` in, `[N]` finite out; the order of the rows does not matter; group labels may be numbers or text; an
    unscored sample (NaN) gets 0 and changes nothing for the others; a sample alone in its group, a group of equal rewards,
    and one in which nothing is scored, get 0; a constant added to a group changes nothing; advantages of a group sum to 0;
    what is passed in stays as it is.

    Args:
        credit: the function.
        sums_to_zero: whether it promises that advantages of a group sum to 0.
        options: passed on.

    Raises:
        AssertionError: a promise is broken; the message says which.

    Example:
        >>> from guerdon.credit import leave_one_out
        >>> check_credit(leave_one_out)
    """
    name = getattr(credit, "__name__", repr(credit))
    rng = np.random.default_rng(0)
    group = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3])
    rewards = rng.normal(size=len(group))
    rewards[6:] = 0.1

    def run(r: ArrayLike, g: ArrayLike) -> NDArray[np.float64]:
        given = np.array(r), np.array(g)
        advantages = np.asarray(credit(*given, **options))
        untouched = np.array_equal(given[0], r, equal_nan=True) and np.array_equal(given[1], g)
        assert untouched, f"{name} changes the arrays that it is given"
        return advantages

    base = run(rewards, group)
    assert base.shape == group.shape, f"{name} gave shape {base.shape} for {len(group)} rewards"
    assert np.isfinite(base).all(), f"{name} gave advantages that are not finite"
    assert base[5] == 0, f"{name} gave {base[5]} to a sample alone in its group, expected 0"
    assert (base[6:] == 0).all(), f"{name} gave {base[6:]} to a group of equal rewards, expected 0"
    order = rng.permutation(len(group))
    assert np.allclose(run(rewards[order], group[order]), base[order], atol=1e-12), (
        f"{name} depends on the order of rows"
    )
    assert np.array_equal(run(rewards, group.astype(str)), base), f"{name} wants numbers as group labels"
    assert np.allclose(run(rewards + group, group), base, atol=1e-9), f"{name} changes when a group is shifted"
    holes = np.r_[rewards, np.nan]
    with_hole = run(holes, np.r_[group, 0])
    assert with_hole[-1] == 0, f"{name} gave {with_hole[-1]} to an unscored sample, expected 0"
    assert np.allclose(with_hole[:-1], base, atol=1e-12), f"{name} lets an unscored sample count for the others"
    nothing = run(np.where(group == 0, np.nan, rewards), group)
    assert (nothing[group == 0] == 0).all(), f"{name} gave {nothing[group == 0]} to a group without a scored sample"
    if sums_to_zero:
        sums = np.bincount(group, weights=base)
        assert np.allclose(sums, 0, atol=1e-9), f"{name}: advantages of a group sum to {sums}, expected 0"
    assert len(run(np.empty(0), np.empty(0, np.int64))) == 0, f"{name} made advantages for no rewards"

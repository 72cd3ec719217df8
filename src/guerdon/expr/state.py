"""Kernels of `State`: (memory, values) → (value now, memory afterwards). A memory is plain data that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from guerdon.batch.levels import Array
from guerdon.errors import DataError

__all__ = ["STATE", "Memory", "knn"]

Memory = dict[str, Any]
Step = tuple[Array, Memory]


def _one(value: float) -> Array:
    return np.array([value], dtype=np.float64)


def _ema(memory: Memory, x: Array, *, decay: float) -> Step:
    old, new = memory.get("mean", math.nan), float(x[0])
    mixed = decay * old + (1 - decay) * new
    value = new if math.isnan(old) else old if math.isnan(new) else mixed
    return _one(value), {"mean": value}


def _welford(memory: Memory, x: Array) -> Memory:
    """Count, mean and sum of squared deviations with the values of `x` added (Chan's update)."""
    known = x[~np.isnan(x)]
    n, mean, squares = memory.get("n", 0), memory.get("mean", 0.0), memory.get("squares", 0.0)
    if not len(known):
        return {"n": n, "mean": mean, "squares": squares}
    here = float(known.mean())
    total = n + len(known)
    apart = here - mean
    squares += float(((known - here) ** 2).sum()) + apart**2 * n * len(known) / total
    return {"n": total, "mean": mean + apart * len(known) / total, "squares": squares}


def _running_mean(memory: Memory, x: Array) -> Step:
    after = _welford(memory, x)
    return _one(after["mean"] if after["n"] else math.nan), after


def _running_std(memory: Memory, x: Array) -> Step:
    after = _welford(memory, x)
    return _one(math.sqrt(after["squares"] / after["n"]) if after["n"] else math.nan), after


def _percentile(memory: Memory, x: Array, *, q: float, window: int) -> Step:
    recent = np.r_[np.asarray(memory.get("recent", []), dtype=np.float64), x[~np.isnan(x)]][-window:]
    return _one(float(np.quantile(recent, q)) if len(recent) else math.nan), {"recent": recent.tolist()}


def _dual(memory: Memory, gradient: Array, *, lr: float, init: float, low: float, high: float) -> Step:
    value, slope = memory.get("value", init), float(gradient[0])
    after = value if math.isnan(slope) else min(max(value + lr * slope, low), high)
    return _one(value), {"value": after}


def _previous(memory: Memory, x: Array, *, init: float) -> Step:
    return _one(memory.get("value", init)), {"value": float(x[0])}


def _hold(memory: Memory, x: Array, *, every: int) -> Step:
    batches, value = memory.get("batches", 0), memory.get("value", math.nan)
    if batches % every == 0 or math.isnan(value):
        fresh = float(x[0])
        value = value if math.isnan(fresh) else fresh
    return _one(value), {"batches": batches + 1, "value": value}


STATE: Mapping[str, Callable[..., Step]] = {
    "dual": _dual,
    "ema": _ema,
    "hold": _hold,
    "percentile": _percentile,
    "previous": _previous,
    "running_mean": _running_mean,
    "running_std": _running_std,
}


def knn(memory: Memory, x: Array, keep: Array, *, k: int, capacity: int, metric: str) -> Step:
    """Mean distance of the rows of `x` `[N, D]` to their `k` nearest in memory; rows with `keep` not 0 are remembered."""
    vectors: list[list[float]] = memory.get("vectors", [])
    if not x.shape[1]:
        return np.full(len(x), np.nan), {"vectors": vectors}
    if vectors and len(vectors[0]) != x.shape[1]:
        raise DataError(f"knn remembers vectors of {len(vectors[0])} numbers, this batch has vectors of {x.shape[1]}")
    stored = np.asarray(vectors, dtype=np.float64).reshape(-1, x.shape[1])
    if metric == "cosine":
        norm = np.linalg.norm(x, axis=1, keepdims=True)
        x = np.where(norm > 0, x / np.where(norm > 0, norm, 1.0), np.nan)
    usable = ~np.isnan(x).any(axis=1)
    out = np.full(len(x), np.nan)
    if len(stored) and usable.any():
        out[usable] = _nearest(x[usable], stored, min(k, len(stored)), metric)
    added = np.concatenate([stored, x[usable & (keep != 0) & ~np.isnan(keep)]])[-capacity:]
    return out, {"vectors": added.tolist()}


def _nearest(x: Array, stored: Array, k: int, metric: str) -> Array:
    """Cosine: from the dot products. Euclidean: those rank the candidates, the differences measure the `k` chosen ones."""
    dots = x @ stored.T
    if metric == "cosine":
        return np.clip(np.partition(1 - dots, k - 1, axis=1)[:, :k], 0.0, 2.0).mean(axis=1)
    nearest = np.argpartition((stored**2).sum(axis=1) - 2 * dots, k - 1, axis=1)[:, :k]
    return np.mean([np.linalg.norm(x - stored[chosen], axis=1) for chosen in nearest.T], axis=0)

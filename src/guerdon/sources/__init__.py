"""Leaves of rewards: `verify` compares responses with references, `stats` measures them."""

from guerdon.sources import stats, verify

__all__ = ["stats", "verify"]

"""The data: a batch is a table of samples with axes hanging off it."""

from guerdon.batch.batch import Batch
from guerdon.batch.levels import Axis

__all__ = ["Axis", "Batch"]

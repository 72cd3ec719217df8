"""Verifiers: rules that compare a response with a reference or with a required form."""

from guerdon.sources.verify.choice import Choice
from guerdon.sources.verify.exact import Exact
from guerdon.sources.verify.form import Format
from guerdon.sources.verify.maths import Math

__all__ = ["Choice", "Exact", "Format", "Math"]

r"""What a computer algebra system must not be asked to evaluate, told without evaluating it."""

from __future__ import annotations

import math
import re

__all__ = ["MAX_BITS", "breach", "surely_huge"]

MAX_BITS = 200_000
"""Binary digits of the largest number that an answer may spell out (about 60,000 decimal ones)."""
MAX_DEPTH = 30
MAX_SYMBOLS = 1000

TOKEN = re.compile(r"[0-9]+|\\[a-zA-Z]+|\*\*|\S")
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")
BETWEEN_TERMS = frozenset("+-−,;=<>&|")
POWERS = ("^", "**")
BINOMIALS = ("\\binom", "\\dbinom", "\\tbinom")
GROWING = frozenset(["+", "*", "^", "**", "!", "(", ")", "{", "}", "[", "]", "\\cdot", "\\times", "\\left", "\\right"])


def breach(text: str) -> str | None:
    r"""Which static limit an answer exceeds, or None.

    The limits: `MAX_BITS` binary digits of any number that powers, towers, factorials and binomials spell out (estimated
    from above; a letter counts as 2), 30 nested brackets, 1000 symbols. Linear in the length of the text.

    >>> breach("9^{9^{9^9}}")
    'a number of more than 200000 binary digits'
    >>> breach(r"2^{100} + \frac{10!}{3}") is None
    True
    """
    tokens = TOKEN.findall(text)
    if len(tokens) > MAX_SYMBOLS:
        return f"{len(tokens)} symbols, more than {MAX_SYMBOLS}"
    if _depth(tokens) > MAX_DEPTH:
        return f"brackets {_depth(tokens)} deep, more than {MAX_DEPTH}"
    if _Size(tokens, above=True).largest > MAX_BITS:
        return f"a number of more than {MAX_BITS} binary digits"
    return None


def surely_huge(text: str) -> bool:
    """Whether `text` is surely a number of more than `MAX_BITS` binary digits.

    It is if it holds nothing but whole numbers from 2 up, sums, products, powers and factorials, one of which is as large
    as that, estimated from below: the whole is at least as large as each of its parts.

    >>> surely_huge("9^{9^{9^9}}"), surely_huge("9^{9^{9^9}} - 9^{9^{9^9}}"), surely_huge("2^{8+2+2}")
    (True, False, False)
    """
    tokens = TOKEN.findall(text)
    if len(tokens) > MAX_SYMBOLS or _depth(tokens) > MAX_DEPTH:
        return False
    if not all(token in GROWING or (_is_number(token) and token.lstrip("0") not in ("", "1")) for token in tokens):
        return False
    return _Size(tokens, above=False).largest > MAX_BITS


def _depth(tokens: list[str]) -> int:
    depth = deepest = 0
    for token in tokens:
        depth += (token in OPENING) - (token in CLOSING)
        deepest = max(deepest, depth)
    return deepest


def _is_number(token: str) -> bool:
    return token[:1].isascii() and token.isdigit()


class _Size:
    """Estimates of log₂ of the numbers that a formula spells out, from above or from below; inf where that overflows."""

    def __init__(self, tokens: list[str], above: bool) -> None:
        self.tokens = tokens
        self.above = above
        self.place = 0
        self.largest = 0.0
        while self.place < len(tokens):
            self._sum()

    def _sum(self) -> float:
        """Everything up to a closing bracket: at most as many times the largest term as there are terms."""
        terms = [0.0]
        while (token := self._next()) and token not in CLOSING:
            if token in BETWEEN_TERMS:
                self.place += 1
                terms.append(0.0)
            else:
                terms[-1] += self._power()
                self._noted(terms[-1])
        self.place += 1
        return self._noted(max(terms) + (math.log2(len(terms)) if self.above else 0.0))

    def _power(self) -> float:
        """A number with the exponents behind it: a^b^c is the larger a^(b^c) from above, the smaller (a^b)^c from below."""
        chain = [self._factorial()]
        while self._next() in POWERS:
            self.place += 1
            chain.append(self._factorial())
        if not self.above:
            size = chain[0]
            for exponent in chain[1:]:
                size = self._noted(_raised(size, exponent))
            return size
        size = chain[-1]
        for base in reversed(chain[:-1]):
            size = self._noted(_raised(max(base, 1.0), size))
        return size

    def _factorial(self) -> float:
        """A number with the factorials behind it: 2^(n-1) <= n! <= n^n."""
        size = self._atom()
        while self._next() == "!":
            self.place += 1
            size = self._noted(_raised(size, size) if self.above else max(size, _raised(1.0, size) - 1))
        return size

    def _atom(self) -> float:
        token = self._next()
        self.place += 1
        if token in OPENING:
            return self._sum()
        if token in BINOMIALS:
            return self._noted(_raised(1.0, max(self._atom(), self._atom())))
        if _is_number(token):
            return self._noted(math.log2(max(int(token), 1)) if len(token) < 300 else 3.33 * len(token))
        return 1.0 if token.isalpha() else 0.0

    def _next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _noted(self, size: float) -> float:
        self.largest = max(self.largest, size)
        return size


def _raised(base: float, exponent: float) -> float:
    """log₂ of b^e from log₂ of b and log₂ of e: base · 2^exponent."""
    return base * 2.0**exponent if exponent < 1000 else math.inf

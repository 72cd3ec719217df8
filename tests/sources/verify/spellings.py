"""Numbers and the ways to write them, for tests. Shares no code with the library."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

__all__ = ["NEARBY", "numbers", "spellings"]

PLAIN = ("{n}", "0{n}", "{n}.", "${n}$", r"\({n}\)", " {n} ", "**{n}**", "{n}\n", r"\left({n}\right)", r"{n}\,")
WITH_UNIT = (
    "{n} cm",
    r"{n}\text{ cm}",
    r"{n} \mathrm{cm}",
    "{n} dollars",
    r"\${n}",
    "{n} eggs",
    r"{n}^\circ",
    "{n} in",
)

NEARBY = [Fraction(1), Fraction(1, 100), Fraction(1, 10**6), Fraction(1, 2 * 10**6), Fraction(3, 10**7), Fraction(99)]
"""Differences that matter, some of them only just."""

numbers = st.one_of(
    st.integers(0, 2000).map(Fraction),
    st.sampled_from([10**6, 1234567, 10**9 + 7]).map(Fraction),
    st.fractions(0, 60, max_denominator=16),
    st.integers(0, 10**6).map(lambda n: Fraction(n, 1000)),
    st.integers(0, 10**8).map(lambda n: Fraction(n, 10**7)),
)


def spellings(value: Fraction, units: bool = True) -> list[str]:
    """Texts that mean `value`, each with one sign in front if it is negative."""
    size = abs(value)
    texts = [*_fractions(size), *_decimals(size)]
    if size.denominator == 1:
        whole = size.numerator
        texts += [form.replace("{n}", str(whole)) for form in PLAIN]
        texts += [
            f"{whole:,}",
            f"{whole:,}.0",
            f"{2 * whole}/2",
            f"\\frac{{{3 * whole}}}{{3}}",
            f"{whole}00\\%",
            f"{whole}e0",
        ]
        texts += [f"{whole / 10} \\times 10^1", f"{whole:,}".replace(",", "{,}"), f"{whole:,}".replace(",", "\\!,\\!")]
        if units and value >= 0:
            texts += [form.replace("{n}", str(whole)) for form in WITH_UNIT]
    return texts if value >= 0 else [_negative(text) for text in texts]


def _fractions(size: Fraction) -> list[str]:
    top, bottom = size.numerator, size.denominator
    texts = [f"{top}/{bottom}", f"{top} / {bottom}", f"{2 * top}/{2 * bottom}"]
    texts += [f"\\{kind}{{{top}}}{{{bottom}}}" for kind in ("frac", "dfrac", "tfrac")]
    if max(top, bottom) < 10:
        texts += [f"\\frac{top}{bottom}", f"\\frac {top} {bottom}"]
    whole, rest = divmod(top, bottom)
    if whole and rest:
        texts += [
            f"{whole} {rest}/{bottom}",
            f"{whole}\\frac{{{rest}}}{{{bottom}}}",
            f"{whole} \\tfrac{{{rest}}}{{{bottom}}}",
        ]
    return texts


def _decimals(size: Fraction) -> list[str]:
    places = next((p for p in range(1, 9) if (size * 10**p).denominator == 1), None)
    if places is None:
        return []
    digits = str((size * 10**places).numerator).rjust(places + 1, "0")
    whole, part = digits[:-places], digits[-places:]
    texts = [
        f"{whole}.{part}",
        f"{whole}.{part}00",
        f"{int(whole):,}.{part}",
        f"{digits[0]}.{digits[1:]}e{len(whole) - 1}",
    ]
    percent = (digits + "00")[: -places if places > 2 else None]
    if places > 2:
        percent += "." + (digits + "00")[-places:]
        texts.append(f"{percent}%")
    return [*texts, f".{part}"] if whole == "0" else texts


def _negative(text: str) -> str:
    for opening in ("$", "\\(", "**", " ", "\\left("):
        if text.startswith(opening):
            return f"{opening}-{text[len(opening) :]}"
    return f"-{text}"

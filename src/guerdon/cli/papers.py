"""`guerdon papers`: the index of papers, and one paper with its formula, its code and its measured claim."""

from __future__ import annotations

import inspect
import json
import pkgutil
import re
import shutil
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from guerdon.errors import DataError

__all__ = ["Claim", "Paper", "papers", "papers_command"]

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "papers.toml", _PACKAGE.parents[1] / "papers.toml")  # in a wheel, in a source checkout
_STATUSES = ("implemented", "measured", "noted", "planned")
_CLAIMS = ("shown", "failed", "untested")
_SECTION = re.compile(r"[A-Z]\w*:(\s|$)")  # `Args:`, `Source: ...`
_COMMAND = re.compile(r"^Command: (.+)$", re.MULTILINE)
_WIDTH = 80


@dataclass(frozen=True)
class Claim:
    """What came of a paper's claim: `untested`, `shown` or `failed`, the last two with numbers and a command."""

    status: str
    numbers: str = ""
    command: str = ""


@dataclass(frozen=True)
class Paper:
    """A row of the paper index.

    `status` is planned, implemented, measured (an analysis that became a measurement) or noted (a survey or position).
    `says` is the paper's claim as a direction. `arxiv` is None where no title was matched.
    """

    n: int
    title: str
    short: str
    kind: str
    status: str
    says: str
    claim: Claim
    rooms: tuple[str, ...]
    arxiv: str | None = None
    symbols: tuple[str, ...] = ()

    @property
    def link(self) -> str | None:
        """Address of the paper, None where its arXiv number is not known."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else None


@dataclass(frozen=True)
class _Code:
    """A public name that carries a paper, told by its docstring."""

    call: str
    line: str
    formula: str = ""
    command: str = ""


def papers(path: Path | None = None) -> list[Paper]:
    """Every paper of the index, in the order of its numbers.

    Args:
        path: an index to read; default is the one shipped with guerdon, or that of the source checkout.

    Raises:
        DataError: the index is missing or is no list of `[[paper]]` tables.

    Example:
        >>> papers()[125].title
        'Stable Reinforcement Learning for Efficient Reasoning'
    """
    place = path or next((place for place in _PLACES if place.is_file()), None)
    if place is None:
        looked = " and ".join(map(str, _PLACES))
        raise DataError(
            f"the paper index papers.toml is missing. Looked for {looked}; installing guerdon again restores it"
        )
    try:
        rows: list[dict[str, Any]] = tomllib.loads(place.read_text(encoding="utf-8"))["paper"]
        return [_paper(row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{place} is no paper index ({error}): expected [[paper]] tables, see its first lines"
        ) from error


def papers_command(query: str | None, as_json: bool) -> int:
    """Print the index, the papers whose titles hold all words of `query`, or one paper in full.

    Args:
        query: a number, an arXiv number, words of a title, or None for the whole index.
        as_json: print JSON: a list of rows, or one object (with its `code`) where one paper is meant.

    Returns:
        Exit status: 0, or 2 with the reason on stderr where no paper is meant.
    """
    try:
        rows = papers()
        found = rows if query is None else _search(rows, query)
    except DataError as error:
        print(f"guerdon: {error}", file=sys.stderr)
        return 2
    one = query is not None and len(found) == 1
    if as_json:
        print(json.dumps(_whole(found[0]) if one else [_row(paper) for paper in found], indent=2, ensure_ascii=False))
    else:
        print(_page(found[0]) if one else _table(found))
    return 0


def _paper(row: dict[str, Any]) -> Paper:
    lists = {"rooms": tuple(row["rooms"]), "symbols": tuple(row.get("symbols", ()))}
    fields: dict[str, Any] = {**row, **lists, "claim": Claim(**row["claim"])}
    return Paper(**fields)


def _search(rows: Sequence[Paper], query: str) -> list[Paper]:
    if re.fullmatch(r"\s*[+-]?\d{1,9}\s*", query):
        found = [paper for paper in rows if paper.n == int(query)]
        if not found:
            raise DataError(f"no paper {query.strip()}: the numbers go from {rows[0].n} to {rows[-1].n}")
        return found
    words = query.casefold().split()
    found = [paper for paper in rows if words and all(word in _text(paper) for word in words)]
    if not found:
        said = _cut(query, 60)
        raise DataError("\n".join([f"no paper has {said!r} in its title or short name", *_nearest(rows, words)]))
    return found


def _text(paper: Paper) -> str:
    return f"{paper.title} {paper.short} {paper.arxiv or ''}".casefold()


def _nearest(rows: Iterable[Paper], words: Sequence[str]) -> list[str]:
    """Up to three papers whose words are spelt most like `words`, none where nothing is close."""

    def closeness(paper: Paper) -> float:
        known = re.findall(r"\w+", _text(paper))
        return min(max(SequenceMatcher(None, word, other).ratio() for other in known) for word in words)

    near = sorted(((closeness(paper), -paper.n, paper) for paper in rows), reverse=True)[:3] if words else []
    close = [f"{paper.n:>5}  {paper.title}" for score, _, paper in near if score >= 0.7]
    return ["near it:", *close] if close else []


def _row(paper: Paper) -> dict[str, Any]:
    return asdict(paper) | {"link": paper.link}


def _whole(paper: Paper) -> dict[str, Any]:
    return _row(paper) | {"code": [asdict(_code(symbol)) for symbol in paper.symbols]}


def _table(found: Sequence[Paper]) -> str:
    """A line per paper, cut to the terminal; whole where the output goes into a file or a pipe."""
    head = f"{'n':>3}  {'status':<11}  {'claim':<8}  paper"
    lines = [f"{p.n:>3}  {p.status:<11}  {p.claim.status:<8}  {p.short} · {p.title}" for p in found]
    if sys.stdout.isatty():
        lines = [_cut(line, _terminal()) for line in lines]
    return "\n".join([head, *lines, "", _summary(found)])


def _summary(found: Sequence[Paper]) -> str:
    """Counts per status and per claim.

    >>> _summary(papers()[:0])
    '0 papers'
    """

    def counted(values: Iterable[str], order: Sequence[str]) -> str:
        counts = Counter(values)
        return ", ".join(f"{counts[name]} {name}" for name in order if counts[name])

    statuses = counted((paper.status for paper in found), _STATUSES)
    claims = counted((paper.claim.status for paper in found), _CLAIMS)
    many = "1 paper" if len(found) == 1 else f"{len(found)} papers"
    return f"{many}: {statuses}. Claims: {claims}." if found else many


def _page(paper: Paper) -> str:
    width = min(_terminal(), 100) if sys.stdout.isatty() else _WIDTH
    claim = [paper.claim.status, paper.claim.numbers]
    facts = [
        ("short", paper.short),
        ("paper", paper.link or "no arXiv number known"),
        ("kind", f"{paper.kind}, in {', '.join(paper.rooms)}"),
        ("status", paper.status),
        ("says", paper.says),
        ("claim", ": ".join(part for part in claim if part)),
    ]
    lines = [_wrap(f"{paper.n}  {paper.title}", width, " " * (len(str(paper.n)) + 2)), ""]
    lines += [_wrap(f"{name:<8}{value}", width, " " * 8) for name, value in facts]
    if paper.claim.command:
        lines.append(f"{'':8}{paper.claim.command}")
    for symbol in paper.symbols:
        lines += ["", *_told(_code(symbol), width)]
    return "\n".join(lines)


def _told(code: _Code, width: int) -> list[str]:
    """The call, its one line, its formula, and a command that stays on one line to be copied."""
    parts = [_wrap(code.call, width, " " * 8), _wrap(f"    {code.line}", width, " " * 4)]
    if code.formula:
        parts += ["", *(_wrap(f"{'':8}{line}", width, " " * 12) for line in code.formula.splitlines())]
    if code.command:
        parts += ["", f"    {code.command}"]
    return parts


def _code(symbol: str) -> _Code:
    try:
        thing = pkgutil.resolve_name(symbol)
    except (ImportError, AttributeError) as error:
        return _Code(symbol, f"cannot be loaded here: {error}")
    doc = inspect.getdoc(thing) or ""
    command = _COMMAND.search(doc)
    return _Code(
        call=symbol + _signature(thing),
        line=doc.partition("\n")[0],
        formula=_formula(doc),
        command=command[1] if command else "",
    )


def _signature(thing: object) -> str:
    """Parameters and defaults without annotations; empty where there are none to ask for."""
    if not callable(thing):
        return ""
    try:
        found = inspect.signature(thing)
    except ValueError:
        return ""
    bare = [parameter.replace(annotation=parameter.empty) for parameter in found.parameters.values()]
    return str(found.replace(parameters=bare, return_annotation=found.empty))


def _formula(doc: str) -> str:
    """The indented lines between the first line and the first section.

    >>> _formula('''Twice x.
    ...
    ...     y = 2x
    ...
    ... Args:
    ...     x: a number.''')
    'y = 2x'
    """
    lines = doc.splitlines()
    end = next((i for i, line in enumerate(lines) if _SECTION.match(line)), len(lines))
    kept = [line for line in lines[1:end] if not line.strip() or line.startswith("    ")]
    return re.sub(r"\n{3,}", "\n\n", textwrap.dedent("\n".join(kept))).strip("\n")


def _terminal() -> int:
    return shutil.get_terminal_size((_WIDTH, 24)).columns


def _cut(line: str, width: int) -> str:
    """
    >>> _cut("a long line", 7)
    'a long…'
    """
    return line if len(line) <= width else line[: max(width - 1, 0)].rstrip() + "…"


def _wrap(text: str, width: int, indent: str) -> str:
    """`text` in lines of `width`, the second and later ones indented; words stay whole."""
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

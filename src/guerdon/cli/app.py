"""Commands and options of `guerdon`, and what its exit codes mean.

0 done · 1 rows failed under --on-error raise · 2 unusable arguments or input · 130 interrupted
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from guerdon.errors import DataError, GuerdonError, ScoringError

__all__ = ["OnError", "app", "explain", "main", "papers", "plan", "score"]

app = typer.Typer(
    name="guerdon",
    help="Rewards for post-training language models: score files, explain scores, look up papers.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class OnError(StrEnum):
    """What happens when rows cannot be scored."""

    nan = "nan"
    raise_ = "raise"


File = Annotated[Path, typer.Argument(metavar="FILE", help=".jsonl, .jsonl.gz, .parquet or .csv", show_default=False)]
Reward = Annotated[
    str,
    typer.Option(
        "--reward",
        "-r",
        help='Expression text ("verify.Math() - 0.1*stats.Repetition()"), package.module:name, or a saved .json.',
        show_default=False,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column", "-c", help="name=column: which column of FILE is meant; token.logprob=column for an axis."
    ),
]
Step = Annotated[float | None, typer.Option("--t", help="Training step for schedules (fills column t).")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Read only the first rows.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes; one per core by default.")]
CachePath = Annotated[Path | None, typer.Option("--cache", help="File that keeps scores between runs.")]
BatchRows = Annotated[
    int, typer.Option("--batch-rows", min=0, help="Rows per batch (whole groups); over='batch' spans one. 0: all rows.")
]


@app.command()
def score(
    file: File,
    reward: Reward,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write; the suffix says how.")] = None,
    column: Columns = None,
    workers: Workers = None,
    cache: CachePath = None,
    limit: Limit = None,
    on_error: Annotated[OnError, typer.Option("--on-error", help="nan: keep failed rows; raise: end.")] = OnError.nan,
    t: Step = None,
    batch_rows: BatchRows = 65_536,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
) -> None:
    """Score FILE with a reward; OUT gets every input column plus reward, reward.<part> and reward.failure."""
    from guerdon.cli.score import score_file

    with _interruptible():
        score_file(
            file,
            reward,
            out=out,
            columns=_columns(column),
            workers=workers,
            cache=cache,
            limit=limit,
            on_error=on_error.value,
            t=t,
            batch_rows=batch_rows or None,
            quiet=quiet,
        )


@app.command()
def explain(
    file: File,
    reward: Reward,
    row: Annotated[int, typer.Option("--row", min=0, help="Row of FILE, from 0.", show_default=False)],
    column: Columns = None,
    t: Step = None,
    batch_rows: BatchRows = 65_536,
) -> None:
    """Show step by step why a row gets its reward."""
    from guerdon.cli.explain import explain_row

    typer.echo(explain_row(file, reward, row, columns=_columns(column), t=t, batch_rows=batch_rows or None))


@app.command()
def plan(file: File, reward: Reward, column: Columns = None) -> None:
    """Show what would run, in which order and for which rows, and check it against FILE. Nothing is scored."""
    from guerdon.cli.explain import plan_text

    typer.echo(plan_text(file, reward, columns=_columns(column)))


@app.command()
def papers(
    query: Annotated[
        list[str] | None, typer.Argument(metavar="N", help="Number of a paper, or words of its title.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """List the papers guerdon covers, or show one: formula, code, claim and measured outcome."""
    from guerdon.cli.papers import papers_command

    raise typer.Exit(papers_command(" ".join(query) if query else None, as_json))


def main() -> None:
    """Run the command line; whatever guerdon raises on purpose becomes one readable block and an exit code."""
    try:
        app()
    except GuerdonError as error:
        sys.exit(_say(error, 1 if isinstance(error, ScoringError) else 2))


@contextmanager
def _interruptible() -> Generator[None]:
    """Ctrl-C ends with a sentence and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(_say("interrupted; the same command with the same --cache goes on from here", 130)) from None


def _say(what: object, code: int) -> int:
    typer.echo(f"guerdon: {what}", err=True)
    return code


def _columns(pairs: list[str] | None) -> dict[str, str]:
    """`name=column` options as {name: column}."""
    columns: dict[str, str] = {}
    for pair in pairs or []:
        name, equals, column = pair.partition("=")
        if not equals or not name or not column:
            raise DataError(f"--column takes name=column, e.g. --column reference=answer, got {pair!r}")
        columns[name.strip()] = column.strip()
    return columns

"""`guerdon score` as a user runs it: real files in, real files out, and every way in which input can be bad."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from guerdon.batch.files import read_all
from guerdon.cli.score import score_file
from guerdon.errors import DataError, LevelError, MissingColumn, ScoringError

ROWS = [
    {"id": 1, "group": "a", "response": "so \\boxed{4}", "reference": "4"},
    {"id": 2, "group": "a", "response": "#### 5", "reference": "4"},
    {"id": 3, "group": "b", "response": "The answer is 0.5", "reference": "1/2"},
    {"id": 4, "group": "b", "response": "no idea", "reference": "1/2"},
]


def write(path: Path, rows: list[dict[str, object]] = ROWS, end: str = "\n") -> Path:
    path.write_text("".join(json.dumps(row) + end for row in rows), encoding="utf-8", newline="")
    return path


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(*args: object, cwd: Path | None = None, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guerdon.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, **options)  # type: ignore[call-overload]


def test_out_holds_every_input_column_and_the_rewards(tmp_path: Path) -> None:
    file, out = write(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    score_file(file, "0.9*verify.Math() + 0.1*(stats.Length() > 5)", out=out, quiet=True)
    scored = lines(out)
    assert [{name: row[name] for name in ROWS[0]} for row in scored] == ROWS
    assert [row["reward"] for row in scored] == [1.0, 0.1, 1.0, 0.1]
    assert [row["reward.math"] for row in scored] == [1.0, 0.0, 1.0, 0.0]
    assert [row["reward.length"] for row in scored] == [len(str(row["response"])) for row in ROWS]
    assert [row["reward.failure"] for row in scored] == [None] * 4


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet", ".csv"])
def test_every_format_gives_the_same_rewards(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    score_file(write(tmp_path / "in.jsonl"), "verify.Math()", out=out, quiet=True)
    assert read_all(out).numbers("reward").tolist() == [1.0, 0.0, 1.0, 0.0]


def test_columns_are_renamed_for_reading_only(tmp_path: Path) -> None:
    rows = [{"problem": 1, "completion": "#### 4", "answer": "4"}]
    out = tmp_path / "out.jsonl"
    columns = {"response": "completion", "reference": "answer"}
    score_file(write(tmp_path / "in.jsonl", rows), "verify.Math()", out=out, columns=columns, quiet=True)
    assert lines(out) == [{**rows[0], "reward": 1.0, "reward.math": 1.0, "reward.failure": None}]


def test_small_batches_give_the_same_rewards_as_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [{"group": i // 3, "response": "x" * int(rng.integers(1, 9)), "reference": "xxx"} for i in range(60)]
    file = write(tmp_path / "in.jsonl", rows)
    reward = "verify.Exact() - 0.1 * zscore(stats.Length(), over='group')"
    outs = [tmp_path / f"{size}.jsonl" for size in (4, 1000)]
    for out, size in zip(outs, (4, 1000), strict=True):
        score_file(file, reward, out=out, batch_rows=size, quiet=True)
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_state_goes_from_batch_to_batch(tmp_path: Path) -> None:
    rows = [{"group": i, "response": "", "x": float(i)} for i in range(4)]
    out = tmp_path / "out.jsonl"
    score_file(
        write(tmp_path / "in.jsonl", rows),
        "running_mean(col('x')) + 0 * col('group')",
        out=out,
        batch_rows=2,
        quiet=True,
    )
    assert [row["reward"] for row in lines(out)] == [0.5, 0.5, 1.5, 1.5]


def test_the_summary_counts_rows_and_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*ROWS, {"id": 5, "group": "c", "response": None, "reference": "1"}]
    score_file(write(tmp_path / "in.jsonl", rows), "verify.Math()")
    told = capsys.readouterr().err
    assert "5 rows, mean reward 0.5, 1 unscored" in told
    assert "1 × math: response is missing" in told


def test_invalid_json_is_named_and_the_rest_is_scored(tmp_path: Path) -> None:
    file, out = write(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    text = file.read_text().splitlines()
    file.write_text("\n".join([text[0], '{"response": ', *text[1:]]) + "\n")
    score_file(file, "verify.Math()", out=out, quiet=True)
    scored = lines(out)
    assert [row["reward"] for row in scored] == [1.0, None, 0.0, 1.0, 0.0]
    assert "line 2" in str(scored[1]["reward.failure"])


def test_duplicate_keys_are_a_failure_of_their_row(tmp_path: Path) -> None:
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text(
        '{"response": "#### 4", "reference": "4", "response": "#### 5"}\n{"response": "#### 4", "reference": "4"}\n'
    )
    score_file(file, "verify.Math()", out=out, quiet=True)
    assert [row["reward"] for row in lines(out)] == [None, 1.0]


def test_truncated_gzip_keeps_what_was_readable(tmp_path: Path) -> None:
    whole = gzip.compress(
        "".join(json.dumps({**ROWS[0], "id": i}) + "\n" for i in range(5000)).encode(), compresslevel=1
    )
    file, out = tmp_path / "in.jsonl.gz", tmp_path / "out.jsonl"
    file.write_bytes(whole[: len(whole) // 2])
    score_file(file, "verify.Math()", out=out, quiet=True)
    scored = lines(out)
    assert len(scored) > 10
    assert scored[-1]["reward"] is None
    assert "gzip" in str(scored[-1]["reward.failure"])
    assert {row["reward"] for row in scored[:-1]} == {1.0}


@pytest.mark.parametrize("value", [None, float("nan")])
def test_missing_text_is_unscored_not_zero(tmp_path: Path, value: object) -> None:
    out = tmp_path / "out.jsonl"
    score_file(
        write(tmp_path / "in.jsonl", [{"response": value, "reference": "4"}, ROWS[0]]),
        "verify.Math()",
        out=out,
        quiet=True,
    )
    assert [row["reward"] for row in lines(out)] == [None, 1.0]


def test_a_number_where_text_should_be_is_read_as_written(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    score_file(write(tmp_path / "in.jsonl", [{"response": 4, "reference": 4.0}]), "verify.Math()", out=out, quiet=True)
    assert [row["reward"] for row in lines(out)] == [1.0]


def test_a_response_of_five_megabytes(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    rows = [{"response": "{" * 5_000_000 + "#### 4", "reference": "4"}]
    score_file(write(tmp_path / "in.jsonl", rows), "verify.Math() - stats.Repetition()", out=out, quiet=True)
    assert lines(out)[0]["reward.failure"] is None or "long" in str(lines(out)[0]["reward.failure"])


def test_ten_thousand_groups_of_one(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    rows = [{"group": i, "response": "ab", "reference": "ab"} for i in range(10_000)]
    score_file(
        write(tmp_path / "in.jsonl", rows), "verify.Exact() + zscore(stats.Length(), over='group')", out=out, quiet=True
    )
    assert {row["reward"] for row in lines(out)} == {1.0}


def test_windows_line_ends(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    score_file(write(tmp_path / "in.jsonl", end="\r\n"), "verify.Math()", out=out, quiet=True)
    assert [row["reward"] for row in lines(out)] == [1.0, 0.0, 1.0, 0.0]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("")
    with pytest.raises(DataError, match="empty"):
        score_file(tmp_path / "in.jsonl", "verify.Math()")


def test_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    rows = [{"respons": "4", "reference": "4"}]
    with pytest.raises(MissingColumn, match=r"'response'.*Did you mean 'respons'\?"):
        score_file(write(tmp_path / "in.jsonl", rows), "verify.Math()")


def test_mixed_levels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LevelError, match=r"per step .* per token"):
        score_file(write(tmp_path / "in.jsonl"), "col('step.a') + col('token.b')")


def test_a_column_named_reward_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="already has a column 'reward'"):
        score_file(write(tmp_path / "in.jsonl", [{**ROWS[0], "reward": 3}]), "verify.Math()", out=tmp_path / "o.csv")


def test_on_error_raise_leaves_the_old_out(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("old")
    file = write(tmp_path / "in.jsonl", [*ROWS, {"response": None, "reference": "4"}])
    with pytest.raises(ScoringError, match=r"row 4 .* response is missing"):
        score_file(file, "verify.Math()", out=out, on_error="raise", quiet=True)
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--reward", "verify.Math()"], 0, "4 rows"),
        (["--reward", "verify.Meth()"], 2, "Did you mean 'verify.Math'?"),
        (["--reward", "__import__('os').system('true')"], 2, "only named functions can be called"),
        (["--reward", "nosuchmodule:reward"], 2, "nosuchmodule"),
        (["--reward", "verify.Math()", "--column", "response"], 2, "name=column"),
        (["--reward", "verify.Math()", "--column", "reference=answr"], 2, "answr"),
        (["--reward", "verify.Math()", "--out", "nowhere/out.jsonl"], 2, "nowhere"),
        (["--reward", "verify.Math()", "--out", "out.xlsx"], 2, ".parquet"),
        (["--reward", "col('absent')", "--on-error", "raise"], 2, "absent"),
        (["--reward", "col('id') / 0", "--on-error", "raise"], 1, "infinite"),
    ],
)
def test_exit_codes_and_messages(tmp_path: Path, arguments: list[str], code: int, told: str) -> None:
    write(tmp_path / "in.jsonl")
    done = run("score", "in.jsonl", *arguments, cwd=tmp_path)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_reward_from_a_module_and_from_json(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl")
    (tmp_path / "mine.py").write_text(
        "import guerdon as gd\nreward = gd.verify.Math()\ndef made():\n    return 2 * reward\ngd.save(made(), 'saved.json')\n"
    )
    for named in ("mine:reward", "mine:made", "saved.json"):
        done = run("score", "in.jsonl", "--reward", named, "-o", "out.csv", cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_a_full_disk_leaves_the_old_out(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", [{**ROWS[0], "text": "y" * 1000}] * 400)
    out = tmp_path / "out.jsonl"
    out.write_text("old")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = run("score", file, "--reward", "verify.Exact()", "-o", out, preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_interrupted_runs_go_on_from_the_cache(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        textwrap.dedent(
            """
            import asyncio, pathlib
            import guerdon as gd

            class Slow(gd.AsyncSource):
                async def score_row(self, response):
                    with pathlib.Path("calls").open("a") as file:
                        file.write(response + "\\n")
                    await asyncio.sleep(0.05)
                    return float(response)

            reward = Slow(limits=gd.Limits(concurrency=2))
            """
        )
    )
    write(tmp_path / "in.jsonl", [{"response": str(i)} for i in range(60)])
    command = ["score", "in.jsonl", "--reward", "slow:reward", "-o", "out.jsonl", "--cache", "scores.cache"]
    first = subprocess.Popen([sys.executable, "-m", "guerdon.cli", *command], cwd=tmp_path, stderr=subprocess.PIPE)
    calls = tmp_path / "calls"
    while not (calls.exists() and len(calls.read_text().splitlines()) >= 10):
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGINT)
    _, told = first.communicate(timeout=30)
    assert first.returncode == 130, told
    assert not (tmp_path / "out.jsonl").exists()
    before = len(calls.read_text().splitlines())
    assert before < 60
    assert run(*command, cwd=tmp_path).returncode == 0
    after = len(calls.read_text().splitlines()) - before
    assert after <= 60 - before + 2  # the calls under way when it was interrupted are made again
    assert [row["reward"] for row in lines(tmp_path / "out.jsonl")] == [float(i) for i in range(60)]
    assert run(*command, cwd=tmp_path).returncode == 0
    assert len(calls.read_text().splitlines()) == before + after


def test_an_interrupt_does_not_wait_for_a_slow_row(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(
        textwrap.dedent(
            """
            import pathlib, time
            import guerdon as gd

            class Stuck(gd.RowSource):
                def score_row(self, response):
                    pathlib.Path("started").touch()
                    time.sleep(600)

            reward = Stuck(timeout=500)
            """
        )
    )
    write(tmp_path / "in.jsonl", [{"response": "a"}])
    command = [sys.executable, "-m", "guerdon.cli", "score", "in.jsonl", "--reward", "stuck:reward"]
    stuck = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    os.kill(stuck.pid, signal.SIGINT)
    stuck.communicate(timeout=60)
    assert stuck.returncode == 130

"""JSON round trips, and files that are not to be trusted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from guerdon import recipes
from guerdon.errors import DataError, ExpressionError, GuerdonError
from guerdon.expr import AsyncSource, Expr, Limits, Source, col, edit, ema, gate, knn, lag, mean, on, recur
from guerdon.expr.save import from_json, load, save, to_json
from guerdon.expr.text import parse
from guerdon.expr.view import Edit, truncate
from guerdon.sources import stats, verify
from tests.expr.leaves import Judge, Length

CORRECT, LENGTH = verify.Math(), stats.Length()
REWARDS = [
    recipes.grpo_lambda(CORRECT, LENGTH, alpha=0.2, lam=0.2),
    recipes.laser(CORRECT, LENGTH, target=100),
    recipes.laser_d(CORRECT, LENGTH),
    recipes.laser_de(CORRECT, LENGTH, stats.Repetition() > 0.2),
    recipes.cosine_length(CORRECT, LENGTH, max_length=100),
    recipes.repetition_returns(col("r"), stats.RepeatedTokens(n=40)),
    recipes.trust_grpo(CORRECT, col("thinking")),
    lag(col("step.x"), along="step"),
    on(CORRECT, truncate(0.5)),
    0.1 * col("x") - float("inf") * col("y") + float("nan") * -0.0,
    knn(col("step.x"), 3, metric="euclidean", where=col("x") > 0, name="m") + ema(mean(col("x"), to="batch"), 0.5),
    gate(verify.Format(pattern="\\d+é∂'\"\n"), verify.Choice("AB", timeout=3.0)),
]


@pytest.mark.parametrize("reward", REWARDS, ids=range(len(REWARDS)))
def test_text_to_json_to_text(reward: Expr, tmp_path: Path) -> None:
    assert from_json(to_json(reward)) == reward
    assert parse(str(reward)) == reward
    save(reward, tmp_path / "reward.json")
    loaded = load(tmp_path / "reward.json")
    assert (loaded, str(loaded)) == (reward, str(reward))
    assert to_json(loaded) == to_json(reward)


def test_shared_nodes_are_written_once() -> None:
    x = col("x")
    for _ in range(60):
        x = x * x
    assert len(json.loads(to_json(x))["nodes"]) == 61
    assert from_json(to_json(x)) == x


def test_the_format_is_a_list_of_nodes() -> None:
    """A file of today must be readable tomorrow: this text is what version 1 is."""
    reward = 0.5 * col("a") + mean(verify.Exact(), over=("group", col("b")), where=col("a") > 0)
    assert json.loads(to_json(reward)) == {
        "guerdon": 1,
        "nodes": [
            {"kind": "Const", "value": 0.5},
            {"kind": "Column", "name": "a"},
            {"kind": "Apply", "op": "multiply", "args": {"tuple": [{"node": 0}, {"node": 1}]}, "params": {"tuple": []}},
            {
                "kind": "Source",
                "type": "guerdon.sources.verify.exact:Exact",
                "ignore_case": False,
                "ignore_punctuation": False,
                "ignore_space": False,
                "ignore_articles": False,
            },
            {"kind": "Column", "name": "b"},
            {"kind": "Const", "value": 0.0},
            {"kind": "Apply", "op": "greater", "args": {"tuple": [{"node": 1}, {"node": 5}]}, "params": {"tuple": []}},
            {
                "kind": "Window",
                "op": "mean",
                "arg": {"node": 3},
                "over": {"tuple": ["group", {"node": 4}]},
                "where": {"node": 6},
                "empty": None,
                "params": {"tuple": []},
            },
            {"kind": "Apply", "op": "add", "args": {"tuple": [{"node": 2}, {"node": 7}]}, "params": {"tuple": []}},
        ],
    }


def test_options_of_running_are_kept() -> None:
    again: Any = from_json(to_json(Judge(limits=Limits(concurrency=3, per_second=0.5))), trust=True)
    assert again.limits == Limits(concurrency=3, per_second=0.5)
    slow: Any = from_json(to_json(Length(timeout=3.5)), trust=True)
    assert slow.timeout == 3.5
    assert slow.scale == 1.0


def test_text_that_no_encoding_has(tmp_path: Path) -> None:
    reward = on(verify.Exact(), edit.replace("response", "[\ud800\x00]", "\udfff"))
    save(reward, tmp_path / "odd.json")
    assert load(tmp_path / "odd.json") == reward


class Odd(Source):
    value: Any = None
    needs: ClassVar[tuple[str, ...]] = ("x",)


class Own(Edit):
    """An edit of somebody's own."""

    words: tuple[str, ...] = ("a",)

    def reads(self) -> tuple[str, ...]:
        return ("response",)


def test_what_cannot_be_saved_says_why() -> None:
    for value in ({1: 2}, [1], {1}, object(), np.int64(1), b"a"):
        with pytest.raises(ExpressionError, match=f"Odd holds a {type(value).__name__}, which cannot be saved"):
            to_json(Odd(value))

    class Local(Source):
        pass

    with pytest.raises(ExpressionError, match="define it in a module to save it"):
        to_json(Local())
    for value in (1, 1.5, True, None, "a", (1, ("b", None)), np.float64(0.5), Limits()):
        assert from_json(to_json(Odd(value)), trust=True) == Odd(value)
    assert from_json(to_json(on(Length(), Own(("b",)))), trust=True) == on(Length(), Own(("b",)))


def nodes(*entries: Any) -> str:
    return json.dumps({"guerdon": 1, "nodes": list(entries)})


X = {"kind": "Column", "name": "x"}
ONE = {"tuple": [{"node": 0}]}
TWO = {"tuple": [{"node": 0}, {"node": 0}]}


def apply(op: Any, args: Any = ONE, params: Any = None) -> dict[str, Any]:
    return {"kind": "Apply", "op": op, "args": args, "params": {"tuple": []} if params is None else params}


def source(path: Any, **values: Any) -> str:
    return nodes({"kind": "Source", "type": path, **values})


def view(changed: Any) -> str:
    exact = {"kind": "Source", "type": "guerdon.sources.verify:Exact"}
    return nodes(exact, {"kind": "View", "arg": {"node": 0}, "edit": changed})


def pair(name: Any, value: Any) -> Any:
    return {"tuple": [{"tuple": [name, value]}]}


def deep(levels: int) -> str:
    return '{"guerdon":1,"nodes":[' + '{"kind":"Const","value":' + '{"tuple":[' * levels + "1" + "]}" * levels + "}]}"


HOSTILE = {
    "empty": "",
    "no JSON": "{",
    "a list": "[]",
    "a number": "1",
    "nothing inside": "{}",
    "newer": '{"guerdon": 2, "nodes": [{"kind": "Column", "name": "x"}]}',
    "version of text": '{"guerdon": "1", "nodes": [{"kind": "Column", "name": "x"}]}',
    "no nodes": '{"guerdon": 1, "nodes": []}',
    "nodes are a number": '{"guerdon": 1, "nodes": 5}',
    "nodes are a dict": '{"guerdon": 1, "nodes": {"a": 1}}',
    "nodes are text": '{"guerdon": 1, "nodes": "abc"}',
    "null bytes": '{"guerdon": 1, "nodes": []}\0',
    "nested brackets": "[" * 100_000,
    "deep values": deep(400),
    "deeper values": deep(5_000),
    "huge number": '{"guerdon": 1, "nodes": [{"kind": "Const", "value": ' + "9" * 5_000 + "}]}",
    "large number": '{"guerdon": 1, "nodes": [{"kind": "Const", "value": ' + "9" * 400 + "}]}",
    "large float": nodes({"kind": "Const", "value": {"float": 10**400}}),
    "no float": nodes({"kind": "Const", "value": {"float": "many"}}),
    "node is a number": nodes(5),
    "node is text": nodes("x"),
    "no kind": nodes({"name": "x"}),
    "unknown kind": nodes({"kind": "Nothing"}),
    "kind is a list": nodes({"kind": []}),
    "kind of the base class": nodes({"kind": "Expr"}),
    "field too few": nodes({"kind": "Column"}),
    "field too many": nodes({**X, "more": 1}),
    "dunder field": nodes({**X, "__class__": "os"}),
    "column of a number": nodes({"kind": "Column", "name": 5}),
    "number of text": nodes({"kind": "Const", "value": "5"}),
    "number of a bool": nodes({"kind": "Const", "value": True}),
    "value without a meaning": nodes({"kind": "Const", "value": {"what": 1}}),
    "forward reference": nodes(apply("exp", {"tuple": [{"node": 1}]}), X),
    "reference to itself": nodes(apply("exp")),
    "reference before": nodes(X, apply("exp", {"tuple": [{"node": -1}]})),
    "reference of text": nodes(X, apply("exp", {"tuple": [{"node": "0"}]})),
    "arguments are a list": nodes(X, apply("exp", [{"node": 0}])),
    "arguments are numbers": nodes(X, apply("exp", {"tuple": [1]})),
    "argument is no tuple": nodes(X, apply("exp", {"node": 0})),
    "unknown operator": nodes(X, apply("system")),
    "operator of numpy": nodes(X, apply("frompyfunc", TWO)),
    "operator is a number": nodes(X, apply(5)),
    "argument too few": nodes(X, apply("add")),
    "argument too many": nodes(X, apply("exp", TWO)),
    "no argument": nodes(apply("add", {"tuple": []})),
    "parameter of another": nodes(X, apply("exp", ONE, pair("out", 1))),
    "parameters are a dict": nodes(X, apply("named", ONE, {"name": "a"})),
    "parameter without a name": nodes(X, apply("named", ONE, {"tuple": ["a"]})),
    "name that is none": nodes(X, apply("named", ONE, pair("name", "a b"))),
    "name that is a number": nodes(X, apply("named", ONE, pair("name", 5))),
    "channel without a name": nodes(X, apply("channels", TWO, pair("name0", "a"))),
    "edges that fall": nodes(X, apply("bucket", ONE, pair("edges", {"tuple": [2.0, 1.0]}))),
    "edges of text": nodes(X, apply("bucket", ONE, pair("edges", "ab"))),
    "negative number in words": nodes({"kind": "Const", "value": 2.0}, apply("negative")),
    "unknown aggregate": nodes(X, {"kind": "Window", "op": "eval", "arg": {"node": 0}, "over": {"tuple": ["batch"]}}),
    "window as a reduction": nodes(X, {"kind": "Reduce", "op": "rank", "arg": {"node": 0}, "to": "group"}),
    "reduction to nowhere": nodes(X, {"kind": "Reduce", "op": "mean", "arg": {"node": 0}, "to": "moon"}),
    "reduction to a number": nodes(X, {"kind": "Reduce", "op": "mean", "arg": {"node": 0}, "to": 5}),
    "key is a number": nodes(X, {"kind": "Window", "op": "mean", "arg": {"node": 0}, "over": {"tuple": [5]}}),
    "keys are text": nodes(X, {"kind": "Window", "op": "mean", "arg": {"node": 0}, "over": "group"}),
    "empty is text": nodes(X, {"kind": "Window", "op": "mean", "arg": {"node": 0}, "over": {"tuple": ["group"]}, "empty": "0"}),
    "quantile of text": nodes(X, {"kind": "Window", "op": "quantile", "arg": {"node": 0}, "over": {"tuple": ["group"]}, "params": {"tuple": [{"tuple": ["q", "half"]}, {"tuple": ["method", "linear"]}]}}),
    "quantile beyond": nodes(X, {"kind": "Window", "op": "quantile", "arg": {"node": 0}, "over": {"tuple": ["group"]}, "params": {"tuple": [{"tuple": ["q", 2.0]}, {"tuple": ["method", "linear"]}]}}),
    "scan backwards": nodes(X, {"kind": "Scan", "op": "lag", "args": TWO, "along": "group", "params": pair("n", -1)}),
    "scan along nothing": nodes(X, {"kind": "Scan", "op": "cumsum", "args": ONE, "along": "batch"}),
    "scan with too much": nodes(X, {"kind": "Scan", "op": "cumsum", "args": TWO, "along": "group"}),
    "state of nothing": nodes(X, {"kind": "State", "op": "ema", "args": {"tuple": []}}),
    "unknown state": nodes(X, {"kind": "State", "op": "pickle", "args": ONE}),
    "state without its parameter": nodes({"kind": "Const", "value": 1.0}, {"kind": "State", "op": "ema", "args": ONE}),
    "state named by a number": nodes({"kind": "Const", "value": 1.0}, {"kind": "State", "op": "ema", "args": ONE, "params": pair("decay", 0.5), "name": 5}),
    "foreign class": source("subprocess:Popen", args=["true"]),
    "foreign function": source("os:system"),
    "no class": source("guerdon.nowhere:X"),
    "no module": source(":X"),
    "no name": source("guerdon.expr:"),
    "relative module": source("guerdon..os:system"),
    "module with a null byte": source("guerdon.\0:X"),
    "type is a number": source(5),
    "type is missing": nodes({"kind": "Source"}),
    "class that is no source": source("guerdon.expr.pool:Pool"),
    "function that is no source": source("guerdon.errors:suggest"),
    "node that is no source": source("guerdon.expr.core:Column", name="x"),
    "module behind an attribute": source("guerdon.expr.save:os.system"),
    "import behind an attribute": source("guerdon.errors:annotations.compiler_flag"),
    "class behind a class": source("guerdon.sources.verify:Exact.__class__"),
    "base class behind a class": source("guerdon.sources.verify:Exact.__mro__"),
    "command line": source("guerdon.__main__:main"),
    "field of another": source("guerdon.sources.verify:Exact", ignore_everything=True),
    "field of a wrong kind": source("guerdon.sources.verify:Exact", ignore_case="yes"),
    "field that is an expression": nodes(X, {"kind": "Source", "type": "guerdon.sources.verify:Math", "timeout": {"node": 0}}),
    "edit that is text": view("truncate"),
    "edit that is missing": nodes({"kind": "Source", "type": "guerdon.sources.verify:Exact"}, {"kind": "View", "arg": {"node": 0}}),
    "edit that is no edit": view({"type": "guerdon.expr.source:Limits", "fields": {}}),
    "edit from elsewhere": view({"type": "fractions:Fraction", "fields": {}}),
    "edit behind a module": view({"type": "guerdon.expr.cache:OrderedDict", "fields": {}}),
    "edit with a wrong field": view({"type": "guerdon.expr.view:truncate", "fields": {"share": "half"}}),
    "edit with a column that is a number": view({"type": "guerdon.expr.view:assign", "fields": {"column": 1, "source": 2}}),
    "edit without fields": view({"type": "guerdon.expr.view:truncate"}),
    "edit with a policy of text": view({"type": "guerdon.expr.view:forced_answer", "fields": {"policy": "gpt"}}),
    "foreign dataclass of ours": view({"type": "guerdon.expr.run:dataclass", "fields": {}}),
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_broken_and_hostile_files_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise SystemExit(f"called with {args}")

    monkeypatch.setattr(os, "system", refuse)
    with pytest.raises((DataError, ExpressionError)) as caught:
        from_json(text)
    assert len(str(caught.value)) < 800


def test_a_file_of_a_newer_guerdon_says_so() -> None:
    with pytest.raises(DataError, match="saved in format 2, this guerdon reads format 1: update guerdon"):
        from_json(HOSTILE["newer"])


def test_a_main_module_is_not_imported() -> None:
    """Importing it would run the command line."""
    with pytest.raises(ExpressionError, match=r"guerdon\.__main__:main, which is not part of guerdon"):
        from_json(HOSTILE["command line"])


def test_what_a_module_of_ours_imports_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guerdon.expr.view.Own", Own, raising=False)
    borrowed = view({"type": "guerdon.expr.view:Own", "fields": {}})
    with pytest.raises(ExpressionError, match=r"guerdon\.expr\.view:Own, which is not a source, an edit"):
        from_json(borrowed)
    assert from_json(borrowed, trust=True) == on(verify.Exact(), Own())


def test_the_text_is_json_for_everybody() -> None:
    """Infinity and NaN are no JSON: other programs would stumble."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    for reward in REWARDS:
        json.loads(to_json(reward), parse_constant=refuse)


def test_the_place_of_a_broken_node_is_named() -> None:
    with pytest.raises(GuerdonError, match="node 1 of the saved reward"):
        from_json(nodes(X, apply("system")))
    with pytest.raises(GuerdonError, match="node 0 of the saved reward is broken: KeyError: 'kind'"):
        from_json(nodes({"name": "x"}))


def test_classes_from_elsewhere_need_trust() -> None:
    saved = to_json(Length(2.0) + 1)
    with pytest.raises(
        ExpressionError, match=r"tests\.expr\.leaves:Length, which is not part of guerdon: .*trust=True"
    ):
        from_json(saved)
    assert from_json(saved, trust=True) == Length(2.0) + 1
    with pytest.raises(ExpressionError, match="not a source"):
        from_json(source("subprocess:Popen", args=["true"]), trust=True)
    with pytest.raises(DataError, match="nowhere_at_all"):
        from_json(source("nowhere_at_all:X"), trust=True)


def test_trust_lets_own_sources_load_and_nothing_else() -> None:
    class NotFrozen:
        pass

    assert NotFrozen
    with pytest.raises(ExpressionError, match="not a source"):
        from_json(source("tests.expr.leaves:CALLS"), trust=True)
    with pytest.raises((DataError, ExpressionError)):
        from_json(source("tests.expr.leaves:Length", scale="much"), trust=True)


def test_recur_and_lag_come_back_with_their_starts() -> None:
    from guerdon.expr import prev

    for expr in (
        recur(prev + col("step.x"), init=float("nan"), along="step"),
        lag(col("x"), 3, along="group", fill=2, order=col("t")),
        recur(prev * 2, init=col("x"), along="group", order=-col("t")),
    ):
        assert from_json(to_json(expr)) == expr
        assert parse(str(expr)) == expr


def test_saving_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "reward.json"
    save(col("x"), path)
    before = path.read_text()
    with pytest.raises(ExpressionError):
        save(Odd(object()), path)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["reward.json"]
    save(col("y"), str(path))
    assert load(str(path)) == col("y")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", tmp_path / "nowhere" / "reward.json"):
        with pytest.raises(DataError, match=r"(folder|reward\.json) could not be written"):
            save(col("x"), place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "reward.json"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json could not be read"):
        load(tmp_path / "nothing.json")
    with pytest.raises(DataError, match="could not be read"):
        load(tmp_path)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="could not be read"):
        load(tmp_path / "bytes.json")


def test_an_abstract_source_is_a_source_that_scores_nothing() -> None:
    assert from_json(to_json(AsyncSource())) == AsyncSource()

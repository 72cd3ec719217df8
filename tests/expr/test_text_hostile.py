"""Text from strangers: every trick ends in one kind of error, at once, and nothing of it is executed."""

from __future__ import annotations

import builtins
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from guerdon.errors import ExpressionError
from guerdon.expr.text import LONGEST, parse

PYTHON = {
    "attribute of a result": "verify.Math().__class__",
    "attribute of a namespace": "verify.__class__",
    "call of a class attribute": "verify.__class__()",
    "constructor by name": "verify.Math.__init__()",
    "constructor of a module": "recipes.__init__('x')",
    "module inside a namespace": "stats.np.load('x')",
    "module inside a namespace, called": "anneal.math(1)",
    "import inside a namespace": "edit.re('x')",
    "base class": "edit.Edit()",
    "no namespace": "expr.core.Const(1)",
    "own modules": "text.parse('1')",
    "typing name": "anneal.Expr()",
    "method": "col('a').named('b')",
    "deep attribute": "a." * 9000 + "a",
    "dunder import": "__import__('os').system('true')",
    "mro": "().__class__.__mro__[1].__subclasses__()",
    "format": "'{0.__class__}'.format(1)",
    "getattr": "getattr(verify, 'Math')()",
    "type": "type(1)",
    "exec": "exec('1')",
    "eval": "eval('1')",
    "open": "open('/etc/passwd')",
    "builtin in disguise": "breakpoint()",
    "called result": "col('a')('b')",
    "called subscript": "verify['Math']()",
    "lambda": "lambda: 1",
    "called lambda": "(lambda: 1)()",
    "lambda as an argument": "case((col('a'), lambda: 1), otherwise=0)",
    "list comprehension": "[x for x in (1, 2)]",
    "generator": "sum(x for x in (1, 2))",
    "set": "{1, 2}",
    "dict": "{'a': 1}",
    "f-string": "f'{1}'",
    "f-string as an argument": "col(f'{col}')",
    "walrus": "(x := 1)",
    "walrus as an argument": "exp((x := 1))",
    "star": "maximum(*(1, 2))",
    "star in a tuple": "mean(col('a'), over=(*('group',),))",
    "double star": "maximum(**{'a': 1, 'b': 2})",
    "self as a keyword": "maximum(1, self=2)",
    "what as a keyword": "maximum(1, what=2)",
    "node as a keyword": "maximum(1, node=2)",
    "dunder keyword": "maximum(1, __class__=2)",
    "subscript": "col('a')['b']",
    "slice": "col('a')[0:1]",
    "in": "1 in (1, 2)",
    "is": "1 is 1",
    "await": "await col('a')",
    "yield": "(yield 1)",
    "import": "import os",
    "from import": "from os import system",
    "def": "def f(): pass",
    "class": "class A: pass",
    "loop": "for x in y: pass",
    "while": "while 1: pass",
    "try": "try: 1\nexcept: 2",
    "with": "with a: b",
    "raise": "raise ValueError",
    "assert": "assert 1",
    "del": "del verify",
    "global": "global a",
    "match": "match 1:\n case 1: 1",
    "decorator": "@col\ndef f(): pass",
    "assign to an attribute": "verify.Math = 1\n1",
    "assign to an item": "a = 1\na[0] = 1\na",
    "assign to two": "a, b = 1, 2\na",
    "assign to both": "a = b = 1\na",
    "augmented": "a = 1\na += 1\na",
    "annotated": "a: int = 1\na",
    "last one assigns to an attribute": "verify.x = 1",
    "two results": "col('a')\ncol('b')",
    "complex": "1j",
    "bytes": "b'a'",
    "ellipsis": "...",
    "none": "None",
    "tuple": "(1, 2)",
    "text": "'a'",
    "text times number": "'a' * 10**9",
    "text plus text": "'a' + 'b'",
    "text as an exponent": "2 ** 'a'",
    "column of a column": "col(col('a'))",
    "column of a number": "col(5)",
    "key of a number": "mean(col('a'), over=5)",
    "target of an expression": "mean(col('a'), to=col('b'))",
    "edit of an expression": "on(verify.Math(), edit.truncate(col('a')))",
    "edit of a number": "on(verify.Math(), edit.assign(1, 2))",
    "policy of text": "on(verify.Math(), edit.forced_answer('p'))",
    "source in a source": "verify.Exact(ignore_case=verify.Exact())",
    "number in a source": "verify.Math(ways=5)",
    "recipe divides by zero": "recipes.laser_d(col('a'), col('b'), rollouts=0)",
    "schedule of nothing": "anneal.linear(1, 0, 0)",
    "pattern that is none": "on(verify.Math(), edit.replace('response', '('))",
    "template that is none": "on(verify.Math(), edit.replace('response', 'a', '\\\\9'))",
    "not a name": "named(col('a'), 'a b')",
    "keyword as a name": "named(col('a'), 'lambda')",
    "surrogate": "col('\ud800')",
    "null byte": "col('a')\0",
    "null byte inside": "col('a\0')",
    "form feed and code": "1\f\nimport os",
    "line continuation": "1\\\nimport os",
    "huge number": "9" * 5000,
    "huge hexadecimal number": "0x" + "f" * 15_000,
    "number beyond floats": "1e999",
    "number beyond floats, as an int": "1" + "0" * 400,
}
ROOT = Path(__file__).parents[2]
BOMBS = {
    "a megabyte": "1+" * 500_000 + "1",
    "just too long": "1" + " " * 50 + "+1" * (LONGEST // 2),
    "nested brackets": "(" * 100_000 + "1" + ")" * 100_000,
    "nested brackets within the length": "(" * 9_000 + "1" + ")" * 9_000,
    "open brackets": "[" * 5_000,
    "signs": "-" * 19_000 + "1",
    "signs with spaces": "- " * 9_000 + "1",
    "not not not": "not " * 4_900 + "1",
    "lambdas": "lambda:" * 2_800 + "1",
    "conditions in conditions": "1 if 1 else " * 1_600 + "1",
    "powers": "2**" * 6_000 + "2",
    "comparisons": "1<" * 9_000 + "1",
    "calls in calls": "exp(" * 4_000,
    "commas": "(" + "1," * 9_000 + ")",
    "strings": "'a' " * 4_900,
    "await": "await " * 3_000 + "1",
    "stars": "*" * 10_000 + "1",
    "subscripts": "a" + "[0]" * 6_000,
    "calls after calls": "a" + "()" * 9_000,
    "semicolons": "1;" * 9_000,
    "names": "y" * 30_000,
    "tabs": "\t" * 5_000 + "1",
}


DEPTHS: dict[str, Callable[[int], str]] = {
    "calls": lambda n: "exp(" * n + "1" + ")" * n,
    "conditions": lambda n: "(1 if " * n + "1" + " else 1)" * n,
    "signs": lambda n: "~" * n + "col('a')",
}


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a trick would call ends the test."""

    def refuse(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> NoReturn:
            raise SystemExit(f"{name} was called with {args}")

        return call

    importlib.import_module("guerdon.recipes")  # what parse may import is there already
    for space in ("sources.verify", "sources.stats", "expr.anneal", "expr.view", "expr.show"):
        importlib.import_module(f"guerdon.{space}")
    for module, name in (
        (os, "system"),
        (os, "popen"),
        (subprocess, "Popen"),
        (builtins, "exec"),
        (builtins, "eval"),
        (builtins, "breakpoint"),
    ):
        monkeypatch.setattr(module, name, refuse(name))


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("text", PYTHON.values(), ids=PYTHON.keys())
def test_the_rest_of_python_does_not_exist(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    message = str(caught.value)
    assert "line " in message or "not an expression" in message, message
    assert len(message) < 1_000
    assert "Traceback" not in message


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_what_would_blow_up_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("build", DEPTHS.values(), ids=DEPTHS.keys())
def test_a_hundred_levels_are_read_and_no_more(build: Callable[[int], str]) -> None:
    assert parse(str(parse(build(98)))) == parse(build(98))
    with pytest.raises(ExpressionError, match="deep"):
        parse(build(101))


def test_the_interpreter_survives_the_bombs() -> None:
    """In a fresh process without pytest around, where a crash of the parser itself would show as an exit code."""
    code = (
        "import sys\nfrom tests.expr.test_text_hostile import BOMBS, PYTHON\nfrom guerdon.errors import ExpressionError\n"
        "from guerdon.expr.text import parse\nrefused = 0\n"
        "for text in (*BOMBS.values(), *PYTHON.values()):\n"
        "    try:\n        parse(text)\n    except ExpressionError:\n        refused += 1\n"
        "print(refused)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120, cwd=ROOT
    )
    assert (out.stdout.strip(), out.returncode) == (str(len(BOMBS) + len(PYTHON)), 0), out.stderr[-500:]


def test_huge_powers_are_floating_point_arithmetic_of_nodes() -> None:
    assert str(parse("10**10**10")) == "10 ** 10 ** 10"
    assert str(parse("9**9**9**9 * col('a')")) == "9 ** 9 ** 9 ** 9 * col('a')"


def test_words_of_python_inside_text_are_text() -> None:
    assert parse("col('__class__')").level == "sample"
    assert parse('col("import os; (((")').level == "sample"
    assert str(parse("ｃｏｌ('a')")) == "col('a')"  # Python reads such letters as plain ones
    assert parse("verify.Format(pattern='.*(a|b).*')").level == "sample"

"""What a hostile expression costs: less than a second, and the service goes on."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from catalog.mappings import evaluation
from catalog.mappings.evaluation import POOL, SCRIPT, Evaluator, Pool
from core.errors import UnavailableError
from tests.api import Api
from tests.contract.problems import assert_problem

LONG = 30_000
HOSTILE = {
    "endless recursion": "($f := function($x) { $f($x) + 1 }; $f(1))",
    "endless loop": "($f := function() { $f() }; $f())",
    "doubled text": '($f := function($s) { $f($s & $s) }; $f("ab"))',
    "doubled list": "($f := function($s) { $f($append($s, $s)) }; $f([1, 2]))",
    "squared number": "($f := function($x) { $f($x * $x) }; $f(99))",
    "long range": "[1..10000000]",
    "ranges of ranges": "[1..3000].[1..3000]",
    "range in an object": '{"x": [1..9999999]}',
    "sum of a range": "$sum([1..9999999])",
    "nested maps": "$map([1..3000], function($x) { $map([1..3000], function($y) { $x * $y }) })",
    "long reduction": "$reduce([1..5000000], function($a, $b) { $a + $b })",
    "long sort": "$sort([1..1000000], function($a, $b) { $a < $b })",
    "padding": '$pad("a", 1000000000)',
    "padding before": '$pad("a", -2000000000)',
    "regular expression": '$match("' + "a" * 200 + '!", /(a+)+$/)',
    "large regular expression": '$contains("a", /' + "(?:a?){1000}" * 50 + "/)",
    "picture of a time": '$toMillis("' + "a" * 60 + '!", "(a+)+b")',
    "long picture": '$fromMillis(0, "' + "[Y0001]" * 8000 + '")',
    "long number format": '$formatNumber(1, "' + "0" * 60_000 + '")',
    "replacements": f'$replace("{"a" * LONG}", "a", "{"b" * LONG}")',
    "deep eval": '($f := function($s) { $eval($s) }; $f("$f($s)"))',
    "eval of a range": '$eval("$eval(\\"$sum([1..9999999])\\")")',
    "deep parentheses": "(" * LONG + "1" + ")" * LONG,
    "deep arrays": "[" * LONG + "]" * LONG,
    "long path": "a." * LONG + "a",
    "long sum": "1+" * LONG + "1",
    "signs": "-" * 60_000 + "1",
    "joined": '$join($map([1..1000000], $string), ",")',
    "zipped": "$zip([1..1000000], [1..1000000])",
    "power": "$power(9999999, 9999999)",
    "base": "$formatBase(1e300, 2)",
    "digits": '$parseInteger("' + "1" * 60_000 + '", "#0")',
}


def spent() -> float:
    """Processor seconds of this process, and of the evaluators it has waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@pytest.mark.parametrize("expression", HOSTILE.values(), ids=HOSTILE)
def test_expression__hostile__costs_under_a_second(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool()
    monkeypatch.setattr(evaluation, "MOST_IDLE", 0)  # the process is waited for, so that its time is known
    pool.ask({"documents": [{"x": "1"}], "data": {}})
    before, started = spent(), time.perf_counter()
    try:
        answer = pool.ask({"documents": [{"x": expression}], "data": {"a": {"a": 1}}})
    except evaluation.MappingFailedError as error:
        answer = {"failure": str(error)}
    took = spent() - before
    assert "value" in answer or answer["failure"]
    # Starting the process is in it, which a kept one has done before.
    assert took < 1.0, f"{took:.2f} s"
    assert time.perf_counter() - started < evaluation.WAIT


@pytest.mark.parametrize(
    "expression, said",
    [
        (HOSTILE["endless loop"], "slow: /x: takes too long"),
        (HOSTILE["picture of a time"], "slow: /x: takes too long"),
        (HOSTILE["long range"], "slow: /x: needs too much memory"),
        (HOSTILE["padding"], "slow: /x: needs too much memory"),
        (HOSTILE["endless recursion"], "slow: /x: Stack overflow"),
        ("$pad('a', 300000)", "the output has more than 262,144 bytes"),
        ("[1..25000]", "the output: Send at most 20,000 values"),
    ],
)
def test_apply__hostile_mapping__is_told_and_the_next_one_works(acme: Api, expression: str, said: str) -> None:
    for name, data in (("slow", json.dumps({"x": expression})), ("fine", "x: key")):
        assert acme.post("/v1/mappings", {"name": name, "data": data}).status_code == 200
    problem = assert_problem(acme.post("/v1/mappings/apply", body("slow")), 400, "mapping-failed")
    assert said in problem["message"]
    assert acme.post("/v1/mappings/apply", body("fine")).json() == {"result": {"mapping": {"x": 1}}}


def body(name: str) -> dict[str, Any]:
    return {"mappings": [name], "data": {"key": 1}}


def test_chain__of_slow_mappings__shares_one_budget() -> None:
    slow = {"x": "$sum($map([1..20000], function($n) { $n * 2 }))"}
    answer = POOL.ask({"documents": [slow] * 20, "data": {}})
    assert answer["failure"] == "takes too long"
    assert int(answer["place"].partition("/")[0]) < 20


def test_memory__of_an_expression__ends_with_it() -> None:
    evaluator = Evaluator()
    try:
        evaluator.ask(json.dumps({"documents": [{"x": "1"}], "data": {}}).encode())
        before = resident(evaluator)
        for _ in range(5):
            evaluator.ask(json.dumps({"documents": [{"x": "$pad('a', 30000000) ~> $length()"}], "data": {}}).encode())
        assert resident(evaluator) - before < 4 * 1024 * 1024
    finally:
        evaluator.close()


def resident(evaluator: Evaluator) -> int:
    """Bytes in memory of the process that is kept."""
    statm = Path(f"/proc/{evaluator._process.pid}/statm")
    if not statm.exists():
        pytest.skip("this system has no /proc")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_evaluator__environment__is_empty() -> None:
    evaluator = Evaluator()
    try:
        environment = Path(f"/proc/{evaluator._process.pid}/environ")
        if not environment.exists():
            pytest.skip("this system has no /proc")
        evaluator.ask(b'{"documents": [{}], "data": {}}')
        assert environment.read_bytes() == b""
    finally:
        evaluator.close()


def test_evaluator__killed_while_it_is_kept__is_replaced() -> None:
    pool = Pool()
    pool.ask({"documents": [{"x": "1"}], "data": {}})
    (kept,) = pool._idle
    kept._process.kill()
    kept._process.wait()
    assert pool.ask({"documents": [{"x": "2"}], "data": {}}) == {"value": {"x": 2}}
    assert pool._idle != [kept]


def test_evaluator__that_does_not_start__is_an_outage_and_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "SCRIPT", Path("/nowhere/evaluator.py"))
    with pytest.raises(UnavailableError):
        Pool().ask({"documents": [{}], "data": {}})


def test_evaluator__without_its_service__ends() -> None:
    process = subprocess.Popen([sys.executable, "-I", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.communicate(b'{"documents": [{"x": "1 + 1"}], "data": {}}\n', timeout=10)
    assert process.returncode == 0


def test_pool__asked_by_many_threads__answers_each_its_own() -> None:
    pool, found = Pool(), dict[int, Any]()

    def ask(number: int) -> None:
        for _ in range(5):
            found[number] = pool.ask({"documents": [{"x": "n"}], "data": {"n": number}})

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: {"value": {"x": n}} for n in range(6)}
    assert len(pool._idle) <= evaluation.MOST_IDLE
    for evaluator in pool._idle:
        evaluator.close()

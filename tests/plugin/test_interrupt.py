"""Ctrl-C and SIGTERM: graceful, bounded, and nothing measured is lost."""

import json
import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 2), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    "body", ["def test_it():\n    time.sleep(0.05)", "async def test_it():\n    await asyncio.sleep(0.05)"]
)
def test_a_signal_ends_the_run_and_the_results_are_written(pytester, write, number, code, body):
    write(f"@perf(vus=3, duration='120s')\n{body}\n    open('started', 'w').close()\n")
    process = pytester.popen(
        [sys.executable, "-m", "pytest", "--perf-run", "test_it.py"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + 60
    while not (pytester.path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == code, output.decode()
    (path,) = (pytester.path / "perf-results").glob("*-*/test_it-test_it.json")
    document = json.loads(path.read_text())
    assert document["verdict"] == "FAILED"
    assert document["reasons"][0].startswith("stopped early: ")
    assert document["iterations"] >= 1
    assert b"stopped early" in output


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("head", ["def", "async def"])
def test_a_timeout_ends_the_run_and_the_results_are_written(pytester, write, result_of, head):
    pytest.importorskip("pytest_timeout")
    pause = "await asyncio.sleep(0.01)" if head == "async def" else "time.sleep(0.01)"
    write(f"""
import threading

@pytest.mark.timeout(0.5, method="signal")
@perf(load=PerVUIterations(vus=2, iterations=100_000))
{head} test_it():
    {pause}

def test_next():
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("cdcperf-")] == []
""")
    result = pytester.runpytest_subprocess("--perf-run")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_it - Failed: Timeout*"])
    assert result_of("test_it-test_it")["reasons"][0].startswith("stopped early: Failed: Timeout")

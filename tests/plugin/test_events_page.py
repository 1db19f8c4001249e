"""The examples of docs/events.md do what the page says."""

import csv
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
SLACK, CSV = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
TEST = "from pytest_cdcperf import perf\n@perf(vus=1, iterations=9)\ndef test_it(): pass\n"


@pytest.fixture
def chat(monkeypatch):
    """The messages that a web hook was sent."""
    messages = []

    class WebHook(BaseHTTPRequestHandler):
        def do_POST(self):
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), WebHook)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("SLACK_WEBHOOK", f"http://127.0.0.1:{server.server_port}/")
    yield messages
    server.shutdown()
    server.server_close()


def test_a_message_says_how_a_run_has_ended(pytester: pytest.Pytester, chat):
    pytester.makeconftest(SLACK)
    pytester.makepyfile(TEST)
    pytester.runpytest("--perf-run", "-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert [message["text"].split()[0] for message in chat] == ["PASSED"]
    assert chat[0]["text"].endswith("::test_it: all limits kept")


def test_the_file_has_a_line_a_window(pytester: pytest.Pytester):
    pytester.makeconftest(CSV)
    pytester.makepyfile(TEST)
    pytester.runpytest("--perf-run", "-p", "no:cacheprovider").assert_outcomes(passed=1)
    rows = list(csv.reader((pytester.path / "windows.csv").read_text().splitlines()))
    assert sum(float(iterations) for _test, _elapsed, iterations, _p95 in rows) == 9
    assert {test.partition("::")[2] for test, *_ in rows} == {"test_it"}

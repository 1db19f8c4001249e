"""The HTTP fixtures in whole sessions: no server of ours is started for them."""

import os
import re
from pathlib import Path

import pytest

from tests.services.http_server import http_server

SERVER = """
from tests.services.http_server import http_server

@pytest.fixture(scope="session")
def server():
    with http_server() as running:
        yield running.url
"""


def test_both_clients_and_the_async_one_under_load(pytester: pytest.Pytester, write, result_of):
    write(f"""{SERVER}
@pytest.fixture(scope="session")
def shop(http_client, server):
    assert http_client.get(f"{{server}}/echo").ok  # a fixture may ask too
    return http_client.with_options(base_url=server)

LOAD = PerVUIterations(vus=2, iterations=3)

@perf(load=LOAD, thresholds={{"http_req_failed": "rate<0.01", "http_reqs": "count==12"}})
def test_def(shop, server, requests_session, vu):
    assert shop.get("/orders/{{id}}", path={{"id": vu.iteration}}).status_code == 200
    assert requests_session.get(f"{{server}}/orders/1").json()["path"] == "/orders/1"

@perf(load=LOAD, error_rate=1, thresholds={{"http_req_failed{{name:fails}}": "rate==1"}})
async def test_async(shop):
    (await shop.aio.get("/status/500", name="fails")).raise_for_status()
""")
    result = pytester.runpytest("--perf-run", "-v")
    result.assert_outcomes(passed=2)
    assert result_of("test_it-test_def")["services"].keys() <= {"environment"}  # no server was started
    failed = result_of("test_it-test_async")
    assert failed["failed_iterations"] == 6
    assert failed["failures"][0]["type"] == "HttpStatusError"


def test_the_example_of_the_readme(pytester: pytest.Pytester, result_of):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (example,) = [code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "http_client" in code]
    with http_server() as shop:
        pytester.makepyfile(test_it=example.replace("http://localhost:8000", shop.url))
        pytester.runpytest("--perf-run", "--perf-duration=200ms")  # a busy machine may cross the limit
    assert result_of("test_it-test_an_item_is_found")["failed_iterations"] == 0


def test_once_a_fault_is_one_line_of_the_test(pytester: pytest.Pytester, write):
    write("""
@perf
def test_it(http_client):
    http_client.get("/orders")
""")
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *ConfigError: GET '/orders': the URL has no scheme and host; write it whole, or*"])


def test_a_proxy_of_the_environment_is_said_in_the_header_and_in_the_result(pytester, write, result_of, monkeypatch):
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name.startswith("SSL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "http://me:s3cr3t-s3cr3t@proxy.example:3128")
    write(
        "@perf(iterations=1)\ndef test_it(http_client):\n    pass\n\n@perf(iterations=1)\ndef test_other():\n    pass\n"
    )
    result = pytester.runpytest("--perf-run")
    result.stdout.fnmatch_lines(["cdcperf: of the environment: http_proxy=http://proxy.example:3128"])
    result.stdout.no_fnmatch_line("*s3cr3t*")
    assert result_of("test_it-test_it")["services"] == {"environment": "http_proxy=http://proxy.example:3128"}
    assert result_of("test_it-test_other")["services"] == {}


def test_modules_beside_a_test_that_are_called_as_the_standard_librarys_are_not_ours(pytester, write, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS")  # an option of pytest-asyncio's
    for name in ("ctypes", "http", "mimetypes", "pkgutil", "zoneinfo"):  # which pytest itself does not load
        (pytester.path / f"{name}.py").write_text("raise ImportError('a module beside a test was imported')")
    write("@perf(iterations=1)\ndef test_it(http_client, requests_session, grpc_client):\n    import http\n")
    plain = [f"-pno:{name}" for name in ("asyncio", "hypothesispytest", "anyio", "html", "pyreqwest")]
    result = pytester.runpytest_subprocess(*plain, timeout=60)
    result.assert_outcomes(passed=1)

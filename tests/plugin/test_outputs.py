"""The files that a run writes and the lines that it prints."""

import html
import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

TWO_TESTS = """
@pytest.mark.baseline
@perf(vus=2, duration='1s', p95='10s')
def test_first():
    "The first of two."
    time.sleep(0.01)

@pytest.mark.baseline
@perf(vus=1, duration='1s', max=0.0001)
def test_second():
    time.sleep(0.01)
"""


def test_each_test_has_a_json_file_of_a_stable_name_whatever_the_verdict(pytester, write, result_of):
    write(TWO_TESTS)
    pytester.runpytest("-m", "baseline").assert_outcomes(passed=1, failed=1)
    first, second = result_of("test_it-test_first"), result_of("test_it-test_second")
    assert (first["verdict"], second["verdict"]) == ("PASSED", "FAILED")
    assert first["schema_version"] == 3
    assert first["title"] == "The first of two."
    assert first["session_id"] == second["session_id"]
    assert first["iterations"] == first["metrics"]["iterations"]["values"]["count"]
    iterations = next(column for column in first["windows"]["metrics"] if column["metric"] == "iterations")
    assert sum(iterations["figures"]["count"]) == first["iterations"]
    assert (pytester.path / "perf-results" / "latest").resolve().name.endswith(first["session_id"])


def test_a_session_with_several_scenarios_ends_with_one_table(pytester, write):
    write(TWO_TESTS)
    result = pytester.runpytest("-m", "baseline")
    result.stdout.re_match_lines(
        [
            r"  test +rate +response p95 +failed +verdict",
            r"✓ test_first +[\d.]+/s +[\d.]+ ms +0% +PASSED",
            r"✗ test_second +[\d.]+/s +[\d.]+ ms +0% +FAILED",
            r"    \w.*, limit .*",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "place", "prefix"),
    [
        ((), "testsuite/properties", "test_it.py::test_first."),
        (("-n2", "-p", "xdist"), "testsuite/properties", "test_it.py::test_first."),
        (("-o", "junit_family=xunit1"), "testsuite/testcase[@name='test_first']/properties", ""),
    ],
    ids=["xunit2", "xunit2-n2", "xunit1"],
)
def test_the_junit_file_carries_the_figures_where_its_family_has_a_place_for_them(
    pytester, write, arguments, place, prefix
):
    write(TWO_TESTS)
    pytester.runpytest("-m", "baseline", "--junitxml=junit.xml", *arguments)
    root = ET.parse(pytester.path / "junit.xml").getroot()
    figures = {p.get("name").removeprefix(prefix): p.get("value") for p in root.find(place)}
    assert figures["perf.verdict"] == "PASSED"
    assert int(figures["perf.iterations"]) > 10
    assert float(figures["response_time.p(95)"]) >= 10
    assert figures["threshold.response_time p(95)<10000"] == "passed"
    in_cases = root.findall("testsuite/testcase/properties")
    assert bool(in_cases) is not prefix.startswith("test_it")


def test_the_html_report_shows_the_verdict_leads_to_the_page_and_escapes_names(pytester, write):
    write("""
@pytest.mark.parametrize("name", ["<script>alert(1)</script>"])
@perf(vus=1, duration='2s', error_rate=1)
def test_it(name):
    time.sleep(0.01)
    raise ValueError("<img src=x>")
""")
    pytester.runpytest("--perf-run", "--html=report.html", "--self-contained-html")
    rows = _data_blob(pytester)["tests"].values()
    (row,) = [row[0] for row in rows]
    extras = {extra["format_type"]: extra for extra in row["extras"]}
    content = extras["html"]["content"]
    assert "<script>" not in content
    assert "<img" not in content
    assert "&lt;img src=x&gt;" in content
    assert "INVALID: " in extras["url"]["name"] or "PASSED: " in extras["url"]["name"]
    page, _, anchor = extras["url"]["content"].partition("#")
    assert f'<section id="{anchor}"' in (pytester.path / page).read_text(encoding="utf-8")
    assert "<script>alert" not in (pytester.path / page).read_text(encoding="utf-8")


def test_the_reasons_are_the_same_text_wherever_they_stand(pytester, write, result_of):
    write("""
@perf(
    load=PerVUIterations(vus=1, iterations=60), p95="1us",
    thresholds={"odd": "rate>0.99", "respons_time": "p(95)<5"},
)
def test_it(vu):
    Rate("odd").add(vu.iteration % 2)
    if vu.iteration % 2:
        raise ValueError(f"lost order {vu.iteration}")
""")
    result = pytester.runpytest("--perf-run", "--html=report.html", "--self-contained-html", "--junitxml=junit.xml")
    failed, odd, absent, slow = reasons = result_of("test_it-test_it")["reasons"]
    assert failed == ("30 of 60 iterations failed (50%, tolerated 0%): ValueError: lost order 1 at test_it.py:11 (30)")
    assert odd == "rate of odd 50%, limit 99% (rate>0.99)"
    assert absent.startswith("p(95) of respons_time: no samples, limit 5 (p(95)<5): the run recorded no respons_time; ")
    assert slow.startswith("p(95) of response_time ")
    assert ", limit 0.001 ms (p(95)<0.001)" in slow
    (failure,) = ET.parse(pytester.path / "junit.xml").getroot().iter("failure")
    (row,) = _data_blob(pytester)["tests"].values()
    page = "\n".join(html.unescape(extra["content"]) for extra in row[0]["extras"])
    for text in (result.stdout.str(), failure.text, page):
        assert [reason for reason in reasons if reason not in text] == []


def _data_blob(pytester: pytest.Pytester) -> dict:
    page = (pytester.path / "report.html").read_text()
    start = page.index('data-jsonblob="') + len('data-jsonblob="')
    return json.loads(html.unescape(page[start : page.index('"', start)]))


@pytest.fixture
def small_disk(pytester):
    """A file system of its own that holds next to nothing."""
    directory = pytester.mkdir("small")
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "none", directory], check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield directory
    subprocess.run([umount, directory], check=True)


@pytest.mark.parametrize("report", ["--junitxml=small/report", "--html=small/report"])
def test_on_a_full_disk_the_summary_says_it_all(pytester, write, monkeypatch, small_disk, report):
    monkeypatch.setenv("RESULTS_DIR", "small")
    write("""
import contextlib

@perf(vus=1, iterations=20)
def test_it():
    with contextlib.suppress(OSError), open("small/fill", "ab", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
""")
    result = pytester.runpytest_subprocess("--perf-run", report)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    full = "cannot be written: No space left on device"
    result.stdout.fnmatch_lines(
        [
            f"cdcperf: small/report: {full}",
            f"PASSED, but its results could not be written: *test_it-test_it.json: {full}; set RESULTS_DIR to *",
            "  response time  *",
            "results   small*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert list(small_disk.glob("*/*.part")) == []


def test_results_dir_moves_the_parent(pytester, write, monkeypatch):
    monkeypatch.setenv("RESULTS_DIR", str(pytester.path / "elsewhere"))
    write(TWO_TESTS)
    pytester.runpytest("-m", "baseline", "-k", "first").assert_outcomes(passed=1)
    assert (pytester.path / "elsewhere" / "latest" / "test_it-test_first.json").exists()
    assert not (pytester.path / "perf-results").exists()


def test_once_mode_leaves_no_results(pytester, write):
    write(TWO_TESTS)
    pytester.runpytest().assert_outcomes(passed=2)
    assert not (pytester.path / "perf-results").exists()


def test_passwords_appear_nowhere(pytester, write, monkeypatch):
    for name, value in {
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": "1",
        "POSTGRES_USER": "u",
        "POSTGRES_PASSWORD": "hunter2secret",
        "POSTGRES_DB": "d",
        "MONGODB_URI": "mongodb://u:hunter3secret@127.0.0.1:1/d?serverSelectionTimeoutMS=200",
    }.items():
        monkeypatch.setenv(name, value)
    write("""
@perf(vus=1, duration='1s')
def test_pg(pg):
    pass

@perf(vus=1, duration='1s')
def test_mongo(mongo):
    pass

@perf(vus=1, duration='1s')
def test_raised():
    raise OSError("cannot reach mongodb://u:hunter3secret@h/d or password=hunter2secret")
""")
    arguments = ("--perf-run", "--perf-stack=external", "--junitxml=j.xml", "--html=r.html", "-p", "no:cacheprovider")
    result = pytester.runpytest(*arguments, "--tb=short")
    result.assert_outcomes(errors=2, failed=1)
    result.stdout.fnmatch_lines(["*PostgreSQL at postgresql://u@127.0.0.1:1/d cannot be used: *refused*"])
    result.stdout.fnmatch_lines(["*MongoDB at mongodb://u:[*][*][*]@127.0.0.1:1/d* cannot be used: *refused*"])
    written = [
        path.read_text() for path in pytester.path.rglob("*") if path.suffix in {".json", ".xml", ".html", ".log"}
    ]
    assert len(written) >= 3
    for text in (result.stdout.str(), result.stderr.str(), *written):
        assert "hunter2secret" not in text
        assert "hunter3secret" not in text


def test_odd_and_long_names_and_messages_harm_no_output(pytester, write, result_of):
    write(r"""
ODD = "\x1b]0;owned\x07\x00\r\n  ::error::owned\n##[error]owned\n  PASSED\u2028\u202e"
LONG = "x" * 100_000
once = perf(load=PerVUIterations(vus=1, iterations=1))

@perf(load=PerVUIterations(vus=1, iterations=2), error_rate=1, tags={"team": ODD})
def test_names(vu):
    for text in (ODD, LONG):
        Trend(f"t_{text}").add(1, {"tag": text})
        check(f"check {text}", False)
        with group(f"group {text}"):
            pass
    raise type(f"Odd{ODD}", (Exception,), {})((ODD, LONG)[vu.iteration])

@once
def test_message():
    raise ValueError(ODD)

@once
def test_end():
    raise SystemExit(ODD)

@once
def test_skip():
    pytest.skip(ODD)

@perf
def test_once(load):
    check("false " + ODD, False)
    pytest.fail(ODD, pytrace=False)
""")
    result = pytester.runpytest("--perf-run", "--junitxml=j.xml", "-rA", "--html=r.html", "--color=no")
    outputs = (result.stdout.str(), (pytester.path / "j.xml").read_text(), (pytester.path / "r.html").read_text())
    for text in outputs:
        assert not set(text) & set("\x1b\x07\x00\x85\u2028\u202e")
        assert len(text) < 400_000
    assert not [line for line in result.outlines if line.lstrip().startswith(("::", "##["))]
    assert "  PASSED" not in result.outlines
    assert max(map(len, result.outlines)) < 3_000
    figures = {p.get("name") for p in ET.parse(pytester.path / "j.xml").iter("property")}
    assert any(r"t_\x1b]0;owned\x07\x00\r\n" in name for name in figures)
    metrics = result_of("test_it-test_names")["metrics"]
    assert len([name for name in metrics if name.startswith("t_xxx")]) == 1
    assert max(map(len, metrics)) < 300


WORD = "hunter4secret"


@pytest.mark.parametrize(
    "wrong",
    [
        {"POSTGRES_PORT": "x"},
        {"POSTGRES_DB": ""},
        {"MONGODB_URI": f"http://u:{WORD}@h/"},
        {"MONGODB_URI": f"mongodb://u:a b\n{WORD}@h:port/"},
        {"MONGODB_URI": f"mongodb://u:{WORD}@h/?tls=true&tlsCAFile=/no/token={WORD}"},
        {"MONGODB_URI": f"mongodb://h/?tls=true&tlsCertificateKeyFile=/no&tlsCertificateKeyFilePassword={WORD}"},
        {"MONGODB_URI": f"mongodb://h/?authMechanism=PLAIN&authMechanismProperties=AWS_SESSION_TOKEN:{WORD}"},
    ],
    ids=["port", "half-named", "scheme", "host", "certificate", "key", "aws"],
)
def test_servers_that_are_refused_at_the_start_are_named_in_one_line_without_secrets(
    pytester, write, monkeypatch, wrong
):
    given = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "1", "POSTGRES_USER": "u", "POSTGRES_PASSWORD": WORD}
    for name, value in {**given, "POSTGRES_DB": "d", "MONGODB_URI": f"mongodb://u:{WORD}@h/", **wrong}.items():
        monkeypatch.setenv(name, value)
    write("""
@perf(vus=1, duration='1s')
def test_it(mongo):
    pass
""")
    result = pytester.runpytest("--perf-stack=external", "-vv", "--showlocals", "--tb=long", "--junitxml=j.xml")
    result.assert_outcomes(errors=1)
    for text in (result.stdout.str(), result.stderr.str(), (pytester.path / "j.xml").read_text()):
        assert WORD not in text
        assert "Traceback" not in text
        assert "Error: " not in text
    result.stdout.re_match_lines([f"{next(iter(wrong))}.*|.*{next(iter(wrong))}[ ;].*"])


def test_a_results_directory_that_vanishes_during_the_run_is_made_again(pytester, write, result_of):
    write("""
import shutil

@perf(load=PerVUIterations(vus=1))
def test_it():
    shutil.rmtree("perf-results", ignore_errors=True)
""")
    pytester.runpytest("--perf-run", "-rs").assert_outcomes(passed=1)
    (path,) = (pytester.path / "perf-results").glob("*-*/test_it-test_it.json")
    assert path.stat().st_size > 100


def test_results_that_cannot_be_written_at_the_end_are_one_line(pytester, write):
    write("""
import pathlib, shutil
@perf(load=PerVUIterations(vus=1))
def test_it():
    shutil.rmtree("perf-results")
    pathlib.Path("perf-results").write_text("in the way")
""")
    result = pytester.runpytest("--perf-run", "-rs")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["PASSED, but its results could not be written: *perf-results*cannot be written*"])
    assert "Traceback" not in result.stdout.str()


def test_collecting_only_makes_no_directory(pytester, write):
    write("@perf\ndef test_it(): pass\n")
    pytester.runpytest("--perf-run", "-rs", "--co").assert_outcomes()
    assert not (pytester.path / "perf-results").exists()


def test_tags_of_any_type_are_text(pytester, write, result_of):
    write("""
T = Trend("size")
@perf(load=PerVUIterations(vus=1))
def test_it():
    T.add(5, {1: 2})
    T.add(5, {"a": None})
""")
    pytester.runpytest("--perf-run", "-rs").assert_outcomes(passed=1)
    assert [s["tags"] for s in result_of("test_it-test_it")["series"] if s["tags"]] == [{"1": "2"}, {"a": "None"}]

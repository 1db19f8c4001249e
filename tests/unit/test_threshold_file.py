from __future__ import annotations

import json

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.profiles import BUILTIN_PROFILES
from pytest_cdcperf.threshold_file import ALLOWED, read_thresholds

SEED = """{
  "baseline": {
    "cdc_e2e_latency": { "p95": 2000, "p99": 5000 },
    "pg_write_duration": { "p95": 100 },
    "mongo_read_duration": { "p95": 50 },
    "cdc_success_rate": { "rate": 0.99 }
  },
  "stress": {
    "cdc_e2e_latency": { "p95": 5000, "p99": 10000 },
    "cdc_success_rate": { "rate": 0.95 }
  },
  "spike": {
    "cdc_e2e_latency": { "p95": 10000 },
    "cdc_success_rate": { "rate": 0.90 }
  },
  "soak": {
    "cdc_e2e_latency": { "p95": 3000, "p99": 6000 },
    "cdc_success_rate": { "rate": 0.99 }
  }
}"""


@pytest.fixture
def read(tmp_path):
    def read_text(text, name="thresholds.json"):
        path = tmp_path / name
        path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
        found = read_thresholds(path, set(BUILTIN_PROFILES))
        return {profile: [str(threshold) for threshold in limits] for profile, limits in found.items()}

    return read_text


@pytest.fixture
def faults_of(read):
    def faults(text, name="thresholds.json"):
        with pytest.raises(ConfigError) as refused:
            read(text, name)
        return list(refused.value.faults)

    return faults


def test_the_file_of_the_plan_is_read(read):
    assert read(SEED) == {
        "baseline": [
            "cdc_e2e_latency p(95)<2000",
            "cdc_e2e_latency p(99)<5000",
            "pg_write_duration p(95)<100",
            "mongo_read_duration p(95)<50",
            "cdc_success_rate rate>0.99",
        ],
        "stress": ["cdc_e2e_latency p(95)<5000", "cdc_e2e_latency p(99)<10000", "cdc_success_rate rate>0.95"],
        "spike": ["cdc_e2e_latency p(95)<10000", "cdc_success_rate rate>0.9"],
        "soak": ["cdc_e2e_latency p(95)<3000", "cdc_e2e_latency p(99)<6000", "cdc_success_rate rate>0.99"],
    }


def test_toml_says_the_same(read):
    text = '[e2e-latency.t_file_latency]\np95 = 1.5\n[mixed]\n"t_file_latency{table:a}" = { p99_9 = 7, max = 9 }\n'
    assert read(text, "thresholds.toml") == {
        "e2e_latency": ["t_file_latency p(95)<1.5"],
        "mixed_workload": ["t_file_latency{table:a} p(99.9)<7", "t_file_latency{table:a} max<9"],
    }


@pytest.mark.parametrize(
    ("metric", "key", "threshold"),
    [
        ("t_file_ok", "rate", "rate>0.5"),
        ("checks", "rate", "rate>0.5"),
        ("http_req_failed", "rate", "rate<0.5"),
        ("t_file_errors", "rate", "rate<0.5"),
        ("errors", "rate", "rate<0.5"),
        ("errors_t_file", "rate", "rate>0.5"),
        ("t_file_failed_not", "rate", "rate>0.5"),
        ("t_file_errors", "count", "count<0.5"),
        ("t_file", "avg", "avg<0.5"),
        ("t_file", "med", "med<0.5"),
        ("t_file", "max", "max<0.5"),
        ("t_file", "min", "min>0.5"),
        ("t_file", "value", "value>0.5"),
        ("t_file", "p100", "p(100)<0.5"),
        ("t_file", "p99.9", "p(99.9)<0.5"),
    ],
)
def test_a_key_is_an_upper_or_a_lower_bound(read, metric, key, threshold):
    assert read({"soak": {metric: {key: 0.5}}}) == {"soak": [f"{metric} {threshold}"]}


def test_a_file_that_names_nothing_limits_nothing(read):
    assert read("{}") == {}
    assert read({"soak": {}}) == {"soak": []}


def test_all_faults_are_said_at_once(faults_of):
    found = faults_of(
        {
            "nightly": {"x": {"p95": 1}},
            "soak": 5,
            "spike": {"x": 7, "y": {}, "z": {"p95": "fast", "p99": True, "mean": 4, "p101": 1, "p0": 2}},
            "stress": {"1x": {"p95": 1}, "response_time": {"rate": 1}},
        }
    )
    assert found == [
        f"unknown profile 'nightly'; allowed: {', '.join(sorted(BUILTIN_PROFILES))}",
        "soak=5; allowed: a table of metrics",
        f"spike.x=7; allowed: a table with {ALLOWED}",
        f"spike.y={{}}; allowed: a table with {ALLOWED}",
        "spike.z.p95='fast'; allowed: a number",
        "spike.z.p99=True; allowed: a number",
        f"spike.z.mean=4; allowed keys: {ALLOWED}",
        f"spike.z.p101=1; allowed keys: {ALLOWED}",
        "spike.z.p0=2: 'p(0)' is not a valid percentile; allowed: p(N) with N above 0 and at most 100",
        "stress.1x.p95=1: '1x' is not a valid metric; "
        "allowed: a name such as 'pg_write_duration', or 'name{tag:value}'",
        "stress.response_time.rate=1: 'rate' is not an aggregate of 'response_time', which is a trend; "
        "allowed: p(N), med, avg, min, max, count",
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.json", "{", "is not a JSON file: "),
        ("t.toml", "a = ", "is not a TOML file: "),
        ("t", "{", "is not a JSON file: "),
        ("t.json", "[1]", "is not a table of profiles"),
        ("t.json", '"soak"', "is not a table of profiles"),
    ],
)
def test_what_is_no_such_file_is_refused(faults_of, name, text, words):
    (fault,) = faults_of(text, name)
    assert fault.startswith(words)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "t.json").write_bytes(b"{\n\xff}")
    with pytest.raises(ConfigError, match=r"^line 2: the byte 0xff is not UTF-8"):
        read_thresholds(tmp_path / "t.json", {"soak"})


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(ConfigError, match=r"^cannot be read: No such file or directory$"):
        read_thresholds(tmp_path / "none.json", {"soak"})
    with pytest.raises(ConfigError, match=r"^cannot be read: "):
        read_thresholds(tmp_path, {"soak"})

"""``--perf-out`` over several workers: one file of windows, and one of samples that all workers write to."""

import csv
import json

TEST = """
ORDERS = Counter("orders")

@perf(load=SharedIterations(vus=4, iterations=40))
def test_it():
    ORDERS.add(2)
"""


def test_the_samples_of_all_workers_are_in_one_file_and_windows_are_merged(project):
    project.tests(TEST)
    session = project.run("-n", "2", "--perf-run", "--perf-out=ndjson=a.json", "--perf-out=csv=a.csv")
    assert session.code == 0, session.output
    lines = [json.loads(line) for line in (project.directory / "a.json").read_text().splitlines()]
    orders = [line["data"] for line in lines if line["type"] == "Point" and line["metric"] == "orders"]
    assert [sample["value"] for sample in orders] == [2.0] * 40
    assert {sample["tags"]["worker"] for sample in orders} == {"gw0", "gw1"}
    with (project.directory / "a.csv").open(newline="") as file:
        assert sum(float(row["count"]) for row in csv.DictReader(file) if row["metric"] == "orders") == 80

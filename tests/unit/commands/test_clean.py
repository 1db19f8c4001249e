import pytest

from pytest_cdcperf.commands import main


def test_clean_is_the_option_on_external_servers(monkeypatch):
    asked = []
    monkeypatch.setattr(pytest, "main", lambda arguments: asked.append(arguments) or pytest.ExitCode.OK)
    assert main(["clean", "0a1b2c3d", "tests_perf", "more"]) == 0
    assert asked == [["tests_perf", "more", "--perf-stack=external", "--perf-clean=0a1b2c3d"]]


def test_a_wrong_session_id_ends_as_with_the_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["clean", "%"]) == pytest.ExitCode.USAGE_ERROR
    assert "'%' is not a valid session id; allowed: eight hexadecimal digits" in capsys.readouterr().err

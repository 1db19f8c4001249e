"""A process of ours does not see the secrets of the session that started it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pytest_cdcperf.interpreter import environment, python_command

TRIED = [
    "types",
    "logging",
    "email",
    "queue",
    "json",
    "random",
    "string",
    "token",
    "tokenize",
    "calendar",
    "code",
    "copy",
    "secrets",
    "select",
    "signal",
    "socket",
    "ssl",
    "statistics",
    "uuid",
    "enum",
    "re",
    "site",
    "runpy",
    "encodings",
]


def test_only_what_programs_need_is_kept_of_the_environment() -> None:
    kept = {"PATH": "/bin", "HOME": "/h", "TMPDIR": "/t", "LANG": "C", "LC_TIME": "C", "NSS_WRAPPER_PASSWD": "/p"}
    others = {
        "CI_TOKEN": "secret",
        "PGSERVICE": "x",
        "JAVA_TOOL_OPTIONS": "x",
        "CLASSPATH": "x",
        "_JAVA_OPTIONS": "x",
        "JDK_JAVA_OPTIONS": "x",
        "http_proxy": "x",
        "PYTHONWARNINGS": "error",
        "LCD": "x",
    }
    given = environment({**kept, **others, "PYTHONPATH": "/elsewhere"}, "/first")
    assert given.pop("PYTHONPATH").split(os.pathsep)[0] == str(Path("/first").absolute())
    assert given == kept


def test_a_module_runs_with_our_packages_and_the_standard_library_before_what_lies_beside_it(tmp_path: Path) -> None:
    for name in (*sys.stdlib_module_names, "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text("print('not this one', __name__)")
    (tmp_path / "psycopg.py").write_text("HERE = True")
    (tmp_path / "worker.py").write_text(f"""
import sys, psycopg
from importlib import import_module
for name in {TRIED}:
    import_module(name)
print(__name__, sys.argv[1:], psycopg.HERE, sys.prefix)
""")
    said = subprocess.run(
        python_command("worker", "a", "b c"),
        env=environment(os.environ, tmp_path),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert said == f"__main__ ['a', 'b c'] True {sys.prefix}\n"

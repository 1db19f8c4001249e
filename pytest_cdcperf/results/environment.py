"""The environment of a run: the machine, the versions, the code's commit and the CI run. Never a secret."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType

_PLUGINS = ("pytest-cdcperf", "pytest", "pytest-xdist")
_DRIVERS = ("psycopg", "pymongo", "grpcio", "pyreqwest", "requests", "uvloop")
_GIT_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Environment:
    """The machine of the process that judged the run, of which code it was, and by which versions."""

    cpu: str = ""
    """The model of its CPU."""
    cpus: int = 0
    """How many CPUs the process may use."""
    memory_mb: int | None = None
    python: str = ""
    os: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of pytest, its plugins that matter here, and the drivers that are installed."""
    commit: str | None = None
    """The git commit of the directory that the run was started in; null without a repository."""
    branch: str | None = None
    dirty: bool | None = None
    """Whether files that git knows were changed."""
    ci_url: str | None = None
    """The page of the CI run: of GitHub Actions, GitLab or Jenkins."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", MappingProxyType({**self.versions}))


@cache
def current_environment() -> Environment:
    """Return the environment of this process; it is looked up once."""
    where = Path.cwd()
    commit, branch, dirty = _git(where) if _in_repository(where) else (None, None, None)
    return Environment(
        cpu=_cpu_model(),
        cpus=_cpus(),
        memory_mb=_memory_mb(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions=_versions(),
        commit=commit,
        branch=branch,
        dirty=dirty,
        ci_url=ci_url(os.environ),
    )


def ci_url(variables: Mapping[str, str]) -> str | None:
    """Return the page of the CI run that *variables* name, None outside of CI.

    >>> ci_url({"CI_JOB_URL": "https://gitlab.example.org/shop/-/jobs/7"})
    'https://gitlab.example.org/shop/-/jobs/7'
    >>> ci_url({"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "shop/web", "GITHUB_RUN_ID": "7"})
    'https://github.com/shop/web/actions/runs/7'
    """
    server, repository, run = (variables.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    if server and repository and run:
        return f"{server}/{repository}/actions/runs/{run}"
    return variables.get("CI_JOB_URL") or variables.get("BUILD_URL") or None  # GitLab's, Jenkins'


def _in_repository(where: Path) -> bool:
    return any((directory / ".git").exists() for directory in (where, *where.parents))


def _git(where: Path) -> tuple[str | None, str | None, bool | None]:
    """Return commit, branch and whether there are changes, from one call of git; nothing where it fails."""
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(  # noqa: S603 -- arguments of ours
            command, cwd=where, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None, None, None
    lines = done.stdout.splitlines()
    heads = dict(line[2:].partition(" ")[::2] for line in lines if line.startswith("# "))
    commit, branch = heads.get("branch.oid"), heads.get("branch.head")
    return (
        None if commit == "(initial)" else commit,
        None if branch == "(detached)" else branch,
        any(not line.startswith("# ") for line in lines),
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 0


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (AttributeError, OSError, ValueError):
        return None


def _versions() -> dict[str, str]:
    found = {}
    for package in (*_PLUGINS, *_DRIVERS):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found

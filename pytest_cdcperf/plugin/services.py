"""Provides the servers of a session: the embedded stack, started at the first need, or those of the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cdcperf.cluster.messages import Serving
from pytest_cdcperf.errors import CdcperfError
from pytest_cdcperf.interpreter import standard_library_first
from pytest_cdcperf.plugin.settings import Settings
from pytest_cdcperf.servers import Services, services_from_environment
from pytest_cdcperf.text_file import read_text

if TYPE_CHECKING:
    from pytest_cdcperf.embedded.stack import EmbeddedStack


class SessionServices:
    """Opens the servers once and closes what it started.

    :param elsewhere: on a worker beside others, asks the process that has the servers
    :param on_death: called with one line on how an embedded server has ended, in a thread of the stack's
    """

    def __init__(
        self,
        settings: Settings,
        log_dir: Callable[[], Path],
        say: Callable[[str], None],
        elsewhere: Callable[[], Serving] | None = None,
        on_death: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._elsewhere = elsewhere
        self._on_death = on_death
        self._say = say
        self._log_dir = log_dir
        self._stack: EmbeddedStack | None = None
        self._services: Services | None = None
        self._versions: dict[str, str] = {}
        self._pids: tuple[int, ...] = ()

    def get(self) -> Services:
        """Return the servers, started if need be.

        :raises CdcperfError: when they cannot be had
        """
        if self._services is None:
            if self._elsewhere is not None:
                serving = self._elsewhere()
                self._services, self._versions, self._pids = serving.services, dict(serving.versions), serving.pids
            elif self._settings.external:
                self._services = services_from_environment(os.environ)
            else:
                self._services = self._start_stack()
            self._services.hide_secrets()
        return self._services

    def describe(self) -> dict[str, str]:
        """Return address and version of each server in use, without any secret."""
        if self._services is None:
            return {}
        return {"postgres": str(self._services.postgres), "mongodb": str(self._services.mongo), **self._versions}

    def found(self, server: str, version: str) -> None:
        """Note the version that an external server says it has."""
        if self._settings.external and self._services is not None:
            self._versions[server] = version
            address = self._services.postgres if server == "PostgreSQL" else self._services.mongo
            self._say(f"cdcperf: {server} {version} at {address}")

    def _where(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self._versions.items())
        return f"embedded {versions}"

    @property
    def embedded(self) -> bool:
        """Whether they are our own."""
        return not self._settings.external

    def deaths(self) -> list[str]:
        """Say in a line each how parts of the embedded stack have died."""
        if self._stack is not None:
            return self._stack.deaths()
        if self._services is None or self._elsewhere is None or self._settings.external:
            return []
        try:
            return list(self._elsewhere().deaths)
        except CdcperfError:  # that process is gone
            return []

    def server_pids(self) -> Sequence[int]:
        """The processes of the embedded servers, none without them."""
        return self._pids

    def serving(self) -> Serving:
        """Return all that a worker in another process has to know.

        :raises CdcperfError: when the servers cannot be had
        """
        return Serving(self.get(), self._versions, self._pids, tuple(self.deaths()))

    def close(self) -> None:
        """Stop the embedded stack where one was started."""
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.stop()

    def _start_stack(self) -> Services:
        with standard_library_first():
            from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig  # noqa: PLC0415  # an extra

        schema = self._settings.schema
        self._stack = EmbeddedStack.start(
            StackConfig(
                log_dir=self._log_dir(),
                schema_sql=None if schema is None else read_text(schema),
                schema_name=str(schema),
                collections=self._settings.collections,
            ),
            self._on_death,
        )
        self._versions = dict(self._stack.versions)
        self._pids = tuple(pid for part, pid in self._stack.pids.items() if part != "supervisor")
        self._say(f"cdcperf: {self._where()}")
        return self._stack.services

"""What every test gets: reproducible hypothesis runs, and no network beyond this machine."""

from __future__ import annotations

import signal
import socket

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("guerdon", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("guerdon")

LOCAL = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def only_local(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in LOCAL:
            self.close()
            raise RuntimeError(f"a test reached for {address}: tests use no network")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", only_local)


signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # programs that tests interrupt inherit what a job in the background ignores

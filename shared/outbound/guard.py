"""Where requests may go. A name is resolved once, and the connection made to the address that was checked."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Sequence

from shared.outbound.addresses import Address, AllowList, is_internal, literal
from shared.outbound.errors import OutboundRefused

# Names of this machine by RFC 6761; all others are looked up.
_LOCAL_NAMES = ("localhost", "localhost.localdomain")


class OutboundGuard:
    """Safe to share between threads."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed

    def check_literal(self, host: str) -> None:
        """Refuse a host that is internal by how it is written; nothing is looked up.

        Raises:
            OutboundRefused: it is.
        """
        name = host.lower().rstrip(".")
        address = literal(host)
        if address is not None:
            self._check(host, address)
        elif _is_local(name) and not self._allowed.has_host(name):
            raise OutboundRefused(_refusal(host, "this machine"))

    def addresses(self, host: str, port: int, *, timeout_s: float) -> list[str]:
        """The addresses that a connection to this host may be made to, in the order of the resolver.

        Raises:
            OutboundRefused: one of them is internal. OSError: there is none, or not within `timeout_s`.
        """
        found = _resolved(host, port, timeout_s)
        if not self._allowed.has_host(host.rstrip(".")):
            for address in found:
                self._check(host, address)
        return [str(address) for address in found]

    def _check(self, host: str, address: Address) -> None:
        if is_internal(address) and not self._allowed.has_address(address):
            raise OutboundRefused(_refusal(host, str(address)))


def _is_local(name: str) -> bool:
    return name in _LOCAL_NAMES or name.endswith(".localhost")


def _refusal(host: str, what: str) -> str:
    shown = host if host == what else f"{host} ({what})"
    return (
        f"{shown} is an internal address, which Kennel does not send to; "
        "name it in KENNEL_OUTBOUND_ALLOW if it is meant"
    )


def _resolved(host: str, port: int, timeout_s: float) -> Sequence[Address]:
    """All addresses of a host, each once. The resolver knows no timeout, so a thread asks it.

    Raises:
        OSError: there is none, or not within `timeout_s`.
    """
    answer: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            answer.put([str(entry[4][0]) for entry in found])
        except OSError as error:
            answer.put(error)
        except UnicodeError as error:  # a label that is empty or too long
            answer.put(OSError(str(error)))

    threading.Thread(target=ask, name="kennel-resolver", daemon=True).start()
    try:
        got = answer.get(timeout=max(timeout_s, 0.001))
    except queue.Empty:
        raise TimeoutError(f"{host} could not be resolved in time") from None
    if isinstance(got, OSError):
        raise got
    addresses = (literal(text) for text in dict.fromkeys(got))
    return [address for address in addresses if address is not None]

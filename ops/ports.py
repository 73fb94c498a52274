"""Which TCP ports can be listened on."""

from __future__ import annotations

import errno
import socket

from ops.errors import CannotStart


def is_free(host: str, port: int) -> bool:
    try:
        _bind(host, port)
    except OSError:
        return False
    return True


def free_port(host: str) -> int:
    """A port the kernel chose. It may be taken before it is used, which then shows at the start."""
    return _bind(host, 0)


def claim_port(what: str, option: str, host: str, port: int) -> int:
    """`port` if it can be listened on, or a free one for 0.

    Args:
        what: Who wants it, for the message: "API".
        option: The command-line option that changes it.

    Raises:
        CannotStart: it is in use, not allowed, or `host` is not an address of this machine.
    """
    try:
        return _bind(host, port)
    except OSError as error:
        raise CannotStart(_explain(what, option, host, port, error)) from error


def _explain(what: str, option: str, host: str, port: int, error: OSError) -> str:
    variable = f"KENNEL_{option.strip('-').upper().replace('-', '_')}"
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} for the {what} is in use; stop what uses it, or set {option} or {variable}."
    if error.errno == errno.EACCES:
        return (
            f"Port {port} for the {what} is not allowed for this user; choose one above 1023 with {option}."
        )
    return f"The {what} cannot listen on {host!r} ({error.strerror}); choose an own address with --host."


def _bind(host: str, port: int) -> int:
    """Bind and release; returns the bound port."""
    address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(address[0], address[1]) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address[4])
        bound: int = sock.getsockname()[1]
        return bound

"""Where the service may listen, and by which names it may be called."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from osler.errors import InputError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

_HOST = re.compile(r"^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(\d{1,5}))?$")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(host: str, cert: Path | None, key: Path | None) -> None:
    """Refuse an address that others can reach without TLS.

    Raises:
        InputError: the address is not loopback and certificate or key is absent (code `address`), or only one of the
            two is given, or a file is not there.
    """
    if (cert is None) != (key is None):
        raise InputError("TLS needs both --cert and --key, only one was given: name both files", "address")
    for path in (cert, key):
        if path is not None and not path.is_file():
            raise InputError(f"the TLS file '{path.name}' must exist, it does not", "address")
    if cert is None and not is_loopback(host):
        raise InputError(
            f"host must be 127.0.0.1 unless TLS is on, was '{host}': add --cert and --key, or leave --host away",
            "address",
        )


def allowed_hosts(host: str, names: tuple[str, ...]) -> frozenset[str]:
    """Host names that a request may carry: loopback names, the bound address, and the names given."""
    own = set() if host in ("0.0.0.0", "::") else {host}
    return frozenset(n.lower().strip("[]") for n in (*LOOPBACK_NAMES, *own, *names))


def split_host(header: str) -> tuple[str, str] | None:
    """Host name (without brackets) and port ("" if none) of a Host header; None if it is malformed."""
    found = _HOST.match(header.lower())
    return (found.group(1).strip("[]"), found.group(2) or "") if found else None


def same_origin(origin: str, scheme: str, host: str) -> bool:
    """Whether an Origin header names exactly the scheme, name and port that the request was sent to."""
    start = f"{scheme}://"
    if not origin.lower().startswith(start):
        return False
    default = {"http": "80", "https": "443"}[scheme]
    theirs, ours = split_host(origin[len(start) :]), split_host(host)
    if theirs is None or ours is None:
        return False
    return (theirs[0], theirs[1] or default) == (ours[0], ours[1] or default)

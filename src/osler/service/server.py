"""Starting the service: addresses are checked, the token is made, the audit file is opened, then uvicorn runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osler.errors import InputError
from osler.service.addresses import allowed_hosts, check_address


@dataclass(frozen=True)
class ServeOptions:
    """How to serve.

    Attributes:
        host: address to listen on; anything but loopback needs TLS.
        port: TCP port; 0 takes a free one.
        token_file: holds the SHA-256 of the token; made where it is not there. None makes a token for this start only.
        cert: TLS certificate chain (PEM).
        key: its private key (PEM).
        names: further host names by which the server may be called.
        audit: audit file; None is `osler.service.audit.default_file`.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()
    audit: Path | None = None


def serve(folders: Sequence[Path], options: ServeOptions, say: Callable[[str], None] = print) -> None:
    """Serve runs until interrupted.

    Args:
        say: where the address and a new token are printed, once.

    Raises:
        InputError: an unsafe address, a run that is not one, a token or audit file that cannot be used, a port in use.
        MissingExtraError: FastAPI or uvicorn is not installed.
    """
    import socket

    from osler.registry import optional

    check_address(options.host, options.cert, options.key)
    uvicorn = optional("uvicorn", "serve")
    optional("fastapi", "serve")
    listening = socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((options.host, options.port))
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {options.port} of '{options.host}' must be free, it is not: name another with --port", "address"
        ) from error
    port = listening.getsockname()[1]
    app, token = _application(folders, options, port)
    config = uvicorn.Config(app, **_settings(options))
    scheme = "http" if options.cert is None else "https"
    shown = f"[{options.host}]" if ":" in options.host else options.host
    say(f"serving on {scheme}://{shown}:{port}/")
    say(f"token (shown once): {token}" if token else f"token: the one of {options.token_file}")
    logging.getLogger("osler.service").setLevel(logging.WARNING)
    uvicorn.Server(config).run(sockets=[listening])


def _application(folders: Sequence[Path], options: ServeOptions, port: int) -> tuple[Any, str]:
    """The application, and the new token ("" if an earlier one holds)."""
    from osler.service.app import Settings, create_app
    from osler.service.audit import Audit, default_file
    from osler.service.served import open_runs
    from osler.service.tokens import token_of

    served = open_runs(folders)
    kept, token = token_of(options.token_file)
    audit = Audit(options.audit or default_file(port))
    settings = Settings(kept, allowed_hosts(options.host, options.names), options.cert is not None)
    app = create_app(served, audit, settings)
    for one in served:
        one.answers([{}])  # what is loaded on first use is loaded now
    return app, token


def _settings(options: ServeOptions) -> dict[str, Any]:
    from osler.service.protocol import BoundedProtocol

    tls = {} if options.cert is None else {"ssl_certfile": str(options.cert), "ssl_keyfile": str(options.key)}
    return {
        "http": BoundedProtocol, "ws": "none", "access_log": False, "log_level": "warning", "server_header": False,
        "date_header": False, "timeout_keep_alive": 20, "backlog": 2048, "proxy_headers": False,
        "timeout_graceful_shutdown": 10, **tls,
    }  # fmt: skip

"""`osler serve`: an HTTP API and a form page for one or more runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    runs: Annotated[
        list[Path], typer.Argument(help="run folders, or predictor folders; the first is the default model")
    ],
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one")] = 8000,
    host: Annotated[
        str, typer.Option(help="address to listen on; anything but loopback needs --cert and --key")
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None, typer.Option(help="file with the SHA-256 of the token; made where it is not there")
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="TLS certificate chain (PEM)")] = None,
    key: Annotated[Path | None, typer.Option(help="TLS private key (PEM)")] = None,
    name: Annotated[list[str], typer.Option(help="further host name of this server (may be repeated)")] = [],  # noqa: B006
    audit: Annotated[Path | None, typer.Option(help="audit file; one line per prediction, without values")] = None,
) -> int:
    """Predictions over HTTP, with a form page to try the model by hand. Every call needs the token printed at the
    start.

    Example: osler serve runs/heart --port 8000
    """
    from osler.service.server import ServeOptions
    from osler.service.server import serve as start

    start(
        runs, ServeOptions(host, port, token_file, cert, key, tuple(name), audit), lambda text: print(text, flush=True)
    )
    return 0

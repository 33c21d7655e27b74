"""`osler pacs`: receive DICOM objects, send them, ask an archive what it holds, and fetch it."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

pacs = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False, help=(
    "Receive DICOM objects from named callers, send them, ask an archive what it holds, and fetch it.\n\n"
    "Example: osler pacs query ORTHANC@127.0.0.1:4242 --where PatientID=MRN4711"
))  # fmt: skip

Address = Annotated[str, typer.Argument(help="the other node, as TITLE@HOST:PORT")]
Archive = Annotated[str, typer.Argument(help="the archive, as TITLE@HOST:PORT or https://HOST/dicom-web")]
Credentials = Annotated[Path | None, typer.Option(help="file with USER:PASSWORD or a token (DICOMweb)")]
Called = Annotated[str, typer.Option(help="title of the other node, if the address has none")]
Title = Annotated[str, typer.Option(help="own application entity title")]
Authority = Annotated[Path | None, typer.Option(help="who has signed the other's certificate (PEM): turns TLS on")]
Cert = Annotated[Path | None, typer.Option(help="own TLS certificate chain (PEM)")]
Key = Annotated[Path | None, typer.Option(help="own TLS private key (PEM)")]
Quota = Annotated[float, typer.Option(help="most GiB in the folder")]


@pacs.command()
def listen(
    folder: Annotated[Path, typer.Argument(help="folder that receives")],
    title: Title = "OSLER",
    allow: Annotated[list[str], typer.Option(help="title that may send here (may be repeated)")] = [],  # noqa: B006
    host: Annotated[str, typer.Option(help="address to listen on; others than 127.0.0.1 need TLS")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 takes a free one")] = 11112,
    web_port: Annotated[int | None, typer.Option(help="port of STOW-RS (objects over HTTP) besides; 0 takes a free one")] = None,
    token_file: Annotated[Path | None, typer.Option(help="file with the SHA-256 of its token; made where it is not there")] = None,
    quota: Quota = 100.0,
    settle: Annotated[float, typer.Option(help="seconds without a new object after which a study is complete and queued; 0 queues nothing")] = 0.0,
    then: Annotated[Path | None, typer.Option(help="run or predictor that answers each complete study")] = None,
    to: Annotated[str, typer.Option(help="archive that gets the answers, as TITLE@HOST:PORT or https://HOST/dicom-web")] = "",
    heat: Annotated[bool, typer.Option("--heat", help="draw and send heat maps too")] = False,
    cert: Cert = None,
    key: Key = None,
    authority: Authority = None,
    credentials: Credentials = None,
) -> int:
    """Receive DICOM objects from named callers; what was acknowledged is safe on disk. With --then each complete study is answered.

    Example: osler pacs listen inbox --allow SCANNER1 --port 11112

    Example: osler pacs listen inbox --allow SCANNER1 --then runs/pneumonia --to ORTHANC@127.0.0.1:4242
    """
    from osler.adapters.imaging.dicom_net import Node
    from osler.errors import OptionError
    from osler.service import dicom_archive, dicom_node
    from osler.service.tokens import token_of

    if (then is None) != (not to) or not 0 <= settle < 1e6:
        raise OptionError("--then needs --to, --to needs --then, and --settle a number of seconds, one is missing: name run and archive together")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    work = None
    if then is not None or settle:
        from osler.service import dicom_work

        archive = dicom_archive.opened(to, "ANY-SCP", title, authority, credentials) if to else None
        asked = dicom_work.Work(then, archive, settle or 30.0, heat, lambda line: print(line, flush=True))
        work = lambda inbox: dicom_work.work(inbox, folder, asked, stop)  # noqa: E731
    web = None
    if web_port is not None:
        known, new = token_of(token_file)
        scheme = "https" if cert else "http"
        web = web_port, known, lambda port: print(f"STOW-RS at {scheme}://{host}:{port}" + (f", token {new}" if new else ""), flush=True)
    node = Node(title, tuple(allow), host, port)
    dicom_node.listen(
        folder, node, _bytes(quota), (cert, key), lambda port: print(f"listening on {host}:{port}", flush=True), stop, work, web
    )
    return 0


@pacs.command()
def echo(address: Address, title: Title = "OSLER", called: Called = "ANY-SCP", authority: Authority = None) -> int:
    """Ask whether a node is there and answers this caller.

    Example: osler pacs echo ORTHANC@127.0.0.1:4242
    """
    from osler.adapters.imaging import dicom_net
    from osler.service import dicom_node

    dicom_net.echo(dicom_node.peer_of(address, called, title), dicom_node.client_side(authority))
    print("the node answers")
    return 0


@pacs.command()
def send(
    address: Archive,
    folder: Annotated[Path, typer.Argument(help="folder of DICOM files")],
    title: Title = "OSLER",
    called: Called = "ANY-SCP",
    authority: Authority = None,
    credentials: Credentials = None,
) -> int:
    """Send the DICOM files of a folder and below, by C-STORE or STOW-RS; exit code 1 if one was not taken.

    Example: osler pacs send ORTHANC@127.0.0.1:4242 scans-deid

    Example: osler pacs send https://pacs.example/dicom-web scans-deid --credentials pacs.token
    """
    from osler.cli import show_archive
    from osler.errors import OptionError
    from osler.service import dicom_archive

    archive = dicom_archive.opened(address, called, title, authority, credentials)
    if not folder.is_dir():
        raise OptionError("send needs a folder of DICOM files, none has this name: give it after the address")
    return show_archive.sent(archive.send(sorted(p for p in folder.rglob("*") if p.is_file())))


@pacs.command()
def query(
    address: Archive,
    level: Annotated[str, typer.Option(help="study, series or instance")] = "study",
    where: Annotated[list[str], typer.Option(help="KEYWORD=VALUE that must match, * and ? for any letters (may be repeated)")] = [],  # noqa: B006
    study: Annotated[str, typer.Option(help="StudyInstanceUID to ask within")] = "",
    series: Annotated[str, typer.Option(help="SeriesInstanceUID to ask within")] = "",
    most: Annotated[int, typer.Option(help="rows at most")] = 10_000,
    out: Annotated[Path | None, typer.Option(help=".csv or .parquet file; it holds patients' values")] = None,
    title: Title = "OSLER",
    called: Called = "ANY-SCP",
    authority: Authority = None,
    credentials: Credentials = None,
) -> int:
    """Ask an archive which studies, series or objects it holds; exit code 1 if none matches.

    Example: osler pacs query ORTHANC@127.0.0.1:4242 --where StudyDate=20260101-20261231 --where ModalitiesInStudy=CT

    Example: osler pacs query https://pacs.example/dicom-web --level series --where PatientID=MRN4711 --out series.csv
    """
    from osler.adapters.imaging.dicom_query import Question
    from osler.cli import show_archive
    from osler.service import dicom_archive

    asked = Question(level, dicom_archive.conditions(where), study, series, most)
    archive = dicom_archive.opened(address, called, title, authority, credentials)
    rows = archive.find(asked)
    show_archive.rows(rows, asked.columns, out)
    return 0 if rows else 1


@pacs.command()
def fetch(
    address: Archive,
    folder: Annotated[Path, typer.Argument(help="folder that receives, one folder per series")],
    study: Annotated[list[str], typer.Option(help="StudyInstanceUID to fetch (may be repeated)")] = [],  # noqa: B006
    series: Annotated[str, typer.Option(help="SeriesInstanceUID, if only one series of the study is wanted")] = "",
    where: Annotated[list[str], typer.Option(help="KEYWORD=VALUE that a study must match (may be repeated)")] = [],  # noqa: B006
    found: Annotated[Path | None, typer.Option(help="table of `osler pacs query` whose studies or series are fetched")] = None,
    by: Annotated[str, typer.Option(help="get (over the own connection) or move (the archive connects to --host and --port)")] = "get",
    host: Annotated[str, typer.Option(help="address to listen on (move); others than 127.0.0.1 need TLS")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on (move); the archive must know it")] = 11112,
    quota: Quota = 100.0,
    title: Title = "OSLER",
    called: Called = "ANY-SCP",
    authority: Authority = None,
    credentials: Credentials = None,
    cert: Cert = None,
    key: Key = None,
) -> int:
    """Fetch series into a folder; the same command again fetches what is missing, and nothing twice. Exit code 1 if something is missing.

    Example: osler pacs fetch ORTHANC@127.0.0.1:4242 scans --study 1.2.826.0.1.3680043.10.99.1

    Example: osler pacs fetch ORTHANC@127.0.0.1:4242 scans --found series.csv --by move --port 11112
    """
    from osler.adapters.imaging.dicom_folder import SeriesFolder
    from osler.cli import show_archive
    from osler.service import dicom_archive

    way = dicom_archive.Way(by, host, port, (cert, key))
    archive = dicom_archive.opened(address, called, title, authority, credentials)
    rows = dicom_archive.series_of(archive, study, series, dicom_archive.conditions(where), found)
    return show_archive.fetched(archive.fetch(rows, SeriesFolder(folder, _bytes(quota)), way))


@pacs.command()
def results(
    series: Annotated[str, typer.Argument(help="folder of the series (FOLDER#UID of one among several), or a DICOM picture")],
    mask: Annotated[str, typer.Option(help="mask on its voxels (NIfTI, NRRD, DICOM-SEG): a DICOM segmentation and its measurements")] = "",
    meaning: Annotated[list[str], typer.Option(help="LABEL=NAME or LABEL=SCHEME:VALUE:MEANING of the mask (may be repeated)")] = [],  # noqa: B006
    finding: Annotated[list[str], typer.Option(help="NAME=PROBABILITY of the whole series (may be repeated)")] = [],  # noqa: B006
    heat: Annotated[str, typer.Option(help="heat map on its voxels, 0 to 1: a drawing over the series")] = "",
    out: Annotated[Path | None, typer.Option(help="folder for the objects")] = None,
    to: Annotated[str, typer.Option(help="archive that gets them, as TITLE@HOST:PORT or https://HOST/dicom-web")] = "",
    title: Title = "OSLER",
    authority: Authority = None,
    credentials: Credentials = None,
) -> int:
    """Results as DICOM: a segmentation, a measurement report (TID 1500) and a drawn heat map, written and sent.

    Example: osler pacs results scans/ct --mask tumour.nii.gz --meaning 1=tumour --to ORTHANC@127.0.0.1:4242

    Example: osler pacs results chest.dcm --finding pneumonia=0.83 --out results
    """
    import tempfile

    from osler.cli import show_archive
    from osler.errors import OptionError
    from osler.service import dicom_answers, dicom_archive

    if out is None and not to:
        raise OptionError("results must go somewhere, nothing was named: give --out FOLDER or --to NODE")
    archive = dicom_archive.opened(to, "ANY-SCP", title, authority, credentials) if to else None
    made = dicom_answers.objects(*dicom_answers.read_answer(series, mask, heat, meaning, finding))
    with tempfile.TemporaryDirectory() as kept:
        paths = dicom_answers.write(made, out or Path(kept))
        show_archive.made(made, paths if out else [])
        return show_archive.sent(archive.send(paths)) if archive is not None else 0


def _bytes(gib: float) -> int:
    """Bytes of a number of GiB.

    Raises:
        OptionError: it is not above 0.
    """
    from osler.errors import OptionError

    if not 0 < gib < 1e9:
        raise OptionError(f"option 'quota' must be above 0, was {gib:g}: give the most GiB that the folder may hold")
    return int(gib * (1 << 30))



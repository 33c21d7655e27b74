"""The command line: one command per file, loaded only when it is called."""

from __future__ import annotations

import sys

from osler.errors import OslerError, nearest

#: Command → ("module:function", one line of help). Instruments follow on their own from `osler.instruments.INDEX`.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("osler.cli.demo:demo", "run the main job on data that comes with the install"),
    "look": ("osler.cli.look:look", "show what Osler sees in a table: columns, roles, findings"),
    "fit": ("osler.cli.fit:fit", "learn from a table, with a report and a certificate that nothing leaked"),
    "verify": ("osler.cli.verify:verify", "recompute a run's certificate; exit 1 on a violation"),
    "predict": ("osler.cli.predict:predict", "answer for new rows"),
    "evaluate": ("osler.cli.evaluate:evaluate", "external validation of a run, or of anyone's predictions.csv"),
    "screen": ("osler.cli.screen:screen", "a funnel over a library of molecules: filters, models, a diverse choice"),
    "next": ("osler.cli.next:propose_next", "molecules to make or measure next: worth, diversity and the reason of each"),
    "admet": ("osler.cli.admet:admet", "ADMET profile of a molecule from your own runs, rules and alerts"),
    "repurpose": ("osler.cli.repurpose:repurpose", "known drugs ranked for an indication, for research"),
    "targets": ("osler.cli.targets:targets", "targets that a molecule may bind, by known ligands"),
    "explain": ("osler.cli.explain:explain", "why: attributions, importances, counterfactuals"),
    "view": ("osler.cli.view:view", "a page that shows a scan with mask, heat map and surface, nothing fetched"),
    "report": ("osler.cli.report:report", "write report.html, card.md and the TRIPOD+AI table again"),
    "generate": ("osler.cli.generate:generate", "new molecules from a generator trained on a library"),
    "optimise": ("osler.cli.optimise:optimise", "molecules made better by your own runs, from a lead or from nothing"),
    "export": ("osler.cli.export:export", "write a predictor as ONNX or as an MLflow model"),
    "serve": ("osler.cli.serve:serve", "HTTP API and a form page for one or more runs"),
    "deid": ("osler.cli.deid:deid", "DICOM files without the people in them: PS3.15 profile, report, quarantine"),
    "pacs": ("osler.cli.pacs:pacs", "receive DICOM, ask an archive, fetch and send, by DIMSE or DICOMweb"),
    "data": ("osler.cli.data:data", "the catalogue of public data sets"),
    "doctor": ("osler.cli.doctor:doctor", "versions, extras, devices, what works here"),
}

#: Instrument → one line of help, repeated here so that `osler --help` loads no instrument (a test keeps it true).
INSTRUMENTS: dict[str, str] = {
    "cluster": "groups of similar rows, with stability, or the answer that there are none",
    "reduce": "a few dimensions that keep the most: PCA or UMAP",
    "rules": "what goes with what: association rules with intervals and false-discovery control",
    "missing": "which cells are missing, together and where",
    "tableone": "the table of characteristics by group",
    "dock": "dock molecules into a protein structure, with checks and contacts of every pose",
    "measure": "size, shape and intensities of marked regions of scans, and their growth",
    "mesh": "surfaces of marked regions as STL, OBJ, PLY or GLB",
    "quality": "noise, blur, motion, cut and clipped scans, with a contact sheet",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns (and exits with) 0 done, 1 the answer is no or Osler's own fault, 2 the user's input."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    args = [a for a in args if a != "--debug"]
    _quiet()
    try:
        code = _dispatch(args)
    except OslerError as error:
        _trace(error, debug)
        print(f"osler: {error.message} [{error.code}]", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("osler: stopped; the same command continues from what is finished", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        code = 0
    except BaseException as error:
        if isinstance(error, (SystemExit, GeneratorExit)):
            raise
        code = _failed(error, debug)
    if argv is None:
        sys.exit(code)
    return code


def _failed(error: BaseException, debug: bool) -> int:
    """One sentence for what Osler did not foresee: the machine (no space, no permission) or a fault of its own."""
    _trace(error, debug)
    if isinstance(error, OSError):
        import os

        where = f" '{os.path.basename(str(error.filename))}'" if error.filename else ""
        why = os.strerror(error.errno).lower() if error.errno else "no reason given"
        print(
            f"osler: the system refused to read or write{where} ({why}): free space or name another place [system]",
            file=sys.stderr,
        )
        return 2
    kind = type(error).__name__
    print(
        f"osler: this is Osler's own fault ({kind}); run again with --debug and report it [internal]", file=sys.stderr
    )
    return 1


def _trace(error: BaseException, debug: bool) -> None:
    if debug:
        from osler.cli.trace import scrubbed

        print(scrubbed(error), file=sys.stderr)


def _quiet() -> None:
    """Warnings of other libraries may quote cells: only their kind is shown."""
    import warnings

    def show(message: object, category: type[Warning], *rest: object) -> None:
        if category.__name__ not in ("DeprecationWarning", "FutureWarning", "PendingDeprecationWarning"):
            print(f"osler: a library warned ({category.__name__})", file=sys.stderr)

    warnings.showwarning = show


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if args[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"osler {version('osler')}")
        return 0
    name = args[0]
    if name not in COMMANDS and name not in INSTRUMENTS:
        from osler.errors import OptionError

        raise OptionError(
            f"command must be one that Osler has, was '{name}': {nearest(name, [*COMMANDS, *INSTRUMENTS])}"
        )
    return _call(name, args[1:])


def _call(name: str, args: list[str]) -> int:
    import typer

    from osler.registry import load

    if name in COMMANDS:
        function = load({name: COMMANDS[name][0]}, "commands", name)
    else:
        from osler.cli.instrument import command_of

        function = command_of(name)
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)
    if isinstance(function, typer.Typer):
        app = function
    else:
        app.command(name)(function)
    command = typer.main.get_command(app)
    try:
        result = command.main(args, prog_name=f"osler {name}", standalone_mode=False)
    except Exception as error:
        shown = getattr(error, "format_message", None)
        if shown is None:
            raise
        print(f"osler {name}: {shown()} (see: osler {name} --help)", file=sys.stderr)
        return 2
    if result == 130:  # how typer reports Ctrl-C
        raise KeyboardInterrupt
    return int(result) if isinstance(result, int) else 0


def _help() -> str:
    width = max(len(n) for n in [*COMMANDS, *INSTRUMENTS])
    lines = [
        "Osler: from a table with typed columns to a model, an honest report and a service.",
        "", "Usage: osler COMMAND [OPTIONS]      osler COMMAND --help shows options and an example",
        "       add --debug to any command for the full traceback of an error", "", "Commands:",
        *[f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()],
        "", "Instruments:",
        *[f"  {name:<{width}}  {text}" for name, text in INSTRUMENTS.items()],
        "", "Example: osler fit patients.csv --target died --unit patient_id --out runs/first",
    ]  # fmt: skip
    return "\n".join(lines)

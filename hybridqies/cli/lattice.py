"""`hybridqies lattice`: the kicked Ising experiment on processors of 127 to 1,121 qubits."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import InterruptionError, say, say_json, show, steps
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.options import parse

if TYPE_CHECKING:
    from hybridqies.study.lattice_scan import LatticePlan

_PLAN = ("device", "theta", "steps_", "chi", "site")


def command(
    context: typer.Context,
    device: Annotated[
        str,
        typer.Option(
            help="eagle, osprey, condor, infinite, or a lattice such as square:6x6 or a file of edges."
        ),
    ] = "eagle",
    theta: Annotated[str, typer.Option(help="Angles of the kick in radians, separated by commas.")] = "0.6",
    steps_: Annotated[str, typer.Option("--steps", help="Numbers of steps, separated by commas.")] = "5",
    chi: Annotated[str, typer.Option(help="Largest bonds, separated by commas.")] = "8,16,32",
    site: Annotated[
        int | None, typer.Option(help="The site that is read by itself. Default: a central one, 62 of eagle.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder of the scan.")] = Path("runs/lattice"),
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the scan in --out. Several commands may do so at once."),
    ] = False,
    json: flags.AsJson = False,
) -> None:
    """Simulate kicks and Ising couplings on a lattice of qubits, for one χ after the other.

    Example: `hybridqies lattice --device eagle --theta 0.6 --steps 5 --chi 8,16,32`
    """
    from hybridqies.report.lattices import lattice_notes, lattice_table, write_lattice_plots
    from hybridqies.study.lattice_scan import PointJournal, recorded_plan, run_scan

    if resume:
        _check_alone(context)
        plan = recorded_plan(out)
    else:
        plan = _plan(device, theta, steps_, chi, site)
    try:
        with steps(json) as shown:
            result = run_scan(plan, out, resume=resume, on_point=shown.begin, on_round=shown.update)
    except KeyboardInterrupt:
        if PointJournal(out).state().about is None:
            raise
        again = f"hybridqies lattice --resume --out {shlex.quote(str(out))}"
        raise InterruptionError(f"interrupted; continue with: {again}") from None
    pictures = write_lattice_plots(result, out)
    if json:
        say_json(result)
        return
    show(lattice_table(result))
    for note in lattice_notes(result):
        say(note)
    say(f"Saved in {out}/: points.jsonl, lattice.json, {', '.join(each.name for each in pictures)}.")


def _plan(device: str, theta: str, steps_: str, chi: str, site: int | None) -> LatticePlan:
    from hybridqies.circuit.lattices import is_lattice
    from hybridqies.study.lattice_scan import DEVICES, LatticePlan

    if device not in DEVICES and not is_lattice(device):
        raise UnknownNameError("device", device, DEVICES, todo="or give a lattice such as square:6x6")
    return LatticePlan(
        DEVICES.get(device, device),
        parse(theta, tuple[float, ...], "--theta"),
        parse(steps_, tuple[int, ...], "--steps"),
        parse(chi, tuple[int, ...], "--chi"),
        site,
    )


def _check_alone(context: typer.Context) -> None:
    """Refuses flags that decide the scan beside --resume."""
    for name in _PLAN:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise InputError(
                f"--resume was given together with --{name.rstrip('_')}",
                expected="--resume alone: the scan in --out decides",
            )

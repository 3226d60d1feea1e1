"""`hybridqies parity`: the Quantization Model on multitask sparse parity."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import InterruptionError, say, say_json, show, steps
from hybridqies.options import parse

_FREE_WITH_RESUME = {"out", "resume", "json"}


def command(
    context: typer.Context,
    widths: Annotated[
        str, typer.Option(help="Widths of the hidden layer, separated by commas. All rows are new to them.")
    ] = "8,16,32,64,128,256",
    samples: Annotated[
        str, typer.Option(help="Numbers of rows on which the largest net is trained as well, or none.")
    ] = "none",
    tasks: Annotated[int, typer.Option(help="Number of tasks (quanta).")] = 50,
    bits: Annotated[int, typer.Option(help="Number of bits.")] = 24,
    relevant: Annotated[int, typer.Option(help="Number of bits whose parity is the label of a task.")] = 3,
    alpha: Annotated[float, typer.Option(help="Task k is drawn in proportion to k^−(alpha + 1).")] = 0.4,
    steps_: Annotated[int, typer.Option("--steps", help="Steps of Adam.")] = 5000,
    batch_size: Annotated[int, typer.Option(help="Rows of a step.")] = 1000,
    learning_rate: Annotated[float, typer.Option("--lr", help="Adam's learning rate.")] = 0.01,
    seed: Annotated[int, typer.Option(help="Seed of the tasks, the rows and the nets.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder of the result.")] = Path("runs/parity"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    json: flags.AsJson = False,
) -> None:
    """Train nets on sparse parities of unequal frequency, and say when each is learnt.

    Example: `hybridqies parity --widths 32,128,256 --out runs/parity`
    """
    from hybridqies.figures import save
    from hybridqies.files import write_text
    from hybridqies.ownership import FolderLock
    from hybridqies.parity import ParityPlan, ParityProblem, ParityTraining, read_parity, run_parity
    from hybridqies.report.parity import draw_parity, losses_csv, parity_table

    path = out / "parity.json"
    if resume:
        flags.check_resumed_alone(context, _FREE_WITH_RESUME)
        plan, _ = read_parity(path)
    else:
        plan = ParityPlan(
            ParityProblem(tasks, bits, relevant, alpha, seed),
            ParityTraining(steps_, batch_size, learning_rate, seed=seed),
            parse(widths, tuple[int, ...], "--widths"),
            parse(samples, tuple[int, ...], "--samples"),
        )
    try:
        with steps(json) as shown, FolderLock(out):
            record = run_parity(plan, path=path, resume=resume, on_net=shown.begin, on_step=shown.update)
    except KeyboardInterrupt:
        again = f"; continue with: hybridqies parity --resume --out {shlex.quote(str(out))}"
        raise InterruptionError(f"interrupted{again if path.is_file() else ''}") from None
    save(draw_parity(record), out / "parity.png")
    write_text(out / "losses.csv", losses_csv(record))
    if json:
        say_json(record)
        return
    show(parity_table(record))
    say(f"Saved in {out}/: parity.json, losses.csv, parity.png.")

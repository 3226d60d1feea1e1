"""`hybridqies lm analyse`, `probe`, `benchmark` and `cost`: what language models do, learn and take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import say, say_json, show, steps

Run = Annotated[Path, typer.Argument(help="The folder of `lm train`, or of a saved language model.")]


def analyse(
    run: Run,
    text: Annotated[
        str | None, typer.Option(help="A UTF-8 file. Default: the test part of the text of the run.")
    ] = None,
    windows: Annotated[int, typer.Option(help="How many windows of the text to read.", min=2)] = 64,
    sentence: Annotated[
        list[str] | None,
        typer.Option(
            help="A sentence to draw; may be repeated. Default: two of the text.", metavar="SENTENCE"
        ),
    ] = None,
    replacement: Annotated[
        str, typer.Option(help="What an ablated stride adds: its mean over the text, or zero.")
    ] = "mean",
    device: flags.Device = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="The folder of the record and pictures. Default: RUN/analysis.")
    ] = None,
    json: flags.AsJson = False,
) -> None:
    """Analyse mixing layers: entanglement before and after training, correlation with the loss, ablations.

    Example: `hybridqies lm analyse runs/entangled --windows 64`
    """
    from hybridqies.analysis import Replacement
    from hybridqies.options import parse
    from hybridqies.report.language_analysis import analysis_tables
    from hybridqies.report.language_pictures import write_analysis_pictures
    from hybridqies.runs.language_analysis import ANALYSIS, analyse_language_model

    target = run / "analysis" if out is None else out
    record = analyse_language_model(
        run,
        target,
        text=text,
        n_windows=windows,
        sentences=sentence or (),
        replacement=parse(replacement, Replacement, "--replacement"),
        device=device,
    )
    pictures = write_analysis_pictures(record, target)
    if json:
        say_json(record)
        return
    for table in analysis_tables(record):
        show(table)
    say(f"Saved in {target}/: {', '.join([ANALYSIS, *(path.name for path in pictures)])}.")


def probe(
    probes: Annotated[
        str,
        typer.Option(
            help="Kinds with a number each, separated by commas: copy-9, induction-8, brackets-4, recall-4."
        ),
    ] = "copy-9,copy-12,induction-8,brackets-4,recall-4",
    arms: Annotated[str, typer.Option(help="Arms, separated by commas.")] = "real,tap,entangled",
    sizes: Annotated[str, typer.Option(help="Sizes of a plain decoder, separated by commas.")] = "16k,65k",
    seeds: Annotated[int, typer.Option(help="Number of seeds.")] = 1,
    steps_: Annotated[int, typer.Option("--steps", help="Steps of each training.")] = 500,
    batch_size: Annotated[int, typer.Option(help="New sequences in a step.")] = 32,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 0.005,
    sequences: Annotated[int, typer.Option(help="Sequences to measure on.")] = 1000,
    device: flags.Device = "cpu",
    out: Annotated[Path, typer.Option(help="The folder of the record and picture.")] = Path("runs/probes"),
    json: flags.AsJson = False,
) -> None:
    """Train decoders of several arms and sizes on synthetic probes, and say how often they are right.

    A run that was interrupted goes on when it is started again.

    Example: `hybridqies lm probe --probes copy-9,recall-4 --sizes 16k,65k`
    """
    from hybridqies.figures import save
    from hybridqies.options import parse
    from hybridqies.probes import ProbePlan
    from hybridqies.report.probes import draw_probes, probe_table
    from hybridqies.runs.probing import PROBES, probe_language_models

    plan = ProbePlan(
        parse(probes, tuple[str, ...], "--probes"),
        parse(arms, tuple[str, ...], "--arms"),
        parse(sizes, tuple[str, ...], "--sizes"),
        seeds,
        steps_,
        batch_size,
        lr,
        sequences,
    )
    with steps(json) as shown:
        record = probe_language_models(plan, out, on_cell=shown.begin, on_step=shown.update, device=device)
    save(draw_probes(record), out / "probes.png")
    if json:
        say_json(record)
        return
    show(probe_table(record))
    say(f"Saved in {out}/: {PROBES}, probes.png.")


def benchmark(
    run: Run,
    tasks: Annotated[
        str,
        typer.Option(
            help="Tasks of lm-eval, separated by commas: hellaswag, piqa, … need the hub; "
            "shakespeare-choice, shakespeare-passages and shakespeare-lines come with the package."
        ),
    ] = "shakespeare-choice,shakespeare-passages",
    include: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of YAML files of tasks of your own; may be repeated.", metavar="FOLDER"),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="The most documents of a task.", min=1)] = None,
    shots: Annotated[int | None, typer.Option(help="Examples before each document.", min=0)] = None,
    device: flags.Device = "cpu",
    json: flags.AsJson = False,
) -> None:
    """Run tasks of lm-eval on a trained language model.

    Example: `hybridqies lm benchmark runs/entangled --tasks hellaswag,piqa --limit 200`
    """
    from hybridqies.harness import benchmark_language_model
    from hybridqies.options import parse
    from hybridqies.report.language import benchmark_table

    names = parse(tasks, tuple[str, ...], "--tasks")
    record = benchmark_language_model(run, names, include or (), limit=limit, shots=shots, device=device)
    if json:
        say_json(record)
    else:
        show(benchmark_table(record))


def cost(
    arms: Annotated[str, typer.Option(help="Arms, separated by commas.")] = "real,tap,entangled,complex",
    size: Annotated[str, typer.Option(help="Parameters of a plain decoder of the same shape.")] = "65k",
    window: Annotated[int, typer.Option(help="Tokens that the model sees at once.")] = 128,
    vocabulary: Annotated[int, typer.Option(help="Different tokens.")] = 65,
    batch_size: Annotated[int, typer.Option(help="Windows in a step.", min=1)] = 8,
    rounds: Annotated[int, typer.Option(help="How often each is timed; the median counts.", min=1)] = 5,
    device: flags.Device = "cpu",
    json: flags.AsJson = False,
) -> None:
    """Measure what arms cost: parameters, operations, memory, and the time of training, reading and writing.

    Example: `hybridqies lm cost --arms real,tap,entangled --size 65k`
    """
    from hybridqies.analysis import measure_costs
    from hybridqies.lm import config_of_arm, read_size
    from hybridqies.options import parse
    from hybridqies.report.language import cost_table

    names = parse(arms, tuple[str, ...], "--arms")
    configs = {name: config_of_arm(name, read_size(size), vocabulary, window) for name in names}
    rows = measure_costs(configs, batch_size=batch_size, rounds=rounds, device=device)
    record = {"size": size, "window": window, "batch_size": batch_size, "rounds": rounds, "device": device}
    record["rows"] = rows
    if json:
        say_json(record)
    else:
        show(cost_table(record))

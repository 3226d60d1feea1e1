"""`hybridqies export`: the encoder of a run, with what tuning has made of it, as a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import say, say_json


def command(
    run: flags.Run,
    out: Annotated[Path, typer.Argument(help="The folder to write, which must be new.")],
    json: flags.AsJson = False,
) -> None:
    """Write the tuned encoder of a run as an ordinary sentence-transformers folder, without its head.

    Example: `hybridqies export runs/reviews encoders/reviews`

    An adapter is merged into the weights, so the folder needs neither peft nor this package.
    """
    from hybridqies.saved_model import load_model
    from hybridqies.tuning.files import export_encoder

    encoder = load_model(run, backend="statevector").encoder
    export_encoder(encoder, out)
    if json:
        say_json({"run": str(run), "out": str(out), "fingerprint": encoder.fingerprint})
    else:
        say(f"The encoder of {run} is in {out}/: load it with SentenceTransformer({str(out)!r}).")

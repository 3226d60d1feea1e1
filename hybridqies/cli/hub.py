"""`hybridqies hub`: models published on the Hugging Face Hub, and fetched from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import say, say_json
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_Repository = Annotated[str, typer.Argument(help="owner/name, as in me/spam-filter.")]
_Revision = Annotated[str | None, typer.Option(help="A branch. For pull also a tag or a commit.")]
_License = Annotated[str | None, typer.Option("--license", help="The model's licence, such as apache-2.0.")]
_Hashes = Annotated[
    bool,
    typer.Option(
        "--text-hashes",
        help="Publish the hashes of the training texts, too: anybody can then test whether a text is one.",
    ),
]


def push(
    run: flags.Run,
    repository: _Repository,
    private: Annotated[
        bool | None,
        typer.Option("--private/--public", help="Of a new repository. Default: the owner's own setting."),
    ] = None,
    revision: _Revision = None,
    license_name: _License = None,
    text_hashes: _Hashes = False,
    json: flags.AsJson = False,
) -> None:
    """Upload a finished run's model with its card: results, classical rivals and pictures of the circuits.

    Example: `hybridqies hub push runs/demo me/spam-filter --private --license apache-2.0`

    The token is the one of `hf auth login`, or HF_TOKEN. `hub stage` shows beforehand what is sent.
    """
    from hybridqies.hub import publish

    address = publish(
        run,
        repository,
        _results(run),
        license_name=license_name,
        text_hashes=text_hashes,
        private=private,
        revision=revision,
    )
    if json:
        say_json({"repository": repository, "commit": address})
    else:
        say(f"Pushed to {address}.")


def stage(
    run: flags.Run,
    repository: _Repository,
    out: Annotated[Path, typer.Option(help="A new folder for what would be uploaded.")],
    license_name: _License = None,
    text_hashes: _Hashes = False,
    json: flags.AsJson = False,
) -> None:
    """Write what `push` would upload into a folder, and send nothing.

    Example: `hybridqies hub stage runs/demo me/spam-filter --out to-publish`
    """
    from hybridqies.hub import stage as write
    from hybridqies.hub.repository import check_repository

    check_repository(repository)
    _refuse_occupied(out)
    write(run, out, repository, _results(run), license_name=license_name, text_hashes=text_hashes)
    _tell(out, json, "Wrote")


def pull(
    repository: _Repository,
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    revision: _Revision = None,
    json: flags.AsJson = False,
) -> None:
    """Download a model into a folder, from which every command reads it.

    Example: `hybridqies hub pull me/spam-filter --out spam-filter`
    """
    from hybridqies.hub import download
    from hybridqies.hub.publication import CARD, MODEL_FILES
    from hybridqies.saved_model import check_weights, read_config

    _refuse_occupied(out)
    found = download(repository, (*MODEL_FILES, CARD), revision=revision)
    check_weights(found, read_config(found)["model"])
    _copy(found, out)
    _tell(out, json, "Downloaded")


def group() -> typer.Typer:
    """The commands of `hub`."""
    app = typer.Typer(
        help="Models on the Hugging Face Hub.", no_args_is_help=True, rich_markup_mode="markdown"
    )
    for command in (push, stage, pull):
        app.command(command.__name__)(command)
    return app


def _results(run: Path) -> Sequence[dict[str, Any]]:
    """The results of a run and its rivals, its own first; none for a model that no run trained."""
    from hybridqies.runs.folder import COMPARISON, RESULT, check_files, read_result

    if not (run / RESULT).is_file():
        return []
    own = read_result(run)
    check_files(run, own)
    if not (run / COMPARISON).is_file():
        return [own]
    from hybridqies.records import read_record

    compared = read_record(run / COMPARISON, needed={"results": list}, what="comparison")["results"]
    return [own, *(each for each in compared if each["head"] != own["head"])]


def _copy(source: Path, out: Path) -> None:
    """Copies a folder's files, the configuration last: a folder without one is no model yet."""
    from hybridqies.files import write_bytes
    from hybridqies.saved_model import CONFIG

    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir(), key=lambda each: each.name == CONFIG):
        if path.is_file():
            write_bytes(out / path.name, path.read_bytes())


def _refuse_occupied(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{str(out)!r} is not empty", expected="a new folder", todo="choose another --out")


def _tell(out: Path, json: bool, verb: str) -> None:
    files = sorted(path.name for path in out.iterdir())
    if json:
        say_json({"folder": str(out), "files": files})
    else:
        say(f"{verb} {len(files)} files into {out}: {', '.join(files)}.")

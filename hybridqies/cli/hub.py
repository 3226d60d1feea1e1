"""`hybridqies hub`: models published on the Hugging Face Hub, and fetched from it."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import say, say_json
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    with _filling(out):
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
    with _filling(out):
        _pull(repository, revision, out)
    _tell(out, json, "Downloaded")


def _pull(repository: str, revision: str | None, out: Path) -> None:
    from hybridqies.hub import download
    from hybridqies.hub.publication import CARD, MODEL_FILES
    from hybridqies.saved_model import CONFIG, check_weights, read_config

    found = download(repository, (*MODEL_FILES, CARD), revision=revision)
    check_weights(found, read_config(found)["model"])
    # The cache may hold more of the repository than was asked for now.
    _copy(found, out, (CARD, *(name for name in MODEL_FILES if name != CONFIG), CONFIG))


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
    from hybridqies.saved_model import read_config

    read_config(run)  # Says what the folder is where it is no classifier.
    if not (run / RESULT).is_file():
        return []
    own = read_result(run)
    check_files(run, own)
    if not (run / COMPARISON).is_file():
        return [own]
    from hybridqies.records import read_record

    compared = read_record(run / COMPARISON, needed={"results": list}, what="comparison")["results"]
    return [own, *(each for each in compared if each["head"] != own["head"])]


def _copy(source: Path, out: Path, names: Sequence[str]) -> None:
    """Copies those of the files that there are, in this order; the last is to be what makes it a model."""
    from hybridqies.files import write_bytes

    for name in names:
        if (source / name).is_file():
            write_bytes(out / name, (source / name).read_bytes())


@contextlib.contextmanager
def _filling(out: Path) -> Iterator[None]:
    """A new or empty folder is filled; on an error it is as it was."""
    was_there = out.exists()
    if was_there and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{str(out)!r} is not empty", expected="a new folder", todo="choose another --out")
    try:
        yield
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        if was_there:
            out.mkdir(exist_ok=True)
        raise


def _tell(out: Path, json: bool, verb: str) -> None:
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    if json:
        say_json({"folder": str(out), "files": files})
    else:
        say(f"{verb} {len(files)} files into {out}: {', '.join(files)}.")

"""Repositories of the Hugging Face Hub: a folder is uploaded to one, a model's files are downloaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hybridqies.errors import InputError

# As the Hub itself has it: letters, digits, and single marks between them.
_PART = r"[A-Za-z0-9_](?:[\w-]|\.(?!\.))*(?<![.-])"
_REPOSITORY = re.compile(rf"(?!.*--)(?!.*\.git$){_PART}/(?=.{{1,96}}$){_PART}", re.ASCII)
_TO_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


def is_repository(name: str) -> bool:
    """Whether `name` has the form `owner/name`."""
    return _REPOSITORY.fullmatch(name) is not None


def check_repository(name: str) -> str:
    """The name, where it has the form `owner/name`.

    Raises
    ------
    InputError: any other name.
    """
    if not is_repository(name):
        raise InputError(f"a repository was given as {name!r}", expected="owner/name, as in me/spam-filter")
    return name


def upload(
    folder: Path,
    repository: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    token: str | None = None,
    message: str = "Upload a hybridqies model",
) -> str:
    """Uploads every file of `folder` in one commit and returns the commit's address.

    The repository and the branch `revision` are made where they are missing. `private` says what a new
    repository is and an old one has to be; None is the owner's own default. `token` is None for the one that
    is logged in.

    Raises
    ------
    InputError: no token, a token without the right to write, a repository that is public where a private one
        was asked for or the reverse, or a hub out of reach.
    """
    from huggingface_hub import HfApi

    check_repository(repository)
    api = HfApi(token=token, library_name="hybridqies")
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        # Of a repository that was there before, the Hub ignores what was asked for.
        is_private = None if private is None else bool(api.model_info(repository).private)
        if is_private is not private:
            raise _other_visibility(repository, is_private=bool(is_private))
        if revision is not None:
            api.create_branch(repository, branch=revision, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository, folder_path=folder, revision=revision, commit_message=message
        )
    except InputError:
        raise
    except Exception as error:  # HTTP, time-out, proxy, disk: each with an exception of its own
        raise _explain(error, repository, revision, "upload to") from None
    return str(done.commit_url)


def download(
    repository: str,
    files: Sequence[str],
    *,
    revision: str | None = None,
    token: str | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder of a repository's `files` (names or patterns) in the hub's cache; downloaded where missing.

    `revision` is a branch, tag or commit. Nothing is asked of the network with `local_files_only`, nor where
    HF_HUB_OFFLINE is set.

    Raises
    ------
    InputError: no such repository or revision, access refused, or the hub out of reach.
    """
    from huggingface_hub import snapshot_download

    check_repository(repository)
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                token=token,
                allow_patterns=list(files),
                local_files_only=local_files_only,
                library_name="hybridqies",
            )
        )
    except Exception as error:  # HTTP, time-out, proxy, disk: each with an exception of its own
        raise _explain(error, repository, revision, "download from") from None


def _other_visibility(repository: str, *, is_private: bool) -> InputError:
    found, wanted = ("private", "public") if is_private else ("public", "private")
    return InputError(
        f"{repository!r} exists and is {found}; nothing was sent",
        expected=f"a {wanted} repository, as was asked for",
        todo=f"make it {wanted} in its settings, choose another, or leave the choice out",
    )


def _explain(error: Exception, repository: str, revision: str | None, doing: str) -> InputError:
    """One line for what the hub's client raised; its own words can hold addresses and are not repeated."""
    from huggingface_hub import errors

    where = f"{repository!r}" if revision is None else f"{repository!r} at {revision!r}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return InputError(
            f"the hub refuses access to {where}, which is gated",
            todo=f"ask for access on its page, then {_TO_LOG_IN}",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return InputError(f"{repository!r} has no revision {revision!r}", expected="a branch, tag or commit")
    if isinstance(error, errors.RepositoryNotFoundError):
        return InputError(
            f"the hub has no repository {where}, or shows it to its members only",
            todo=f"check its name; for a private one {_TO_LOG_IN}",
        )
    if isinstance(error, errors.LocalTokenNotFoundError) or status in (401, 403):
        return InputError(
            f"the hub refuses to {doing} {where}", expected="a token with that right", todo=_TO_LOG_IN
        )
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return InputError(
            f"{where} is not in the hub's cache, and the hub was not or could not be asked",
            todo="check the network, unset HF_HUB_OFFLINE, or leave local_files_only out",
        )
    if isinstance(error, ValueError) and "README.md" in str(error):
        return InputError(
            f"the hub refuses the metadata of the card for {where}",
            expected="a licence that it knows, such as apache-2.0",
            todo="correct the licence, or leave it out",
        )
    reason = f"status {status}" if status is not None else type(error).__name__
    return InputError(f"cannot {doing} {where}: the hub's client failed ({reason})", todo="try again later")

"""Requests to IonQ through its own client: each is sent once, each failure is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hybridqies.backends.jobs.provider import JobError, TransientError
from hybridqies.backends.jobs.scrubbing import scrub
from hybridqies.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from qiskit_ionq.ionq_client import IonQClient

_LONGEST = 400


def connect() -> IonQClient:
    """The client with the credentials that it finds."""
    try:
        from qiskit_ionq.helpers import resolve_credentials
        from qiskit_ionq.ionq_client import IonQClient
    except ImportError:
        raise MissingExtraError("backend 'ionq'", "ionq") from None
    found = resolve_credentials()
    token, address = found["token"] or "", str(found["url"])
    if not token or not token.isprintable() or " " in token:
        raise InputError(
            "backend 'ionq' found no API key" if not token.strip() else "IonQ's API key holds blanks",
            expected="one in the environment variable IONQ_API_KEY",
            todo="create a key in the IonQ Quantum Cloud console and export it",
        )
    if not address.startswith(("https://", "http://")):
        raise InputError(f"IONQ_API_URL is {address!r}", expected="an address that begins with https://")
    return IonQClient(token, address)


def ask_once(client: IonQClient, ask: Callable[[], Any], lost: type[JobError]) -> dict[str, Any]:
    """The JSON object that answers one request; `lost` is the error where no answer came."""
    try:
        answer = ask()
    except Exception as error:  # The client also stumbles (AttributeError) over error bodies it doesn't know.
        problem = _meaning(error, lost)
    else:
        if isinstance(answer, dict):
            return answer
        problem = lost("IonQ's answer is not a JSON object")
    # Raised outside of the handler: the client's exception holds the answer, which may repeat the key.
    token = client.api_headers["Authorization"].removeprefix("apiKey ")
    # Cut only then, lest half of the key be left.
    raise type(problem)(scrub(str(problem), [token])[:_LONGEST])


def _meaning(error: Exception, lost: type[JobError]) -> JobError:
    """The error that an exception of the client means: refused, not taken, or unknown."""
    from qiskit_ionq.exceptions import IonQAPIError, IonQError, IonQRetriableError
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    cause = error._cause if isinstance(error, IonQRetriableError) else error
    if isinstance(cause, IonQAPIError):
        return _meaning_of_status(cause.status_code, str(cause.message), lost)
    if isinstance(cause, IonQError):
        return JobError(f"IonQ's client refuses the job: {cause.message}")
    reason = getattr(cause.args[0] if cause.args else None, "reason", None)
    if isinstance(reason, ConnectTimeoutError | NewConnectionError):
        return TransientError("IonQ cannot be reached; nothing was sent")
    return lost(f"IonQ's answer was lost ({type(cause).__name__})")


def _meaning_of_status(code: int, message: str, lost: type[JobError]) -> JobError:
    if code in (429, 503):
        return TransientError(f"IonQ takes no requests now (HTTP {code}): {message}")
    if code >= 500 or code in (408, 409):
        return lost(f"IonQ failed at a request (HTTP {code}): {message}")
    if code in (401, 403):
        return JobError(f"IonQ refused the API key (HTTP {code}): {message}; set a valid one in IONQ_API_KEY")
    return JobError(f"IonQ refused a request (HTTP {code}): {message}")

"""The devices that a user can name: their names, and whether they are there."""

from __future__ import annotations

from hybridqies.errors import InputError

_EXPECTED = "cpu, cuda or cuda:<number>"


def split_device(name: str) -> tuple[str, int | None]:
    """A device's kind, "cpu" or "cuda", and its number where one was given.

    Raises
    ------
    InputError: any other device.
    """
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {name!r}", expected=_EXPECTED) from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device {name!r}", expected=_EXPECTED)
    return device.type, device.index


def check_device(name: str) -> str:
    """The name of a device that is there.

    Raises
    ------
    InputError: no such kind of device, or a GPU that torch does not see.
    """
    import torch

    kind, number = split_device(name)
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise InputError(
                f"device {name!r} is not there", expected="a CUDA GPU that torch sees", todo="use cpu"
            )
        count = torch.cuda.device_count()
        if number is not None and number >= count:
            raise InputError(
                f"device {name!r} is not there",
                expected=f"one of the {count} that torch sees, from cuda:0 on",
            )
    return name

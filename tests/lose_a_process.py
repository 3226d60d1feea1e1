"""A program that tests start twice: the first process fails after an epoch, while the second goes on."""

from __future__ import annotations

import os
import sys
from typing import Any

from train_in_processes import CONFIG, train

from hybridqies.errors import InputError
from hybridqies.training.distributed import join_processes


def fail(_: dict[str, Any]) -> None:
    raise InputError("the disk is full")


def main() -> None:
    assert os.environ["WORLD_SIZE"] == "2"
    try:
        with join_processes():
            train("language", None, CONFIG, on_epoch=fail)  # type: ignore[arg-type]
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

"""What trials are run on: a task's data, loaded once, and what each design comes to on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from hybridqies.devices import check_device
from hybridqies.errors import InputError
from hybridqies.options import from_mapping, to_mapping
from hybridqies.tasks import DEFAULT_TASK, DataOptions, ModelSpec, TaskData, load_task

if TYPE_CHECKING:
    from hybridqies.study.layout import Layout
    from hybridqies.study.trials.trial import Trial


@dataclass(frozen=True, slots=True)
class Source:
    """What every trial of a study reads: a task, its data and the encoder; and the device it runs on."""

    kind: ClassVar[str] = "head"

    data: DataOptions
    encoder: str
    task: str = DEFAULT_TASK
    device: str = "cpu"

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return to_mapping(self)

    def on(self, device: str) -> Source:
        """The same on another device."""
        return replace(self, device=device)

    def load(self) -> TrialContext:
        """Reads and checks the data.

        Raises
        ------
        InputError: the device is not there.
        DataError: the data cannot be read.
        """
        return TrialContext.load(self)

    @classmethod
    def from_mapping(cls, values: Any) -> Source:
        """What `to_mapping` gave."""
        return from_mapping(cls, values, what="source of trials")


@dataclass(frozen=True)
class TrialContext:
    """A task's data, shared by every trial of a study in this process.

    `layouts` keeps what designs were found to come to, so that each is built once.
    """

    kind: ClassVar[str] = "head"

    data: TaskData
    layouts: dict[str, Layout] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, source: Source) -> TrialContext:
        """Reads and checks the data; its rows are computed when first needed.

        Raises
        ------
        InputError: the device is not there.
        DataError: the data cannot be read.
        """
        device = check_device(source.device)
        return cls(load_task(source.task).load(source.data, source.encoder, device))

    def compute_rows(self, seed: int, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Computes the rows now that trials would wait for, such as the embeddings of all texts.

        Raises
        ------
        DataError: the data leaves a part without rows.
        """
        self.data.rows(self.data.draw(seed).train, ModelSpec(), on_progress)

    @property
    def fingerprints(self) -> dict[str, str]:
        """Digests of data and encoder."""
        return {"data": "", "encoder": "", **self.data.fingerprints}

    def test_places(self, seed: int) -> list[int]:
        """Where in the data the test rows of `seed` stand, in their order."""
        return self.data.places(self.data.draw(seed).test)

    def describe(self, seeds: Sequence[int]) -> dict[str, Any]:
        """What the journal says the study is about, with the test texts of each seed."""
        return {
            "data": self.data.name,
            "classes": list(self.data.classes),
            **{f"{name}_fingerprint": value for name, value in self.fingerprints.items()},
            "test_texts": {str(seed): self.test_places(seed) for seed in seeds},
        }

    def check(self, trial: Trial) -> None:
        """Refuses a trial that was planned on other data or another encoder.

        Raises
        ------
        InputError: naming which of them is not the one that was recorded.
        """
        self.check_is(trial.data_fingerprint, trial.encoder_fingerprint)

    def check_is(self, data_fingerprint: str, encoder_fingerprint: str) -> None:
        """Refuses to stand in for other data or another encoder.

        Raises
        ------
        InputError: naming which of them is not the one that was recorded.
        """
        given = {"data": data_fingerprint, "encoder": encoder_fingerprint}
        own = self.fingerprints
        for name, fingerprint in given.items():
            if own[name] != fingerprint:
                raise InputError(
                    f"the {name} is not what the study began with",
                    expected=f"fingerprint {fingerprint[:12]}, found {own[name][:12]}",
                    todo="restore it, or start another study with another --out",
                )

"""How a data set is drawn into training, validation and test texts, for runs and studies alike."""

from __future__ import annotations

from hybridqies.errors import DataError
from hybridqies.runs.config import DataOptions
from hybridqies.text import Dataset, few_shot, split


def drawn(data: Dataset, options: DataOptions, seed: int) -> Dataset:
    """`data` with training, validation and test texts.

    Raises
    ------
    DataError: a split is left without texts.
    """
    if options.per_class is not None:
        data = few_shot(data, options.per_class, options.validation_fraction, seed)
    else:
        data = split(data, options.validation_fraction, options.test_fraction, seed)
    for name, part in (("validation", data.validation), ("test", data.test)):
        if part is None or not len(part):
            raise DataError(
                f"{data.name} leaves no {name} texts",
                expected=f"some texts to {'choose the epoch' if name == 'validation' else 'measure'} on",
                todo=f"give a {name} file or a {name} fraction above 0",
            )
    return data

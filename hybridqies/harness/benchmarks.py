"""Tasks of lm-eval by name, and what a model reaches on them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridqies.errors import InputError, MissingExtraError
from hybridqies.harness.scorers import DecoderScorer, Scorer
from hybridqies.language_model import LanguageModel
from hybridqies.quiet import quiet_harness

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

_FILES = ("json", "csv", "text", "parquet")
_NORMAL = 1.959963984540054


def load_tasks(names: Sequence[str], folders: Sequence[Path] = ()) -> dict[str, Any]:
    """Tasks by name, with their data; groups such as mmlu give several.

    The tasks that come with the package and those of YAML files in `folders` need no network; their data
    files are named from the folder of the YAML file. All others are lm-eval's, whose data are on the hub.

    Raises
    ------
    MissingExtraError: lm-eval is not installed.
    InputError: no task has that name, or its data cannot be loaded.
    """
    try:
        from lm_eval.tasks import TaskManager
    except ImportError:
        raise MissingExtraError("running tasks of lm-eval", "lm-eval") from None
    if not names:
        raise InputError("no tasks were given", expected="at least one")
    local = _find_local(folders)
    needs_others = not set(names) <= set(local)
    manager = TaskManager(include_path=[str(each) for each in folders], include_defaults=needs_others)
    found: dict[str, Any] = {"tasks": {}, "groups": {}, "group_map": {}}
    for name in names:
        loaded = _load(manager, name, local)
        for part in found:
            found[part] |= loaded.get(part, {})
    return found


def _load(manager: TaskManager, name: str, local: Mapping[str, dict[str, Any]]) -> Mapping[str, Any]:
    if name not in local and name not in manager.all_tasks:
        known = [*local, *manager.all_tasks]
        close = difflib.get_close_matches(name, known, n=1)
        raise InputError(
            f"unknown task {name!r}",
            expected=f"one of {', '.join(local)}, or a task of lm-eval",
            todo=f"did you mean {close[0]!r}?" if close else "see the list of `lm-eval ls tasks`",
        )
    try:
        with quiet_harness():
            loaded: Mapping[str, Any] = manager.load([dict(local[name]) if name in local else name])
            return loaded
    except Exception as error:  # The hub, data sets and task files raise whatever they like.
        raise InputError(
            f"the data of task {name!r} cannot be loaded ({type(error).__name__}: {str(error)[:200]})",
            expected="a reachable hub, or data that were downloaded before",
            todo="without a network, give a task with data files of its own",
        ) from None


def _find_local(folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """The tasks of YAML files in folders, with absolute paths of data files."""
    from lm_eval.tasks._yaml_loader import load_yaml

    found = {}
    with resources.as_file(resources.files("hybridqies.harness").joinpath("tasks")) as own:
        for folder in (own, *folders):
            if not folder.is_dir():
                raise InputError(f"{str(folder)!r} is no folder", expected="a folder of YAML files of tasks")
            for path in sorted(folder.glob("*.yaml")):
                config = load_yaml(path)
                if isinstance(config.get("task"), str) and config.get("dataset_path") in _FILES:
                    options = dict(config.get("dataset_kwargs") or {})
                    options["data_files"] = _anchor(options.get("data_files"), path.parent)
                    found[config["task"]] = {**config, "dataset_kwargs": options}
    return found


def _anchor(files: Any, folder: Path) -> Any:
    """Names of data files, alone, in lists or by split, as absolute paths."""
    if isinstance(files, Mapping):
        return {split: _anchor(names, folder) for split, names in files.items()}
    if isinstance(files, list):
        return [_anchor(name, folder) for name in files]
    return str(folder.absolute() / files) if isinstance(files, str) else files


def benchmark(
    scorer: Scorer, tasks: Mapping[str, Any], *, limit: int | None = None, shots: int | None = None
) -> list[dict[str, Any]]:
    """One row for each task and metric, as JSON values.

    `limit` is the most documents of a task, `shots` the number of examples before each.

    The interval is 1.96 of lm-eval's standard errors to both sides. `chance` is the accuracy of a choice at
    random, for tasks with choices.
    """
    from lm_eval.evaluator import evaluate

    from hybridqies.harness.adapter import ScoredModel

    for task in tasks["tasks"].values():
        if shots is not None:
            task.set_config("num_fewshot", shots)
        task.set_fewshot_seed(0)
    with quiet_harness():
        results: Any = evaluate(ScoredModel(scorer), tasks, limit=limit, bootstrap_iters=1000)
    rows = []
    for name, values in results["results"].items():
        samples = results["samples"].get(name, [])
        for key, value in values.items():
            metric, _, kind = key.partition(",")
            if not kind or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            rows.append(_row(name, metric, kind, float(value), values, samples))
    return rows


def _row(
    name: str, metric: str, kind: str, value: float, values: Mapping[str, Any], samples: Sequence[Any]
) -> dict[str, Any]:
    error = values.get(f"{metric}_stderr,{kind}")
    # Where lm-eval knows none it says "N/A", and NaN of a single document.
    margin = _NORMAL * error if isinstance(error, int | float) and error == error else None
    counts = [len(sample["arguments"]) for sample in samples]
    has_choices = metric in ("acc", "acc_norm") and bool(counts) and min(counts) > 1
    return {
        "task": name,
        "metric": metric,
        "filter": kind,
        "value": value,
        "low": None if margin is None else value - margin,
        "high": None if margin is None else value + margin,
        "chance": sum(1 / count for count in counts) / len(counts) if has_choices else None,
        "n_documents": len(samples) or None,
    }


def benchmark_language_model(
    folder: Path,
    names: Sequence[str],
    folders: Sequence[Path] = (),
    *,
    limit: int | None = None,
    shots: int | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """A saved `LanguageModel` on tasks; tasks and their data are loaded before the model is.

    Raises
    ------
    MissingExtraError: lm-eval is not installed.
    InputError: a task that is unknown or has no data, or a text with characters that the model does not know.
    ModelFolderError: the folder holds no finished model.
    """
    tasks = load_tasks(names, folders)
    model = LanguageModel.from_pretrained(folder, device)
    rows = benchmark(DecoderScorer(model), tasks, limit=limit, shots=shots)
    return {"arm": model.config.arm, "limit": limit, "shots": shots, "rows": rows}

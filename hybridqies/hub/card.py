"""The card of a published model: README.md with metadata for the Hub, from recorded results alone."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hybridqies import __version__
from hybridqies.circuit import Circuit
from hybridqies.heads.mlp import MatchedMLPHead

_LEVEL = 0.95
_METRICS = {"accuracy": "Accuracy", "macro_f1": "Macro F1"}
_TYPES = {"accuracy": "accuracy", "macro_f1": "f1"}
"""The names that the Hub has for these metrics."""


def write_card(
    model: Mapping[str, Any],
    repository: str,
    results: Sequence[Mapping[str, Any]] = (),
    pictures: Mapping[str, str] | None = None,
    license_name: str | None = None,
) -> str:
    """The text of `README.md`: YAML metadata with a `model-index`, then Markdown.

    `model` is the saved model's configuration; `results` hold its own measured record first, then those of
    the heads that were trained beside it. `pictures` are files by the role of their circuit.
    """
    own = results[0] if results else None
    parts = [
        _metadata(model, repository, own, license_name),
        f"# {_plain(repository.rsplit('/', maxsplit=1)[-1])}\n\n{_introduce(model)}",
        _show_use(repository, model),
        _show_results(results),
        _show_training(model, own),
        _show_limits(model, results),
        _show_circuits(model, own, pictures or {}),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def accuracy_interval(accuracy: float, count: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy measured on `count` texts (Wilson, 1927)."""
    from scipy.stats import binomtest

    interval = binomtest(round(accuracy * count), count).proportion_ci(_LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def _metadata(
    model: Mapping[str, Any], repository: str, own: Mapping[str, Any] | None, license_name: str | None
) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    measured = (
        [
            EvalResult(
                task_type="text-classification",
                dataset_type=str(own["data"]),
                dataset_name=str(own["data"]),
                dataset_split="test",
                metric_type=_TYPES[name],
                metric_name=words,
                metric_value=own[name],
            )
            for name, words in _METRICS.items()
        ]
        if own is not None
        else None
    )
    data = ModelCardData(
        license=license_name,
        library_name="hybridqies",
        pipeline_tag="text-classification",
        tags=["hybridqies", *(["quantum-machine-learning"] if model["circuits"] else [])],
        base_model=_base_model(model["encoder"]),
        metrics=list(_TYPES.values()) if own is not None else None,
        model_name=repository.rsplit("/", maxsplit=1)[-1] if own is not None else None,
        eval_results=measured,
    )
    return f"---\n{data.to_yaml()}\n---"


def _base_model(encoder: Mapping[str, Any]) -> str | None:
    """The encoder's name on the Hub; None for one from a folder, which may be anything."""
    kind, _, place = encoder["source"].partition(" ")
    if kind == "hub":
        return str(place.partition("@")[0])
    return f"sentence-transformers/{encoder['name']}" if kind == "package" else None


def _introduce(model: Mapping[str, Any]) -> str:
    reads = "pairs of texts" if model["pairs"] else "texts"
    circuit = model["circuits"].get("circuit")
    head = f"the head {_code(model['head'])}"
    if circuit is not None:
        head += f" with the quantum circuit {_code(circuit['name'])} on {circuit['n_qubits']} qubits"
    encoder = f"The encoder {_plain(model['encoder']['name'])}"
    if model["tuning"] is not None:
        encoder += f", tuned by {_plain(model['tuning']['method'])},"
    labels = ", ".join(_code(str(label)) for label in model["classes"])
    return f"A classifier of {reads}: {encoder}, makes embeddings, and {head} reads them.\nClasses: {labels}."


def _show_use(repository: str, model: Mapping[str, Any]) -> str:
    given = '[("a text", "its second text")]' if model["pairs"] else '["a text"]'
    return (
        "## Use\n\n```console\npip install hybridqies\n```\n\n```python\n"
        "from hybridqies import HybridClassifier\n\n"
        f'model = HybridClassifier.from_pretrained("{repository}")\n'
        f"model.predict({given})\n```"
    )


def _show_results(results: Sequence[Mapping[str, Any]]) -> str:
    if not results:
        return "## Results\n\nNo test result was recorded with this model."
    own = results[0]
    rows = []
    for at, each in enumerate(results):
        low, high = accuracy_interval(each["accuracy"], each["n_test"])
        kind = "quantum" if each["circuit"] else "classical"
        kind += " twin" if each["head"] == MatchedMLPHead.name else ""
        name = _code(each["head"]) + (" (this model)" if at == 0 else "")
        rows.append(
            (
                name,
                kind,
                f"{each['n_parameters']:,}",
                f"{each['accuracy']:.2%}",
                f"{low:.2%} to {high:.2%}",
                f"{each['macro_f1']:.4f}",
            )
        )
    table = _table(("Head", "Kind", "Parameters", "Accuracy", "95 % interval", "Macro F1"), rows)
    return (
        f"## Results\n\n{own['n_test']:,} test texts of {_plain(str(own['data']))}, "
        f"{own['n_train']:,} training texts, seed {own['seed']}. "
        "Every head was trained on the same split.\n\n"
        f"{table}\n\nIntervals are Wilson's and tell of the choice of test texts alone, "
        f"not of other seeds or splits.\n\n{_compare(results)}"
    )


def _compare(results: Sequence[Mapping[str, Any]]) -> str:
    """What the classical heads say of the quantum part, in words."""
    own = results[0]
    rivals = [each for each in results[1:] if not each["circuit"]]
    if not own["circuit"]:
        return "This model has no quantum part."
    if not rivals:
        return (
            "**No classical head was trained beside this model**, so nothing tells what its circuit is worth."
        )
    best = max(rivals, key=lambda each: (each["accuracy"], -each["n_parameters"]))
    low, high = accuracy_interval(own["accuracy"], own["n_test"])
    other_low, other_high = accuracy_interval(best["accuracy"], best["n_test"])
    twin = f"the best classical head, {_code(best['head'])}, reaches {best['accuracy']:.2%}"
    if low > other_high:
        return f"On the same texts {twin}: this model is ahead, and the intervals don't overlap."
    if high < other_low:
        return f"On the same texts {twin}: **the classical head is ahead**, and the intervals don't overlap."
    return f"On the same texts {twin}: the intervals overlap, and do not tell which of the two is better."


def _show_circuits(
    model: Mapping[str, Any], own: Mapping[str, Any] | None, pictures: Mapping[str, str]
) -> str:
    circuits = {role: Circuit.from_mapping(stored) for role, stored in model["circuits"].items()}
    if not circuits:
        return ""
    rows = [
        (
            _code(each.name),
            role,
            str(each.n_qubits),
            str(each.depth()),
            str(len(each.gates)),
            str(each.two_qubit_gates()),
            str(each.n_weights),
            str(len(each.observables)),
        )
        for role, each in circuits.items()
    ]
    heads = ("Circuit", "Role", "Qubits", "Depth", "Gates", "Two-qubit gates", "Weights", "Expectations")
    gradient = f", gradients by {_plain(own['gradient'])}" if own and own.get("gradient") else ""
    images = "\n\n".join(
        f"![The circuit {_plain(circuits[role].name)}]({file})" for role, file in pictures.items()
    )
    backend = f"{_code(model['backend'])}, {_shots(model['backend'])}{gradient}"
    return (
        f"## Circuit\n\n{_table(heads, rows)}\n\nBackend in training: {backend}. "
        f"`from_pretrained(…, backend=…)` runs it elsewhere.\n\n{images}"
    )


def _shots(backend: str) -> str:
    asked = [part.partition("=")[2] for part in backend.split(",") if part.startswith("shots=")]
    return f"{_plain(asked[-1])} shots" if asked else "exact expectations (no shots)"


def _show_training(model: Mapping[str, Any], own: Mapping[str, Any] | None) -> str:
    training, encoder = model["training"], model["encoder"]
    facts = {
        "Encoder": f"{encoder['name']}, {encoder['dimension']} dimensions, "
        f"fingerprint {encoder['fingerprint'][:12]}",
        "Optimisation": f"{training['epochs']} epochs, batches of {training['batch_size']}, "
        f"learning rate {training['learning_rate']:g}, schedule {training['schedule']}, "
        f"seed {training['seed']}",
        "Software": f"hybridqies {own['hybridqies'] if own is not None else __version__}",
    }
    if model["tuning"] is not None:
        tuning = model["tuning"]
        facts["Tuning of the encoder"] = f"{tuning['method']}, {tuning['n_parameters']:,} parameters"
    if own is not None:
        facts |= {
            "Data": f"{own['data']}, fingerprint {own['data_fingerprint'][:12]}",
            "Parameters trained": f"{own['n_parameters']:,} = {own['parameters']}",
            "Time": f"{own['seconds']:.1f} s, best epoch {own['best_epoch']}",
        }
    rows = [(name, _plain(value)) for name, value in facts.items()]
    return f"## Training\n\n{_table(('What', 'Value'), rows)}"


def _show_limits(model: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"- {_plain(words)}" for each in results[:1] for words in each.get("verdicts", ())]
    if results and results[0].get("calibration_error") is not None:
        lines.append(
            f"- Expected calibration error on the test texts: {results[0]['calibration_error']:.3f}."
        )
    cut = model["encoder"].get("max_tokens")
    if cut:
        lines.append(f"- The encoder cuts texts after {cut} tokens.")
    return "## Limits\n\n" + "\n".join(lines) if lines else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text from data as Markdown that shows just that: no markup, no new cell, no new line."""
    escaped = " ".join(text.split())
    for mark in ("\\", "`", "*", "_", "$", "[", "]", "|", "~"):
        escaped = escaped.replace(mark, f"\\{mark}")
    return html.escape(escaped, quote=False)


def _code(text: str) -> str:
    # Between backticks Markdown knows no escapes.
    return f"<code>{_plain(text)}</code>"

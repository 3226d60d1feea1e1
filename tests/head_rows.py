"""One row a head: option grids that its tests go through, and the role of each of its parameters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hybridqies.circuit import list_circuits
from hybridqies.roles import Role


def grid(**choices: list[Any]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


@dataclass(frozen=True)
class HeadRow:
    """`options` for counts; `roles` of the parameters that a head with the last of them has."""

    options: list[dict[str, Any]]
    roles: dict[str, Role]


UPLOADS = {"layers": 2, "connectivity": 2, "reuploads": 3, "ry_column": False, "readout_qubits": 2}
READOUT = {"circuit.weights": Role.CIRCUIT, "readout.weight": Role.READOUT, "readout.bias": Role.READOUT}


def body(*names: str) -> dict[str, Role]:
    return dict.fromkeys(names, Role.BODY)


_PERCEPTRON = body("layers.0.weight", "layers.0.bias", "layers.3.weight", "layers.3.bias")

HEAD_ROWS = {
    "two-module": HeadRow(
        [
            *grid(
                n_qubits=[4, 5],
                encoders=[1, 3],
                merge=["mean", "learnt"],
                fit=["pad", "truncate", "project"],
                circuit_options=[{}, UPLOADS],
            ),
            *grid(n_qubits=[4, 5], fit=["pad", "truncate", "project"], constant=[0.0, 0.5]),
            *grid(n_qubits=[4], encoder_options=[{"layers": 1, "connectivity": 1, "ry_column": False}]),
            *grid(n_qubits=[3], encoder_qubits=[5], merge=["learnt"]),
            *grid(n_qubits=[4], merge=["learnt"], circuit=list(list_circuits())[:4]),
            *grid(n_qubits=[4], merge=["learnt"], fit=["project"]),
        ],
        {
            **body("amplitudes.projection", "merge.weight", "merge.bias"),
            "encoders.weights": Role.ENCODING,
            **READOUT,
        },
    ),
    "dressed": HeadRow(
        [
            *grid(
                n_qubits=[2, 4], circuit=[name for name in list_circuits() if name != "long-range-encoder"]
            ),
            *grid(n_qubits=[4], circuit_options=[UPLOADS, {"fresh_features": True}]),
        ],
        {**body("squeeze.weight", "squeeze.bias"), **READOUT},
    ),
    "reupload": HeadRow(
        [
            *grid(
                n_qubits=[5, 6], circuit_options=[{}, {"layers": 1, "entangled": False, "readout_qubits": 2}]
            ),
            *grid(n_qubits=[13], columns_per_qubit=[1], circuit=["product"]),
            *grid(n_qubits=[2, 5], reduce=["pca"], circuit_options=[{"layers": 1}]),
        ],
        {**body("scale"), **READOUT},
    ),
    "logistic": HeadRow([{}], body("linear.weight", "linear.bias")),
    "mlp": HeadRow([*grid(widths=[(), (7, 3), (5,)])], _PERCEPTRON),
    "matched-mlp": HeadRow([*grid(target=[1, 50, 886])], _PERCEPTRON),
    "svc": HeadRow([*grid(kernel=["rbf", "linear"])], {}),
    "quantum-kernel": HeadRow(
        [*grid(n_qubits=[3], kernel=["fidelity", "projected"], circuit=["iqp-feature-map", "iqp"])],
        {"circuit.weights": Role.CIRCUIT},
    ),
}

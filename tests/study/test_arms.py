"""Arms: what stands in the table is buildable, searchable, and the control of what it says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from study.studies import head_of, plan_of, rows, training_of

from hybridqies.backends import load_backend
from hybridqies.circuit import Circuit, Feature, load_circuit
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.study.arms import ARMS, arm_of
from hybridqies.study.kinds.sweep import sweep_trials
from hybridqies.study.search import Search


def test_the_paper_s_widths_are_there() -> None:
    assert {f"mlp-{width}" for width in (0, 48, 96, 144, 192)} <= set(ARMS)
    assert {arm.twin_of for arm in ARMS.values()} <= {None, *ARMS}


@pytest.mark.parametrize("name", ARMS)
def test_defaults_and_searched_options_build(name: str) -> None:
    context = rows()
    arms = ("two-module", name) if ARMS[name].matched else (name,)
    plan = plan_of(arms=arms, reference=name, budget=4, options={}, qubits=(3,))
    trial = next(trial for trial in sweep_trials(plan, context) if trial.arm == name)
    for proposal in Search(plan.space_of(ARMS[name]), 4, 0).candidates():
        training_of(trial, context, proposal.options)
        head = head_of(trial, context, proposal.options)
        assert bool(head.circuits()) == ARMS[name].quantum


def widths_of(circuit: Circuit) -> set[int]:
    return {len(each.qubits) for each in circuit.gates}


def uploads(circuit: Circuit) -> int:
    return sum(isinstance(angle, Feature) for each in circuit.gates for angle in each.angles)


def rank(circuit: Circuit) -> int:
    """How many of the weights move expectations independently: the rank of the Jacobian over 60 inputs."""
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, circuit.n_inputs, generator=draw, dtype=torch.float64)
    amplitudes, features = inputs.split([circuit.n_amplitudes, circuit.n_features], dim=1)
    weights = 3 * torch.randn(circuit.n_weights, generator=draw, dtype=torch.float64)
    start = amplitudes if circuit.n_amplitudes else None

    def values(moved: torch.Tensor) -> torch.Tensor:
        return load_backend("statevector").expectations(circuit, features, moved, start).flatten()

    jacobian = torch.autograd.functional.jacobian(values, weights)
    return int(torch.linalg.matrix_rank(jacobian, rtol=1e-6))


def without_entanglers(circuit: Circuit) -> Circuit:
    gates = [each for each in circuit.gates if len(each.qubits) == 1]
    return Circuit.of(circuit.n_qubits, gates, circuit.observables, start=circuit.start)


class TestTheTwin:
    @pytest.mark.parametrize("n", [2, 3, 5, 9])
    @pytest.mark.parametrize(
        "options", [{}, {"layers": 3}, {"connectivity": 1, "ry_column": False}, {"layers": 2}], ids=str
    )
    def test_it_has_the_angles_and_the_uploads_and_no_entangler(
        self, n: int, options: dict[str, Any]
    ) -> None:
        for module in ("encoder", "reupload"):
            full, twin = (
                load_circuit(f"{kind}-{module}", n, **options) for kind in ("long-range", "product")
            )
            assert twin.n_weights == full.n_weights
            assert widths_of(twin) == {1}
            assert widths_of(full) == {1, 2}
            if module == "reupload":
                assert (uploads(twin), twin.n_features) == (uploads(full), full.n_features)

    @pytest.mark.parametrize("n_qubits", [2, 3, 4, 8])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"encoders": 3, "encoder.layers": 2, "reuploads": 3},
            {"layers": 2, "connectivity": 1, "encoder.connectivity": 1, "encoder.ry_column": False},
            {"pqc2": False, "encoder_qubits": 9},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_its_head_has_as_many_parameters(
        self, n_qubits: int, options: dict[str, Any], n_classes: int
    ) -> None:
        """But for the readout's: with two classes the whole head reads one qubit, the twin all."""
        names = ("two-module", "two-module-product")
        arms = dict.fromkeys(names, options)
        plan = plan_of(arms=names, reference=names[0], options=arms, qubits=(n_qubits,), seeds=(0,))
        context = rows(n_classes=n_classes)
        whole, twin = (head_of(each, context).describe() for each in sweep_trials(plan, context))
        more = n_classes * (n_qubits - 1) if n_classes == 2 else 0
        assert [term.value for term in twin.terms[:-1]] == [term.value for term in whole.terms[:-1]]
        assert twin.n_parameters == whole.n_parameters + more

    @pytest.mark.parametrize("n", [2, 3])
    def test_every_angle_of_its_encoder_counts(self, n: int) -> None:
        """Rotations on amplitudes would be one number a qubit about one axis, and two about any."""
        for layers in (1, 2, 4):
            options = {"layers": layers, "connectivity": 1}
            twin = load_circuit("product-encoder", n, inputs=20, **options)
            assert rank(twin) == twin.n_weights == (layers + 1) * n
            assert rank(without_entanglers(load_circuit("long-range-encoder", n, **options))) == n

    @pytest.mark.parametrize("n", [2, 3])
    def test_its_second_module_grows_with_layers_and_uploads(self, n: int) -> None:
        """Between two uploads there is one rotation of three angles, before the readout one of two."""

        def ranks(name: str, column: str) -> list[int]:
            grid = {"layers": [(1, 3), (2, 3), (3, 3)], "reuploads": [(2, 1), (2, 2), (2, 3)]}[column]
            read = {"connectivity": 1, "ry_column": False, "readout_qubits": n}
            circuits = [load_circuit(name, n, layers=at, reuploads=times, **read) for at, times in grid]
            return [rank(without_entanglers(each)) for each in circuits]

        assert ranks("product-reupload", "layers") == [2 * n, 4 * n, 5 * n]
        assert ranks("product-reupload", "reuploads") == [2 * n, 3 * n, 4 * n]
        for column in ("layers", "reuploads"):
            assert ranks("long-range-reupload", column) == [n] * 3


def test_any_recipe_is_an_arm() -> None:
    arm = arm_of("dressed:iqp")
    assert (arm.head, arm.options["circuit"], arm.quantum) == ("dressed", "iqp", True)
    plan = plan_of(arms=(arm.name, "logistic"), options={}, qubits=(3,))
    head = head_of(sweep_trials(plan, rows())[0], rows())
    assert head.circuits()["circuit"].name == "iqp"


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("two-modul", UnknownNameError, "did you mean 'two-module'"),
        ("two-module:iqq", UnknownNameError, "did you mean 'iqp'"),
        ("logistic:iqp", InputError, "expected two-module or dressed"),
        ("two-module-product:iqp", InputError, "expected two-module or dressed"),
    ],
)
def test_what_is_no_arm(name: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        arm_of(name)


def test_a_matched_arm_comes_close_to_the_first_quantum_arm() -> None:
    context = rows()
    planned = sweep_trials(plan_of(options={}), context)
    for count in (2, 3):
        counts = {
            trial.arm: head_of(trial, context).n_trained()
            for trial in planned
            if trial.n_qubits == count and trial.seed == 0
        }
        assert abs(counts["matched-mlp"] - counts["two-module"]) <= (6 + 3) / 2
    with pytest.raises(InputError, match="a quantum arm among the arms"):
        plan_of(arms=("matched-mlp", "logistic"), options={})

"""Arms: what stands in the table is buildable, searchable, and the control of what it says."""

from __future__ import annotations

import pytest
from study.studies import plan_of, rows

from hybridqies.circuit import load_circuit
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.study.arms import ARMS, arm_of
from hybridqies.study.plan import trials
from hybridqies.study.protocol import training_of, untrained
from hybridqies.study.search import Search


def test_the_paper_s_widths_are_there() -> None:
    assert {f"mlp-{width}" for width in (0, 48, 96, 144, 192)} <= set(ARMS)
    assert {arm.twin_of for arm in ARMS.values()} <= {None, *ARMS}


@pytest.mark.parametrize("name", ARMS)
def test_defaults_and_searched_options_build(name: str) -> None:
    context = rows()
    arms = ("two-module", name) if ARMS[name].matched else (name,)
    plan = plan_of(arms=arms, reference=name, budget=4, options={}, qubits=(3,))
    trial = next(trial for trial in trials(plan, context) if trial.arm == name)
    for proposal in Search(plan.space_of(ARMS[name]), 4, 0).candidates():
        training_of(trial, proposal.options)
        head = untrained(trial, context.n_inputs, context.n_classes, proposal.options)
        assert bool(head.circuits()) == ARMS[name].quantum


def test_the_twin_has_the_angles_and_no_entangler() -> None:
    for n, options in ((3, {}), (5, {"layers": 2, "connectivity": 2}), (4, {"ry_column": False})):
        full, twin = (load_circuit(name, n, **options) for name in ("long-range-encoder", "product-encoder"))
        assert twin.n_weights == full.n_weights
        assert {gate.type.name for gate in twin.gates} == {"RY"}
        assert len(twin.observables) == len(full.observables)
    arm = arm_of("two-module-product")
    trial = trials(plan_of(arms=(arm.name,), reference=arm.name, options={}), rows())[0]
    for circuit in untrained(trial, 6, 2, {}).circuits().values():
        assert all(len(gate.qubits) == 1 for gate in circuit.gates)


def test_any_recipe_is_an_arm() -> None:
    arm = arm_of("dressed:iqp")
    assert (arm.head, arm.options["circuit"], arm.quantum) == ("dressed", "iqp", True)
    plan = plan_of(arms=(arm.name, "logistic"), options={}, qubits=(3,))
    head = untrained(trials(plan, rows())[0], 6, 2, {})
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
    planned = trials(plan_of(options={}), context)
    for count in (2, 3):
        counts = {
            trial.arm: untrained(trial, context.n_inputs, 2, {}).n_trained()
            for trial in planned
            if trial.n_qubits == count and trial.seed == 0
        }
        assert abs(counts["matched-mlp"] - counts["two-module"]) <= (context.n_inputs + 3) / 2
    with pytest.raises(InputError, match="a quantum arm to match"):
        trials(plan_of(arms=("matched-mlp", "logistic"), options={}), context)

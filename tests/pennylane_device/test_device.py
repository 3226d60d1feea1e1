from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from pennylane_device.nodes import BATCH, DOUBLE, NAME, WEIGHTS, both, close, device, layers, read
from strategies import Case, case_of, cases, every_gate

from hybridqies.circuit import to_pennylane
from hybridqies.pennylane_device import StateVectorDevice, plans


def test_pennylane_finds_the_device_by_its_name():
    ours = device(3)
    assert isinstance(ours, StateVectorDevice)
    assert ours.name == NAME
    assert len(ours.wires) == 3


@pytest.mark.parametrize(
    "measurement",
    [
        lambda: qml.state(),
        lambda: qml.density_matrix(wires=[2, 0]),
        lambda: qml.probs(wires=[1, 2]),
        lambda: qml.probs(op=qml.Y(1)),
        lambda: qml.var(qml.X(0) @ qml.Z(1)),
        lambda: qml.expval(qml.Hermitian(np.array([[1.0, 2j], [-2j, 0.5]]), wires=1)),
        lambda: qml.expval(qml.Projector([1, 0], wires=[0, 2])),
        lambda: qml.purity(wires=[0]),
        lambda: qml.vn_entropy(wires=[0, 1]),
        lambda: qml.mutual_info([0], [2]),
    ],
)
def test_other_measurements(measurement):
    def circuit(x):
        layers(x, WEIGHTS)
        qml.PauliY(0)
        qml.U3(x[..., 0], 0.2, 0.3, wires=1)
        qml.GlobalPhase(x[..., 1])
        qml.Toffoli([0, 1, 2])
        return measurement()

    ours, theirs = both(circuit, 3)
    close([ours(BATCH), ours(BATCH[0])], [theirs(BATCH), theirs(BATCH[0])])


def check_state(case: Case) -> None:
    made = qml.tape.make_qscript(to_pennylane(case.circuit))

    def circuit(features, weights, amplitudes):
        for each in made(features, weights, amplitudes).operations:
            qml.apply(each)
        return qml.state()

    ours, theirs = both(circuit, case.circuit.n_qubits)
    inputs = (case.features, case.weights, case.amplitudes)
    close([ours(*inputs)], [theirs(*inputs)])


@settings(max_examples=15, deadline=None)
@given(cases(batch=2))
def test_states_with_their_global_phase(case):
    check_state(case)


def test_the_state_of_every_gate():
    check_state(case_of(every_gate(), seed=2))


def test_wires_have_any_names_and_no_number():
    def circuit(x):
        qml.BasisState([1, 0], wires=["b", 7])
        qml.RX(x, wires="a")
        qml.CNOT(["a", "b"])
        return qml.expval(qml.Z("b")), qml.probs(wires=["b", "a"]), qml.expval(qml.Y("a") @ qml.X(7))

    for wires in (None, ["a", 7, "b"]):
        ours, theirs = both(circuit, wires)
        close(ours(0.7), theirs(0.7))


def test_operations_with_no_more_than_a_matrix():
    def circuit(x):
        qml.Hadamard(0)
        qml.DoubleExcitationPlus(x, wires=[0, 1, 2, 3])
        qml.QubitUnitary(qml.matrix(qml.RX(0.3, 0) @ qml.IsingXX(0.2, [1, 2])), wires=[0, 1, 2])
        return qml.state()

    ours, theirs = both(circuit, 4)
    close([ours(0.7)], [theirs(0.7)])


def test_measurements_in_the_circuit_are_deferred():
    def circuit(x):
        qml.RX(x, 0)
        qml.cond(qml.measure(0), qml.RY)(0.4, wires=1)
        return qml.expval(qml.Z(1)), qml.probs(wires=1)

    ours, theirs = both(circuit, 3)
    close(ours(0.9), theirs(0.9))


def test_a_layer_of_torch_trains():
    torch.manual_seed(0)

    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, wires=range(3))
        qml.StronglyEntanglingLayers(weights, wires=range(3))
        return [qml.expval(qml.Z(qubit)) for qubit in range(3)]

    node = qml.QNode(circuit, device(3))
    model = torch.nn.Sequential(qml.qnn.TorchLayer(node, {"weights": (2, 3, 3)}), torch.nn.Linear(3, 1))
    x = torch.randn(16, 3)
    y = torch.sign(x[:, :1] * x[:, 1:2])
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    losses = []
    for _ in range(15):
        optimiser.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    again = copy.deepcopy(model)
    assert torch.equal(again(x), model(x))


def test_a_batch_runs_as_one_circuit_and_a_structure_is_compiled_once():
    ours = device(3)
    node = qml.QNode(read, ours, diff_method="adjoint")
    with qml.Tracker(ours) as tracker:
        for shift in range(3):
            node(BATCH + shift, WEIGHTS + shift)
    assert tracker.totals["simulations"] == 3
    assert ours._plans.n_plans == 1
    node(BATCH[0], WEIGHTS)
    assert ours._plans.n_plans == 2


def test_plans_are_dropped_when_they_take_too_many_bytes(monkeypatch):
    ours = device(3)
    node = qml.QNode(read, ours, diff_method="adjoint")
    node(BATCH, WEIGHTS)
    held = ours.bytes_held
    assert held > 0
    monkeypatch.setattr(plans, "_MOST_BYTES", held)
    node(BATCH[0], WEIGHTS)
    assert ours._plans.n_plans == 1
    monkeypatch.setattr(plans, "_MOST_BYTES", 10 * held)
    node(BATCH, WEIGHTS)
    assert ours._plans.n_plans == 2
    monkeypatch.setattr(plans, "_MOST_PLANS", 1)
    qml.QNode(lambda: qml.expval(qml.X(0)), ours)()
    assert ours._plans.n_plans == 1


def test_a_device_can_be_pickled():
    ours = device(3)
    qml.QNode(read, ours)(BATCH, WEIGHTS)
    again = pickle.loads(pickle.dumps(ours))
    close(qml.QNode(read, again)(BATCH, WEIGHTS), qml.QNode(read, ours)(BATCH, WEIGHTS), 0)


def sampled(x: Any) -> Any:
    layers(x, WEIGHTS)
    observable = 0.5 * qml.X(0) @ qml.Y(1) + qml.Z(2)
    return qml.expval(observable), qml.counts(wires=[0, 1]), qml.sample(wires=2), qml.var(qml.Z(1))


def test_shots_follow_from_the_seed():
    runs = [qml.set_shots(qml.QNode(sampled, device(3, seed=seed)), 50)(BATCH) for seed in (7, 7, 8)]
    assert np.array_equal(runs[0][2], runs[1][2])
    assert runs[0][1] == runs[1][1]
    assert not np.array_equal(runs[0][2], runs[2][2])


def test_shots_estimate_what_is_exact():
    def expectation(x):
        layers(x, WEIGHTS)
        return qml.expval(qml.Z(2)), qml.probs(wires=[0])

    shots = 20_000
    estimated = qml.set_shots(qml.QNode(expectation, device(3, seed=1)), shots)(BATCH)
    for drawn, value in zip(estimated, qml.QNode(expectation, device(3))(BATCH), strict=True):
        np.testing.assert_allclose(drawn, value, rtol=0, atol=5 / np.sqrt(shots))


def test_shots_have_gradients_by_parameter_shift():
    w = qml.numpy.array(WEIGHTS, requires_grad=True)

    def circuit(v):
        layers(0.3, v)
        return qml.expval(qml.Z(0))

    exact = qml.grad(qml.QNode(circuit, device(3)))(w)
    drawn = qml.grad(qml.set_shots(qml.QNode(circuit, device(3, seed=3)), 20_000))(w)
    np.testing.assert_allclose(drawn, exact, rtol=0, atol=0.05)


def test_a_vector_of_shots():
    results = qml.set_shots(qml.QNode(sampled, device(3, seed=0)), (10, 20, 20))(BATCH[0])
    assert [np.shape(each[2])[0] for each in results] == [10, 20, 20]


@pytest.mark.parametrize("generator", [qml.X(0), qml.X(0) @ qml.Z(1), 0.7 * qml.Y(1) @ qml.X(0)])
def test_evolution_with_a_torch_number(generator):
    def evolve(time):
        qml.RY(0.4, 0)
        qml.evolve(generator, time)
        return qml.expval(qml.Z(0)), qml.expval(qml.Y(1))

    values: list[Any] = []
    gradients: list[Any] = []
    for node in both(evolve, 2):
        time = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)
        read = node(time)
        values.append(read)
        gradients.append(torch.autograd.grad(sum(read), time))
    close(*values)
    close(*gradients)


def test_trotter_product_with_a_torch_number():
    def evolve(time):
        qml.RY(0.4, 0)
        qml.TrotterProduct(qml.sum(qml.X(0), 0.5 * qml.Z(0) @ qml.Y(1)), time, n=2, order=2)
        return qml.expval(qml.Z(0)), qml.expval(qml.X(1))

    ours, theirs = both(evolve, 2)
    # PennyLane's own exponential of a torch number is right to 4e-10 only.
    close(ours(torch.tensor(0.3, dtype=DOUBLE)), theirs(0.3))


def test_a_tape_without_measurements_has_no_results():
    tape = qml.tape.QuantumScript([qml.X(0)], [])
    theirs = qml.execute([tape], qml.device("default.qubit", wires=1), diff_method=None)
    assert qml.execute([tape], device(1), diff_method=None) == theirs

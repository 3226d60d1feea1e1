from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from pennylane.devices import ExecutionConfig
from pennylane.exceptions import DeviceError, QuantumFunctionError, WireError
from references import by_pennylane, inputs_of
from strategies import Case, case_of, cases, every_gate

from hybridqies.circuit import to_pennylane
from hybridqies.pennylane_device import StateVectorDevice

NAME = "hybridqies.statevector"
DOUBLE = torch.float64


def device(wires: Any = None, **options: Any) -> StateVectorDevice:
    return qml.device(NAME, wires=wires, **options)


def both(function: Callable[..., Any], wires: Any, **options: Any) -> tuple[Any, Any]:
    """One quantum function on our device and on default.qubit."""
    ours, theirs = device(wires), qml.device("default.qubit", wires=wires)
    return qml.QNode(function, ours, **options), qml.QNode(function, theirs, **options)


def close(ours: Any, theirs: Any, tolerance: float = 1e-10) -> None:
    ours = [np.asarray(each.detach() if isinstance(each, torch.Tensor) else each) for each in ours]
    theirs = [np.asarray(each.detach() if isinstance(each, torch.Tensor) else each) for each in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance)


def through_device(case: Case, inputs: Any) -> torch.Tensor:
    """Expectations (B, M) of a case by PennyLane on our device."""
    features, weights, amplitudes = inputs
    ours = device(case.circuit.n_qubits)
    node = qml.QNode(to_pennylane(case.circuit), ours, interface="torch", diff_method="adjoint")
    columns = node(features, weights, amplitudes)
    return torch.stack([each.expand(len(features)) for each in columns], dim=1)


def test_pennylane_finds_the_device_by_its_name():
    ours = device(3)
    assert isinstance(ours, StateVectorDevice)
    assert ours.name == NAME
    assert len(ours.wires) == 3


@pytest.mark.parametrize("complex_amplitudes", [False, True])
def test_random_circuits_with_gradients_of_features_and_weights(complex_amplitudes):
    @settings(max_examples=20, deadline=None)
    @given(cases(complex_amplitudes=complex_amplitudes, batch=3))
    def run(case):
        ours, theirs = (inputs_of(case, DOUBLE, wants_gradient=True) for _ in range(2))
        mine, others = through_device(case, ours), by_pennylane(case.circuit, theirs)
        np.testing.assert_allclose(mine.detach(), others.detach(), rtol=0, atol=1e-10)
        cotangent = torch.linspace(-1, 1, mine.numel(), dtype=DOUBLE).reshape(mine.shape)
        if mine.requires_grad:
            (mine * cotangent).sum().backward()
            (others * cotangent).sum().backward()
        for own, other in zip(ours[:2], theirs[:2], strict=True):
            close([_gradient(own)], [_gradient(other)])

    run()


def _gradient(leaf: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def layers(x: Any, w: Any) -> None:
    for qubit in range(3):
        qml.RY(x[..., qubit] if hasattr(x, "shape") else x, wires=qubit)
        qml.Rot(w[0], w[1], w[2], wires=qubit)
    qml.CNOT([0, 1])
    qml.CRZ(w[3], [1, 2])
    qml.PhaseShift(w[4], 0)
    qml.IsingXY(w[1], [0, 2])


def read(x: Any, w: Any) -> Any:
    layers(x, w)
    mixed = 0.4 * qml.X(0) @ qml.Z(2) - 1.5 * qml.Y(1) + 0.2 * qml.Z(0) @ qml.Z(1) + 0.7 * qml.I(0)
    return qml.expval(qml.Z(0)), qml.expval(mixed), qml.expval(qml.Z(0))


BATCH = np.linspace(-1.2, 2.1, 12).reshape(4, 3)
WEIGHTS = np.array([0.3, -0.8, 1.1, 0.5, 2.2])


@pytest.mark.parametrize("method", ["adjoint", "best"])
def test_gradients_through_torch_with_a_batch(method):
    results = []
    for name, how in ((NAME, method), ("default.qubit", "backprop")):
        x, w = torch.tensor(BATCH, requires_grad=True), torch.tensor(WEIGHTS, requires_grad=True)
        values = torch.stack(qml.QNode(read, qml.device(name, wires=3), diff_method=how)(x, w))
        (values.sin() * torch.arange(12.0).reshape(3, 4)).sum().backward()
        results.append((values, x.grad, w.grad))
    close(results[0], results[1])


@pytest.mark.parametrize("method", ["adjoint", "best"])
def test_jacobians_through_autograd_with_a_batch(method):
    x, w = qml.numpy.array(BATCH, requires_grad=True), qml.numpy.array(WEIGHTS, requires_grad=True)
    ours = qml.QNode(read, device(3), diff_method=method)
    theirs = qml.QNode(read, qml.device("default.qubit", wires=3), diff_method="backprop")
    close(*(qml.jacobian(lambda *v, f=f: qml.math.real(qml.math.stack(f(*v))))(x, w) for f in (ours, theirs)))


def test_results_outside_a_node_keep_their_gradient():
    x = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)
    tape = qml.tape.QuantumScript([qml.RX(x, 0)], [qml.expval(qml.Z(0))])
    device(1).execute(tape).backward()  # type: ignore[attr-defined]
    np.testing.assert_allclose(x.grad, -np.sin(0.3), rtol=0, atol=1e-12)
    assert isinstance(device(1).execute(tape.bind_new_parameters([0.3], [0])), np.ndarray)


def test_gradients_of_one_sample_by_parameter_shift_and_by_the_adjoint_method_agree():
    w = qml.numpy.array(WEIGHTS, requires_grad=True)
    x = qml.numpy.array(BATCH[0], requires_grad=False)
    jacobians = [
        qml.jacobian(lambda v, m=m: qml.math.stack(qml.QNode(read, device(3), diff_method=m)(x, v)))(w)
        for m in ("adjoint", "parameter-shift")
    ]
    close(jacobians[:1], jacobians[1:])


def test_coefficients_of_an_observable_are_trainable():
    def energy(c, w):
        layers(0.3, w)
        return qml.expval(qml.Hamiltonian(c, [qml.Z(0), qml.X(1) @ qml.X(2), qml.Z(0)]))

    results = []
    for name, how in ((NAME, "adjoint"), ("default.qubit", "backprop")):
        c, w = torch.tensor([0.5, -1.0, 2.0], dtype=DOUBLE, requires_grad=True), torch.tensor(WEIGHTS)
        value = qml.QNode(energy, qml.device(name, wires=3), diff_method=how)(c, w)
        value.backward()
        results.append((value, c.grad))
    close(results[0], results[1])
    c = qml.numpy.array([0.5, -1.0, 2.0], requires_grad=True)
    node = qml.QNode(energy, device(3), diff_method="adjoint")
    close([qml.grad(node)(c, WEIGHTS)], [results[1][1]])


def test_amplitudes_are_trainable():
    def circuit(v, w):
        qml.AmplitudeEmbedding(v, wires=[2, 0], normalize=True, pad_with=0.1)
        layers(0.3, w)
        return qml.expval(qml.Z(0) @ qml.Y(1)), qml.expval(qml.X(2))

    results = []
    for name, how in ((NAME, "adjoint"), ("default.qubit", "backprop")):
        v = torch.tensor([[0.3, 0.5, -1.0], [1.0, 0.2, 0.9]], dtype=DOUBLE, requires_grad=True)
        w = torch.tensor(WEIGHTS, requires_grad=True)
        values = torch.stack(qml.QNode(circuit, qml.device(name, wires=3), diff_method=how)(v, w))
        values.cos().sum().backward()
        results.append((values, v.grad, w.grad))
    close(results[0], results[1])


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


class TestDerivatives:
    """What interfaces other than torch and autograd call."""

    config = ExecutionConfig(gradient_method="adjoint")

    def tape(self, *measurements: Any) -> Any:
        operations = [qml.RX(0.3, 0), qml.RY(0.4, 1), qml.CNOT([0, 1]), qml.GlobalPhase(0.2)]
        return qml.tape.QuantumScript(operations, measurements, trainable_params=[0, 1, 2])

    def test_jacobians(self):
        one, two = qml.expval(qml.Z(1)), qml.expval(qml.X(0) @ qml.Y(1))
        for measurements in ((one,), (one, two)):
            tape = self.tape(*measurements)
            ours = device(2).compute_derivatives(tape, self.config)
            theirs = qml.device("default.qubit", wires=2).compute_derivatives(
                tape.copy(ops=tape.operations[:3], trainable_params=[0, 1]), self.config
            )
            ours, theirs = (each if len(measurements) > 1 else (each,) for each in (ours, theirs))
            for row, other in zip(ours, theirs, strict=True):
                close(row[:2], other)
                assert row[2] == 0

    def test_products_with_a_vector(self):
        tape = self.tape(qml.expval(qml.Z(1)), qml.expval(qml.X(0)))
        values, slopes = device(2).execute_and_compute_vjp(tape, (0.5, -2.0), self.config)
        jacobian = np.array(device(2).compute_derivatives(tape, self.config))
        close([np.array(slopes)], [np.array([0.5, -2.0]) @ jacobian])
        close(values, device(2).execute(tape))

    @pytest.mark.parametrize("method", ["compute_vjp", "compute_derivatives"])
    def test_slopes_do_not_depend_on_torchs_switch(self, method):
        tape = qml.tape.QuantumScript([qml.RX(0.4, 0)], [qml.expval(qml.Z(0))])
        given = ([tape], (1.0,)) if method == "compute_vjp" else ([tape],)
        with torch.no_grad():
            (slopes,) = getattr(device(1), method)(*given, self.config)
        np.testing.assert_allclose(np.ravel(slopes), -np.sin(0.4), rtol=0, atol=1e-12)

    def test_nothing_to_train(self):
        tape = self.tape(qml.expval(qml.Z(1))).copy(trainable_params=[])
        assert device(2).compute_vjp(tape, 1.0, self.config) == ()  # type: ignore[arg-type]

    def test_refuses_what_has_none(self):
        with pytest.raises(DeviceError, match="exact expectations of Pauli words"):
            device(2).compute_vjp(self.tape(qml.probs(wires=0)), 1.0, self.config)  # type: ignore[arg-type]
        batch = qml.tape.QuantumScript([qml.RX(np.ones(3), 0)], [qml.expval(qml.Z(0))])
        with pytest.raises(DeviceError, match="batch of 3"):
            device(1).compute_derivatives(batch, self.config)


class TestRefusals:
    def test_noise(self):
        @qml.qnode(device(1))
        def circuit():
            qml.DepolarizingChannel(0.1, wires=0)
            return qml.expval(qml.Z(0))

        with pytest.raises(DeviceError, match=r"DepolarizingChannel.* not supported with hybridqies"):
            circuit()

    def test_a_wire_that_is_not_there(self):
        with pytest.raises(WireError, match="not found on the device"):
            qml.QNode(read, device(2))(BATCH, WEIGHTS)

    def test_adjoint_gradients_of_probabilities(self):
        @qml.qnode(device(1), diff_method="adjoint")
        def circuit(x):
            qml.RX(x, 0)
            return qml.probs(wires=0)

        with pytest.raises(QuantumFunctionError, match="does not support adjoint with requested circuit"):
            circuit(qml.numpy.array(0.3, requires_grad=True))

    def test_a_second_circuit_that_has_no_adjoint_gradient(self):
        x = torch.tensor(0.3, requires_grad=True)
        read = (qml.expval(qml.Z(0)), qml.probs(wires=0))
        tapes = [qml.tape.QuantumScript([qml.RX(x, 0)], [each]) for each in read]
        with pytest.raises(DeviceError, match="use diff_method='parameter-shift'"):
            qml.execute(tapes, device(1), diff_method="best")

    def test_trainable_matrices(self):
        @qml.qnode(device(2))
        def circuit(x):
            qml.QubitUnitary(torch.linalg.matrix_exp(1j * x * torch.eye(4)), wires=[0, 1])
            return qml.expval(qml.Z(0))

        with pytest.raises(DeviceError, match="QubitUnitary on 2 wires was given trainable parameters"):
            circuit(torch.tensor(0.3, requires_grad=True))

    def test_second_derivatives(self):
        x = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)

        def circuit(x):
            qml.RX(x, 0)
            return qml.expval(qml.Z(0))

        with pytest.raises(QuantumFunctionError, match="does not support adjoint"):
            qml.QNode(circuit, device(1), diff_method="adjoint", max_diff=2)(x)
        slope = torch.autograd.grad(qml.QNode(circuit, device(1), max_diff=2)(x), x, create_graph=True)[0]
        curvature = torch.autograd.grad(slope, x)[0]
        np.testing.assert_allclose(curvature, -np.cos(0.3), rtol=0, atol=1e-10)

    @pytest.mark.parametrize("method", ["one-shot", "tree-traversal"])
    def test_other_ways_to_measure_in_the_circuit(self, method):
        @qml.set_shots(10)
        @qml.qnode(device(1), mcm_method=method)
        def circuit():
            qml.measure(0)
            return qml.expval(qml.Z(0))

        with pytest.raises(DeviceError, match=f"'{method}'; expected 'deferred'"):
            circuit()

    def test_options(self):
        with pytest.raises(DeviceError, match="device options max_workers; expected none"):
            device(1).preprocess(ExecutionConfig(device_options={"max_workers": 2}))

    def test_batches_of_two_sizes(self):
        tape = qml.tape.QuantumScript([qml.RX(np.ones(2), 0), qml.RX(np.ones(3), 1)], [qml.expval(qml.Z(0))])
        with pytest.raises(DeviceError, match=r"batches of \[2, 3\]"):
            device(2).execute(tape)

    def test_observables_that_are_not_hermitian(self):
        tape = qml.tape.QuantumScript([], [qml.expval(1j * qml.Z(0))])
        with pytest.raises(DeviceError, match="not Hermitian"):
            device(1).execute(tape)

    def test_states_that_do_not_fit(self):
        @qml.qnode(device(45))
        def circuit():
            qml.RX(0.1, 44)
            return qml.state()

        with pytest.raises(DeviceError, match="GiB"):
            circuit()


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


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_a_batch_of_two_axes_is_refused(convert):
    def rotate(angles):
        qml.RX(angles, 0)
        return qml.expval(qml.Z(0))

    with pytest.raises((DeviceError, ValueError), match=r"axis|dimension|shape"):
        qml.QNode(rotate, device(1))(convert(np.ones((2, 3))))

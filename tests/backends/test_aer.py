"""Aer beyond the contract: noise where it was written, one run a step, and compiled circuits bound right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import inputs_of
from strategies import case_of, every_gate

pytest.importorskip("qiskit_aer")

from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator

from hybridqies.backends import ExecutingBackend, load_backend
from hybridqies.backends.free_circuit import FreeCircuit
from hybridqies.backends.parameter_binding import Bindable
from hybridqies.backends.resources import Resources
from hybridqies.backends.transpiler import Transpiler, measured_qubits, used_qubits
from hybridqies.circuit import Circuit, PauliString, Start, Weight, feature, gate, load_circuit, to_qiskit
from hybridqies.errors import CapabilityError, InputError, UnknownNameError

DOUBLE = torch.float64
METHODS = ("statevector", "density_matrix", "matrix_product_state")
NOISE = "p1=0.02,p2=0.05,readout=0.03"
# Standard errors that a sampled value may be away from the exact one.
FAR = 4


@pytest.fixture
def runs(monkeypatch):
    """What each run call of Aer was given and gave: circuits handed in, and experiments run."""
    seen: list[tuple[int, int]] = []
    run = AerSimulator.run

    def counted(self, circuits, *given, **options):
        job = run(self, circuits, *given, **options)
        seen.append((len(circuits), len(job.result().results)))
        return job

    monkeypatch.setattr(AerSimulator, "run", counted)
    return seen


def within(estimate, exact):
    return bool(((estimate.values - exact).abs() <= FAR * estimate.standard_errors).all())


@pytest.mark.parametrize("method", METHODS)
def test_every_gate_is_exact_in_every_method(method):
    circuit = every_gate()
    inputs = inputs_of(case_of(circuit, seed=1, batch=4))
    exact = load_backend("statevector").expectations(circuit, *inputs)
    found = load_backend(f"aer:{method}").expectations(circuit, *inputs)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_complex_starts_are_exact_in_every_method(method):
    circuit = replace(every_gate(), start=Start.AMPLITUDES)
    inputs = inputs_of(case_of(circuit, seed=2, batch=3, complex_amplitudes=True))
    exact = load_backend("statevector").expectations(circuit, *inputs)
    found = load_backend(f"aer:{method}").expectations(circuit, *inputs)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_starts_in_single_precision_are_exact_in_every_method(method, dtype):
    circuit = Circuit.of(5, [gate("RX", 0, 0.3), gate("CNOT", (0, 3))], start=Start.AMPLITUDES)
    amplitudes = torch.randn(4, 32, dtype=dtype, generator=torch.Generator().manual_seed(0))
    features, weights = torch.zeros(4, 0), torch.zeros(0)
    double = amplitudes.to(torch.promote_types(dtype, DOUBLE))
    exact = load_backend("statevector").expectations(circuit, features.double(), weights.double(), double)
    found = load_backend(f"aer:{method}").expectations(circuit, features, weights, amplitudes)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-6)


def test_exact_noise_is_what_native_trajectories_average_to():
    circuit = every_gate()
    inputs = inputs_of(case_of(circuit, seed=1, batch=3))
    exact = load_backend(f"aer:density_matrix,{NOISE}").expectations(circuit, *inputs)
    native = load_backend(f"statevector,{NOISE},trajectories=4000").estimate(circuit, *inputs)
    assert within(native, exact)
    # The noise is no small matter here: without it the same test fails.
    assert not within(native, load_backend("aer").expectations(circuit, *inputs))


def test_noise_does_not_touch_a_start_from_amplitudes():
    circuit = Circuit.of(2, [gate("RX", 0, 0.3)], start=Start.AMPLITUDES)
    amplitudes = torch.tensor([[1.0, 2.0, 0.5, -1.0]], dtype=DOUBLE)
    given = torch.zeros(1, 0, dtype=DOUBLE), torch.zeros(0, dtype=DOUBLE), amplitudes
    exact = load_backend("aer").expectations(circuit, *given)
    noisy = load_backend("aer:density_matrix,p1=0.1,p2=0.5").expectations(circuit, *given)
    # Depolarising by p takes the Z of the qubit with the gate down to 1 - p of itself, and no other.
    np.testing.assert_allclose(noisy, exact * torch.tensor([0.9, 1.0], dtype=DOUBLE), rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["statevector", "matrix_product_state"])
def test_a_trajectory_a_shot_averages_to_the_exact_noise(method):
    circuit = every_gate()
    inputs = inputs_of(case_of(circuit, seed=3, batch=1))
    exact = load_backend(f"aer:density_matrix,{NOISE}").expectations(circuit, *inputs)
    sampled = load_backend(f"aer:{method},{NOISE},shots=2000").estimate(circuit, *inputs)
    assert within(sampled, exact)


def test_samples_of_aer_itself_and_of_its_probabilities_agree_with_the_values():
    wide = Circuit.of(13, [gate("RY", qubit, feature(qubit)) for qubit in range(13)])
    features = torch.linspace(0.2, 3, 26, dtype=DOUBLE).reshape(2, 13)
    for text in ("aer", "aer:matrix_product_state"):
        found = load_backend(f"{text},shots=3000").estimate(wide, features, torch.zeros(0, dtype=DOUBLE))
        assert within(found, torch.cos(features))


def test_qubits_are_read_in_our_order_and_flipped_at_readout():
    """X on qubit 0 of 3, by counts and by probabilities."""
    circuit = Circuit.of(3, [gate("X", 0)])
    nothing = torch.zeros(1, 0, dtype=DOUBLE), torch.zeros(0, dtype=DOUBLE)
    expected = torch.tensor([[-0.8, 0.8, 0.8]], dtype=DOUBLE)
    exact = load_backend("aer:density_matrix,readout=0.1").expectations(circuit, *nothing)
    np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-12)
    assert within(load_backend("aer,readout=0.1,shots=4000").estimate(circuit, *nothing), expected)


@pytest.mark.parametrize("rows", [1, 5])
def test_a_training_step_is_one_run_whatever_is_read(runs, rows):
    circuit = replace(
        load_circuit("long-range-reupload", 3),
        observables=(PauliString.parse("ZII"), PauliString.parse("XXI")),
    )
    features = torch.rand(rows, circuit.n_features, dtype=DOUBLE, requires_grad=True)
    weights = torch.rand(circuit.n_weights, dtype=DOUBLE, requires_grad=True)
    backend = load_backend("aer,shots=64")
    backend.expectations(circuit, features, weights).sum().backward()
    bases = 2
    assert runs == [(bases, bases * backend.n_circuits(circuit, rows))]  # type: ignore[attr-defined]


def test_rows_that_differ_in_more_than_angles_are_still_one_run(runs):
    circuit = Circuit.of(2, [gate("RY", 0, Weight(0))], start=Start.AMPLITUDES)
    given = torch.zeros(4, 0, dtype=DOUBLE), torch.rand(4, 1, dtype=DOUBLE), torch.rand(4, 4, dtype=DOUBLE)
    load_backend("aer").expectations(circuit, *given)
    load_backend("aer,shots=10").estimate(
        Circuit.of(1, [gate("H", 0)]), given[0], torch.zeros(0, dtype=DOUBLE)
    )
    assert runs == [(4, 4), (4, 4)]


def test_snapshot_noise_is_the_same_by_density_matrix_and_by_trajectories():
    pytest.importorskip("qiskit_ibm_runtime")
    circuit = load_circuit("long-range-reupload", 3)
    inputs = inputs_of(case_of(circuit, seed=4, batch=2))
    exact = load_backend("aer:density_matrix,device=fake_manila").expectations(circuit, *inputs)
    drawn = load_backend("aer,device=fake_manila,shots=3000").estimate(circuit, *inputs)
    assert within(drawn, exact)
    assert (exact - load_backend("aer").expectations(circuit, *inputs)).abs().max() > 0.05


def test_noise_of_the_qubits_in_use_is_the_snapshots_own():
    pytest.importorskip("qiskit_ibm_runtime")
    from hybridqies.backends.device_snapshots import build_noise_model, load_snapshot

    device = load_snapshot("fake_manila")
    whole = errors_of(device._get_noise_model_from_backend_v2())
    assert errors_of(build_noise_model(device, set(range(device.num_qubits)))) == whole
    inside = [each for each in whole if set(each["gate_qubits"][0]) <= {1, 2}]
    assert errors_of(build_noise_model(device, {1, 2})) == inside
    assert len(whole) > len(inside) > 2


def errors_of(noise):
    """A noise model's errors without the names that it draws for them, in an order of their own."""
    errors = [
        {**each, "id": None, "probabilities": np.round(each["probabilities"], 12).tolist()}
        for each in noise.to_dict()["errors"]
    ]
    return sorted(errors, key=lambda each: (each["operations"], each["gate_qubits"]))


def test_compiled_angles_are_a_matrix_product():
    """At random weights the bound circuit is the compiled one, expressions and all."""
    pytest.importorskip("qiskit_ibm_runtime")
    from hybridqies.backends.device_snapshots import load_snapshot

    circuit = FreeCircuit.of(every_gate()).circuit
    compiled = Transpiler(load_snapshot("fake_manila").target)(circuit)
    bindable = Bindable.of(compiled, circuit.n_weights)
    weights = np.random.default_rng(0).uniform(-3, 3, (2, circuit.n_weights))
    angles = bindable.binds(weights)
    assert set(angles) == set(bindable.circuit.parameters)
    for row, each in enumerate(weights):
        theirs = compiled.assign_parameters({at: each[at.index] for at in compiled.parameters})
        ours = bindable.circuit.assign_parameters({key: values[row] for key, values in angles.items()})
        places = measured_qubits(compiled)
        read = []
        for full in (theirs, ours):
            full.remove_final_measurements()
            read.append(Statevector(full).probabilities(places[::-1]))
        np.testing.assert_allclose(read[0], read[1], rtol=0, atol=1e-12)
        own = Statevector(to_qiskit(circuit).assign_parameters(each)).probabilities([2, 1, 0])
        np.testing.assert_allclose(read[1], own, rtol=0, atol=1e-12)


def test_barriers_and_measurements_are_no_depth():
    pytest.importorskip("qiskit_ibm_runtime")
    backend = load_backend("aer,device=fake_manila,shots=10")
    assert isinstance(backend, ExecutingBackend)
    assert backend.resources(Circuit.of(1, [gate("SX", 0)])) == Resources(depth=1, gates_1q=1, gates_2q=0)


def test_each_circuit_is_compiled_once():
    pytest.importorskip("qiskit_ibm_runtime")
    from hybridqies.backends.device_snapshots import load_snapshot

    transpiler = Transpiler(load_snapshot("fake_manila").target)
    circuit = load_circuit("long-range-reupload", 3)
    free = FreeCircuit.of(circuit).circuit
    compiled = transpiler(free)
    assert transpiler(replace(free, name="another name")) is compiled
    assert len(used_qubits(compiled)) == 3
    footprint = load_backend("aer,device=fake_manila,shots=10").resources(free)  # type: ignore[attr-defined]
    gates = dict(compiled.count_ops())
    assert footprint.gates_2q == gates["cx"] > free.two_qubit_gates()
    assert footprint.gates_1q == sum(gates.values()) - gates["cx"] - gates["measure"] - gates.get(
        "barrier", 0
    )
    assert load_backend("aer").resources(free) == Resources.of(free)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text", ["aer,p1=0.1", "aer:matrix_product_state,readout=0.1", "aer,device=fake_manila"]
)
def test_noise_of_pure_states_without_shots_is_refused(text):
    with pytest.raises(CapabilityError, match=r"noise without shots.*aer:density_matrix"):
        load_backend(text)


def test_options_that_contradict_or_do_not_exist_are_refused():
    with pytest.raises(CapabilityError, match="device=fake_manila was given with other noise"):
        load_backend("aer:density_matrix,device=fake_manila,p1=0.1")
    with pytest.raises(InputError, match="'p2' was given 2"):
        load_backend("aer,p2=2,shots=10")
    pytest.importorskip("qiskit_ibm_runtime")
    with pytest.raises(UnknownNameError, match=r"'fake_manilla'.*did you mean 'fake_manila'"):
        load_backend("aer:density_matrix,device=fake_manilla")


def test_a_device_takes_no_amplitudes_and_no_more_qubits_than_it_has():
    pytest.importorskip("qiskit_ibm_runtime")
    backend = load_backend("aer:density_matrix,device=fake_manila")
    assert backend.capabilities.max_qubits == 5
    with pytest.raises(CapabilityError, match="amplitudes"):
        backend.check(Circuit.of(2, [gate("X", 0)], start=Start.AMPLITUDES))
    with pytest.raises(CapabilityError, match="6 qubits"):
        backend.check(Circuit.of(6, [gate("X", 0)]))


def test_what_aer_does_not_run_is_an_error_with_its_reason(monkeypatch):
    backend = load_backend("aer")
    monkeypatch.setattr(AerSimulator, "run", refusing(AerSimulator.run))
    with pytest.raises(CapabilityError, match=r"'aer:statevector' did not run the circuits: .*memory"):
        backend.expectations(Circuit.of(20, [gate("H", 0)]), torch.zeros(2, 0), torch.zeros(0))


def refusing(run):
    return lambda self, *given, **options: run(self, *given, **options, max_memory_mb=1)

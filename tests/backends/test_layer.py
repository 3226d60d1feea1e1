from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from references import by_pennylane
from torch.autograd import forward_ad

from hybridqies.backends import BACKENDS, QuantumLayer, backend_class, load_backend, memory, statevector
from hybridqies.circuit import Circuit, PauliString, Start, Weight, feature, gate, load_circuit
from hybridqies.errors import CapabilityError, InputError, UnknownNameError
from hybridqies.testing.cases import product_parity

DOUBLE = torch.float64


def angles_in() -> Circuit:
    return load_circuit("strongly-entangling", 3)


def amplitudes_in() -> Circuit:
    """Four amplitudes, then two angles; three observables."""
    gates = [
        gate("RY", 0, feature(0)),
        gate("CRX", (0, 1), Weight(0)),
        gate("ROT", 1, Weight(1), feature(1), Weight(0)),
    ]
    observables = [PauliString.parse(word) for word in ("ZI", "XY", "IX")]
    return Circuit.of(2, gates, observables, start=Start.AMPLITUDES, name="amplitudes-in")


def layer_of(circuit: Circuit, dtype: torch.dtype = DOUBLE) -> QuantumLayer:
    return QuantumLayer(circuit, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (1, 2, 2), (0,), (2, 0)])
def test_the_last_axis_becomes_the_observables(lead):
    layer = layer_of(angles_in())
    inputs = torch.rand(*lead, 3, dtype=DOUBLE)
    values = layer(inputs)
    assert values.shape == (*lead, 3)
    assert values.dtype == DOUBLE
    flat = layer(inputs.reshape(-1, 3)) if inputs.numel() else values
    assert torch.equal(values.reshape(-1, 3), flat.reshape(-1, 3))


def test_a_circuit_without_inputs_gives_a_row_for_each_empty_one():
    layer = layer_of(Circuit.of(2, [gate("RX", 0, Weight(0))]))
    values = layer(torch.zeros(4, 0, dtype=DOUBLE))
    np.testing.assert_allclose(
        values[:, 0].detach(), layer.weights.cos().expand(4).detach(), rtol=0, atol=1e-14
    )


def test_amplitudes_come_before_angles():
    layer = layer_of(amplitudes_in())
    inputs = torch.rand(3, 6, dtype=DOUBLE) + 0.1
    expected = by_pennylane(layer.circuit, (inputs[:, 4:], layer.weights, inputs[:, :4]))
    np.testing.assert_allclose(layer(inputs).detach(), expected.detach(), rtol=0, atol=1e-12)


def test_amplitudes_may_have_any_length_and_the_gradient_knows():
    layer = layer_of(amplitudes_in())
    inputs = torch.rand(2, 6, dtype=DOUBLE) + 0.1
    longer = torch.cat([7 * inputs[:, :4], inputs[:, 4:]], dim=1)
    np.testing.assert_allclose(layer(longer).detach(), layer(inputs).detach(), rtol=0, atol=1e-13)
    longer.requires_grad_()
    assert torch.autograd.gradcheck(layer, longer)
    (gradient,) = torch.autograd.grad(layer(longer).sum(), longer)
    # Along the vector itself nothing changes.
    assert (gradient[:, :4] * longer[:, :4]).sum(dim=1).abs().max() < 1e-12


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_very_small_and_very_large_amplitudes_are_scaled_without_loss(size):
    layer = layer_of(amplitudes_in(), torch.float32)
    inputs = torch.rand(2, 6, generator=torch.Generator().manual_seed(1)) + 0.1
    far = torch.cat([size * inputs[:, :4], inputs[:, 4:]], dim=1)
    np.testing.assert_allclose(layer(far).detach(), layer(inputs).detach(), rtol=0, atol=1e-6)


def test_gradcheck_through_the_weights():
    layer = layer_of(amplitudes_in())
    inputs = torch.rand(2, 6, dtype=DOUBLE) + 0.1

    def values(weights):
        return torch.func.functional_call(layer, {"weights": weights}, (inputs,))

    assert torch.autograd.gradcheck(values, layer.weights)


def test_weights_are_the_one_parameter_and_survive_a_round_trip():
    layer = layer_of(angles_in())
    assert [name for name, _ in layer.named_parameters()] == ["weights"]
    assert layer.weights.shape == (layer.circuit.n_weights,)
    other = QuantumLayer(angles_in(), dtype=DOUBLE)
    other.load_state_dict(layer.state_dict())
    inputs = torch.rand(4, 3, dtype=DOUBLE)
    assert torch.equal(layer(inputs), other(inputs))


def test_a_generator_decides_the_start_and_a_spread_bounds_it():
    first, second = (layer_of(angles_in()).weights for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, QuantumLayer(angles_in(), dtype=DOUBLE).weights)
    many = Circuit.of(1, [gate("RX", 0, Weight(i)) for i in range(2000)])
    wide, narrow = layer_of(many).weights.detach(), QuantumLayer(many, spread=0.1).weights.detach()
    assert 0.98 * math.pi < wide.abs().max() <= math.pi
    assert 0.098 < narrow.abs().max() <= 0.1
    assert wide.min() < -3 < 3 < wide.max()


def test_a_copy_learns_by_itself():
    layer = layer_of(angles_in())
    inputs = torch.rand(4, 3, dtype=DOUBLE)
    before = layer(inputs)
    copied = copy.deepcopy(layer)
    assert torch.equal(copied(inputs), before)
    with torch.no_grad():
        copied.weights += 1  # type: ignore[misc]
    assert torch.equal(layer(inputs), before)
    assert not torch.allclose(copied(inputs), before)


def test_precision_follows_the_module():
    layer = QuantumLayer(angles_in())
    assert layer(torch.rand(2, 3)).dtype == torch.float32
    assert layer.double()(torch.rand(2, 3, dtype=DOUBLE)).dtype == DOUBLE


def test_what_print_shows():
    shown = "QuantumLayer(amplitudes-in, qubits=2, inputs=6, weights=2, backend=statevector)"
    assert repr(layer_of(amplitudes_in())) == shown


def test_layers_learn_in_a_stack():
    torch.manual_seed(0)
    layer = QuantumLayer(angles_in())
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), layer, torch.nn.Linear(3, 1))
    inputs = torch.randn(64, 4)
    targets = torch.sin(inputs[:, :1]) * inputs[:, 1:2].sign()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    start = layer.weights.detach().clone()
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        losses.append(torch.nn.functional.mse_loss(model(inputs), targets))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.6 * losses[0]
    assert not torch.equal(layer.weights, start)


def test_an_empty_batch_has_gradient_zero():
    for circuit in (angles_in(), amplitudes_in()):
        layer = layer_of(circuit)
        inputs = torch.zeros(0, circuit.n_inputs, dtype=DOUBLE, requires_grad=True)
        layer(inputs).sum().backward()
        assert inputs.grad.shape == inputs.shape
        assert not layer.weights.grad.any()


@pytest.mark.parametrize("shape", [(), (2,), (5, 4), (3, 2)])
def test_a_wrong_width_is_refused(shape):
    with pytest.raises(InputError, match=r"inputs of shape .* 0 amplitudes, then 3 angles"):
        layer_of(angles_in())(torch.zeros(shape, dtype=DOUBLE))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(("column", "what"), [(0, "amplitudes"), (5, "features")])
def test_what_is_not_finite_is_refused(column, what, value):
    inputs = torch.ones(2, 6, dtype=DOUBLE)
    inputs[1, column] = value
    with pytest.raises(InputError, match=f"{what} hold NaN or infinity"):
        layer_of(amplitudes_in())(inputs)


def test_weights_that_diverged_are_refused():
    layer = layer_of(angles_in())
    with torch.no_grad():
        layer.weights[0] = math.nan
    with pytest.raises(InputError, match="weights hold NaN"):
        layer(torch.zeros(2, 3, dtype=DOUBLE))


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (torch.float32, "weights are float64 and features are float32"),
        (torch.int64, "features are int64"),
        (torch.complex64, "features are complex64"),
    ],
)
def test_another_precision_is_refused(dtype, message):
    with pytest.raises(InputError, match=message):
        layer_of(angles_in())(torch.ones(2, 3).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_from_autocast_is_run_in_the_precision_of_the_weights(dtype):
    layer, inputs = layer_of(angles_in()), torch.rand(2, 3).to(dtype)
    assert torch.equal(layer(inputs), layer(inputs.to(DOUBLE)))


def test_a_zero_amplitude_vector_is_refused_by_its_row():
    inputs = torch.ones(3, 6, dtype=DOUBLE)
    inputs[2, :4] = 0
    with pytest.raises(InputError, match="sample 2 is zero"):
        layer_of(amplitudes_in())(inputs)


def test_sixty_qubits_are_refused_when_the_layer_is_made():
    circuit = Circuit.of(60, [gate("RY", 0, Weight(0))], start=Start.AMPLITUDES)
    with pytest.raises(
        CapabilityError, match="60 qubits were asked of backend 'statevector'; expected at most"
    ):
        QuantumLayer(circuit)
    with pytest.raises(CapabilityError, match="has 60 qubits, too many for backend 'statevector'"):
        QuantumLayer(product_parity(60))


def test_more_memory_than_is_free_is_refused(monkeypatch):
    layer = layer_of(angles_in())
    inputs = torch.zeros(1000, 3, dtype=DOUBLE)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 100_000)
    # A few states are not worth the question.
    assert layer(inputs).shape == (1000, 3)
    monkeypatch.setattr(statevector, "_ALWAYS_THERE", 0)
    with pytest.raises(CapabilityError, match="1000 samples of 3 qubits need about"):
        layer(inputs)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1_000_000)
    assert layer(inputs).shape == (1000, 3)


def test_free_memory_is_read_from_the_system():
    assert 2**20 < memory.free_bytes(torch.device("cpu")) <= 2**63


def test_an_unknown_backend_is_answered_with_the_nearest():
    for ask in (load_backend, backend_class, lambda name: QuantumLayer(angles_in(), name)):
        with pytest.raises(UnknownNameError, match="did you mean 'statevector'"):
            ask("state-vector")


def test_a_backend_may_be_given_as_an_object():
    backend = load_backend("statevector")
    assert QuantumLayer(angles_in(), backend).backend is backend
    assert set(BACKENDS) >= {"statevector"}


def test_autocast_does_not_reach_the_circuit():
    """Half precision from the layer before is taken as float32, and nothing is rounded to it inside."""
    circuit = load_circuit("long-range-reupload", 3)
    layer = QuantumLayer(circuit, generator=torch.Generator().manual_seed(0))
    inputs = torch.randn(4, circuit.n_features, generator=torch.Generator().manual_seed(1)).bfloat16()
    expected = layer(inputs.float())
    with torch.autocast("cpu", torch.bfloat16):
        given = layer(inputs)
    assert given.dtype is torch.float32
    assert torch.equal(given, expected)
    assert torch.equal(layer(inputs), expected)


@pytest.mark.parametrize("spec", ["statevector", "statevector,shots=10,gradient=shift", "aer", "pennylane"])
def test_what_a_backend_cannot_follow_is_refused_by_name(spec):
    circuit = Circuit.of(2, [gate("RY", 0, feature(0)), gate("CRX", (0, 1), Weight(0))])
    backend, rows, weights = load_backend(spec), torch.rand(3, 1), torch.rand(1)

    def run(features):
        return backend.expectations(circuit, features, weights)

    for transform in (
        lambda: torch.func.vmap(run)(rows),
        lambda: torch.func.jacrev(run)(rows),
        lambda: torch.func.jvp(run, (rows,), (rows,)),
    ):
        with pytest.raises(CapabilityError, match=r"torch\.func|forward-mode"):
            transform()
    with forward_ad.dual_level(), pytest.raises(CapabilityError, match="forward-mode"):
        run(forward_ad.make_dual(rows, rows))
    with pytest.raises(InputError, match="sparse"):
        run(rows.to_sparse())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"copies": 0}, "0 copies"),
        ({"copies": 2.5}, "copies of a circuit"),
        ({"copies": True}, "copies of a circuit"),
        ({"spread": -1.0}, "spread of -1.0"),
        ({"spread": math.nan}, "spread of nan"),
        ({"spread": math.inf}, "spread of inf"),
        ({"backend": None}, "backend was given as None"),
        ({"backend": backend_class("statevector")}, "backend was given as"),
        ({"circuit": "rot-ring"}, "given 'rot-ring'; expected a Circuit"),
    ],
)
def test_settings_of_a_layer_that_mean_nothing_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        QuantumLayer(**({"circuit": angles_in()} | options))


@pytest.mark.parametrize("inputs", [[[0.5, 0.5, 0.5]], np.zeros((1, 3), np.float32), None])
def test_inputs_that_are_no_tensor_are_refused(inputs):
    with pytest.raises(InputError, match="expected a tensor"):
        QuantumLayer(angles_in())(inputs)


def test_numpy_numbers_are_settings_of_a_layer():
    layer = QuantumLayer(angles_in(), copies=np.int64(2), spread=np.float32(0.5))  # type: ignore[arg-type]
    assert layer.weights.shape == (2, layer.circuit.n_weights)
    assert type(layer.copies) is int

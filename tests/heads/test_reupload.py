"""The data re-uploading head: columns go straight into the gates, each upload with a scale of its own."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
import pytest
import torch
from built_heads import built_head

from hybridqies.circuit import load_circuit
from hybridqies.circuit.recipe import MAX_QUBITS
from hybridqies.errors import CapabilityError, CircuitError, InputError
from hybridqies.heads import build_head
from hybridqies.heads.base import Head, HeadContext

D = 13


def build(n_inputs: int = D, n_classes: int = 2, **settings: Any) -> Head:
    return built_head("reupload", n_inputs, n_classes, **settings)


def sample(rows: int = 6, columns: int = D) -> torch.Tensor:
    return 3 * torch.randn(rows, columns, generator=torch.Generator().manual_seed(3)) + 1


def angles_of(head: Head, rows: torch.Tensor) -> torch.Tensor:
    """What the circuit is given for `rows`, (B, features)."""
    seen: list[torch.Tensor] = []
    head.circuit.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    head(rows)
    return seen[0]


def rot(phi: float, theta: float, omega: float) -> np.ndarray[Any, Any]:
    """RZ(omega) RY(theta) RZ(phi)."""

    def rz(angle: float) -> np.ndarray[Any, Any]:
        return np.diag([cmath.exp(-0.5j * angle), cmath.exp(0.5j * angle)])

    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return rz(omega) @ np.array([[c, -s], [s, c]]) @ rz(phi)


def test_one_qubit_is_the_papers_product_of_rotations() -> None:
    head = build(3, layers=2)
    rows = sample(4, 3)
    head.adapt(rows)
    state = {name: value.numpy() for name, value in head.state_dict().items()}
    span = (rows - rows.amin(dim=0)) / (rows.amax(dim=0) - rows.amin(dim=0))
    scaled = ((span - 0.5) * math.pi).numpy()
    for row, logits in zip(scaled, head(rows).detach(), strict=True):
        vector = np.array([1, 0], dtype=complex)
        for upload, angles in enumerate(state["circuit.weights"].reshape(3, 3)):
            vector = rot(*angles) @ rot(*(row * state["scale"][upload])) @ vector
        z = abs(vector[0]) ** 2 - abs(vector[1]) ** 2
        expected = state["readout.weight"][:, 0] * z + state["readout.bias"]
        np.testing.assert_allclose(logits.numpy(), expected, atol=1e-5)


def test_every_upload_has_all_columns_times_its_scale_and_zeros_in_empty_places() -> None:
    head = build(layers=3)
    rows = sample()
    head.adapt(rows)
    scale = head.state_dict()["scale"]
    uploads = angles_of(head, rows).reshape(6, 4, 15)
    torch.testing.assert_close(uploads[..., :D] / scale, (uploads[:, :1, :D] / scale[0]).expand(-1, 4, -1))
    assert not uploads[..., D:].any()


@pytest.mark.parametrize("reach", [math.pi / 2, 0.3])
def test_the_training_columns_span_their_reach(reach: float) -> None:
    head = build(reach=reach)
    rows = sample(50)
    head.adapt(rows)
    before = (angles_of(head, rows).reshape(50, 5, 15)[..., :D] / head.state_dict()["scale"])[:, 0]
    torch.testing.assert_close(before.amax(dim=0), torch.full((D,), reach))
    torch.testing.assert_close(before.amin(dim=0), torch.full((D,), -reach))


def test_a_column_that_never_changes_is_zero() -> None:
    head = build()
    rows = sample()
    rows[:, 2] = 7
    head.adapt(rows)
    angles = angles_of(head, rows).reshape(6, 5, 15)
    assert not angles[..., 2].any()
    assert angles[..., 3].any()


def test_a_circuit_that_repeats_its_features_has_one_scale_a_column() -> None:
    head = build(4, n_qubits=4, circuit="strongly-entangling", columns_per_qubit=1)
    assert head.state_dict()["scale"].shape == (1, 4)
    assert head(sample(6, 4)).shape == (6, 2)


@pytest.mark.parametrize(("columns", "qubits"), [(1, 1), (3, 1), (4, 2), (13, 5)])
def test_it_takes_as_many_qubits_as_the_columns_need(columns: int, qubits: int) -> None:
    assert build(columns).circuits()["circuit"].n_qubits == qubits
    assert build(columns, n_qubits=6).circuits()["circuit"].n_qubits == 6


def test_no_linear_layer_stands_before_the_circuit() -> None:
    head = build(n_classes=3)
    assert {name for name, _ in head.named_parameters()} == {
        "scale",
        "circuit.weights",
        "readout.weight",
        "readout.bias",
    }
    head(sample()).square().sum().backward()
    for name, value in head.named_parameters():
        assert value.grad is not None
        assert float(value.grad.abs().max()) > 0, name


def test_a_start_is_a_function_of_its_seed() -> None:
    first, again, other = (build(seed=seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["scale"], other["scale"])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"13 columns were given to uploads of 12 features; .* at most 12"):
        build(n_qubits=4)
    with pytest.raises(InputError, match=r"'product' has 5 angle features .* a multiple of 15"):
        build(circuit="product")
    with pytest.raises(InputError, match="'long-range-encoder' has 0 angle features"):
        build(circuit="long-range-encoder")
    with pytest.raises(CircuitError, match="0 qubits"):
        build(n_qubits=0)
    with pytest.raises(
        InputError, match=r"384 columns .* at most 84 on .*; set a number of qubits and reduce"
    ):
        build_head("reupload", {}, HeadContext(384, 2, backend="pennylane"))
    most = 3 * MAX_QUBITS
    with pytest.raises(InputError, match=rf"{most + 1} columns .* at most {most} on backend 'statevector'"):
        build(most + 1)
    with pytest.raises(CapabilityError, match=r"the light cone of observable Z.* has 29 qubits"):
        build(29, n_qubits=29, circuit="strongly-entangling", columns_per_qubit=1)


def test_all_columns_of_an_embedding_fit_on_128_qubits() -> None:
    head = build(384, layers=1, seed=3)
    rows = sample(8, 384)
    head.adapt(rows)
    logits = head(rows)
    assert head.circuits()["circuit"].n_qubits == 128
    assert head.describe().n_parameters == head.n_trained() == 2 * 384 + 3 * 2 * 128 + 2 * 128 + 2
    logits[:, 0].sum().backward()
    for name, value in head.named_parameters():
        assert value.grad is not None
        assert int((value.grad != 0).sum()) > value.numel() // 3, name


def test_principal_components_stand_for_columns_where_they_do_not_fit() -> None:
    rows = sample(40) @ torch.diag(torch.arange(1.0, D + 1))
    head = build(n_qubits=2, reduce="pca", layers=1)
    head.adapt(rows)
    centred = (rows - rows.mean(dim=0)).double()
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    components = centred @ axes[:6].T
    # Signs are arbitrary; the widest column spans its reach, and the others are in proportion.
    spans = components.aminmax(dim=0)
    widest = (spans.max - spans.min).max()
    expected = ((components - (spans.min + spans.max) / 2) / widest * math.pi).abs()
    scale = head.state_dict()["scale"]
    found = angles_of(head, rows).reshape(40, 2, 6)[:, 0] / scale[0]
    torch.testing.assert_close(found.abs().double(), expected, rtol=0, atol=2e-4)
    # With enough qubits the columns are taken as they are, and nothing is fitted but their range.
    assert "directions" not in build(n_qubits=5, reduce="pca").state_dict()


def test_its_circuit_without_entanglers_has_the_same_angles() -> None:
    full, twin = (load_circuit("data-reuploading", 4, entangled=each) for each in (True, False))
    assert (full.n_weights, full.n_features) == (twin.n_weights, twin.n_features) == (60, 60)
    assert (full.two_qubit_gates(), twin.two_qubit_gates()) == (12, 0)

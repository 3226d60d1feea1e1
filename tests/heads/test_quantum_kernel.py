"""The quantum-kernel head gives PennyLane's kernels and scikit-learn's decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch
from built_heads import built_head
from sklearn.decomposition import PCA
from sklearn.svm import SVC

from hybridqies.backends import load_backend
from hybridqies.errors import CapabilityError, InputError
from hybridqies.heads import build_head, head_options
from hybridqies.heads import quantum_kernel as module
from hybridqies.heads.base import HeadContext
from hybridqies.heads.quantum_kernel import QuantumKernelHead

D, N_QUBITS = 6, 3


def clouds(n_classes: int = 2, rows: int = 60, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % n_classes
    values = draw.normal(size=(rows, D)) * [3, 2, 1.5, 1, 0.5, 0.2] + 2 * np.eye(n_classes, D)[labels]
    return torch.tensor(values), torch.tensor(labels)


def solved(n_classes: int = 2, **settings: Any) -> QuantumKernelHead:
    """A head in float64, solved on `clouds`."""
    given = {"n_qubits": N_QUBITS, "bandwidth": 0.4, **settings}
    head = built_head("quantum-kernel", D, n_classes, **given).double()
    assert isinstance(head, QuantumKernelHead)
    x, y = clouds(n_classes)
    head.adapt(x)
    head.solve(x, y, None, 0)
    return head


def feature_map(angles: Any) -> None:
    """Havlíček et al., Eq. 8, two uploads, products of neighbours."""
    for _ in range(2):
        for wire in range(N_QUBITS):
            qml.Hadamard(wire)
        for wire in range(N_QUBITS):
            qml.RZ(2 * angles[wire], wire)
        for wire in range(N_QUBITS - 1):
            qml.IsingZZ(2 * angles[wire] * angles[wire + 1], wires=[wire, wire + 1])


DEVICE = qml.device("default.qubit", wires=N_QUBITS)


@qml.qnode(DEVICE)
def overlap(left: Any, right: Any) -> Any:
    feature_map(left)
    qml.adjoint(feature_map)(right)
    return qml.probs(wires=range(N_QUBITS))


@qml.qnode(DEVICE)
def state(angles: Any) -> Any:
    feature_map(angles)
    return qml.state()


def principal(rows: torch.Tensor) -> np.ndarray:
    """Whitened principal components of new rows, by scikit-learn, up to signs."""
    return PCA(N_QUBITS, whiten=True).fit(clouds()[0].numpy()).transform(rows.numpy())


def test_angles_are_whitened_principal_components() -> None:
    rows = clouds(seed=1)[0]
    ours = solved().angles(rows).numpy()
    # scikit-learn divides by N - 1.
    theirs = principal(rows) * 0.4 * (60 / 59) ** 0.5
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs * signs, atol=1e-12)


def test_the_fidelity_is_pennylanes() -> None:
    head, rows = solved(), clouds(seed=1, rows=7)[0]
    left, right = head.angles(rows).numpy(), head.vectors.numpy()
    expected = qml.kernels.kernel_matrix(left, right, lambda a, b: overlap(a, b)[0])
    np.testing.assert_allclose(head.kernel(rows).numpy(), expected, atol=1e-12)


def test_the_projected_kernel_is_that_of_reduced_density_matrices() -> None:
    head, rows = solved(kernel="projected", gamma=0.7), clouds(seed=1, rows=7)[0]
    x, y = clouds()
    training = head.angles(x).numpy()
    values = np.stack([_reduced(each) for each in training])
    new = np.stack([_reduced(each) for each in head.angles(rows).numpy()])

    def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        apart = np.abs(left[:, None] - right[None]) ** 2
        return np.exp(-0.7 * apart.sum(axis=(2, 3, 4)))

    model = SVC(kernel="precomputed").fit(kernel(values, values), y.numpy())
    np.testing.assert_allclose(head.kernel(rows).numpy(), kernel(new, values[model.support_]), atol=1e-12)
    logits = head(rows).numpy()
    np.testing.assert_allclose(
        logits[:, 1] - logits[:, 0], model.decision_function(kernel(new, values)), atol=1e-9
    )


def _reduced(angles: np.ndarray) -> np.ndarray:
    """The density matrix of every qubit, (n, 2, 2)."""
    whole = state(angles)
    return np.stack([qml.math.reduce_statevector(whole, [qubit]) for qubit in range(N_QUBITS)])


@pytest.mark.parametrize("n_classes", [2, 4])
def test_decisions_are_scikit_learns(n_classes: int) -> None:
    head, (x, y) = solved(n_classes, C=3.0), clouds(n_classes)
    rows = clouds(n_classes, seed=1)[0]
    states = head.circuit.states(head.angles(x))
    others = head.circuit.states(head.angles(rows))
    gram, new = (states @ states.mH).abs() ** 2, (others @ states.mH).abs() ** 2
    model = SVC(C=3.0, kernel="precomputed", break_ties=True).fit(gram.numpy(), y.numpy())
    logits = head(rows)
    assert (logits.argmax(dim=1).numpy() == model.predict(new.numpy())).all()
    theirs = model.decision_function(new.numpy())
    ours = (logits[:, 1] - logits[:, 0] if n_classes == 2 else logits).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = clouds(seed=1)[0]
    for kernel in ("fidelity", "projected"):
        whole = solved(kernel=kernel)
        monkeypatch.setattr(module, "_AMPLITUDES", 7 << N_QUBITS)
        pieces = solved(kernel=kernel)
        torch.testing.assert_close(pieces.kernel(rows), whole.kernel(rows), atol=1e-12, rtol=0)
        monkeypatch.undo()


def test_columns_are_taken_as_they_are() -> None:
    x = torch.tensor([[1.0, 5.0], [3.0, 5.0], [1.0, 5.0], [3.0, 5.0]], dtype=torch.float64)
    head = built_head("quantum-kernel", 2, n_qubits=3, reduce="columns", bandwidth=0.5).double()
    head.adapt(x)
    expected = torch.tensor([[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0]] * 2, dtype=torch.float64)
    torch.testing.assert_close(head.angles(x), expected)  # type: ignore[operator]
    wide = built_head("quantum-kernel", 4, n_qubits=3, reduce="columns")
    with pytest.raises(InputError, match="4 columns were given to a circuit of 3 features"):
        wide.adapt(torch.randn(5, 4))


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_fewer_rows_or_columns_than_features(rows: int) -> None:
    head = built_head("quantum-kernel", 2, n_qubits=4)
    x = torch.randn(rows, 2, generator=torch.Generator().manual_seed(0))
    head.adapt(x)
    angles = head.angles(x)  # type: ignore[operator]
    assert torch.isfinite(angles).all()
    assert (angles[:, min(rows, 2) :] == 0).all()


def test_state_round_trip() -> None:
    for kernel in ("fidelity", "projected"):
        head, rows = solved(4, kernel=kernel), clouds(4, seed=1)[0]
        copy = built_head("quantum-kernel", D, 4, seed=9, n_qubits=N_QUBITS, bandwidth=0.4, kernel=kernel)
        copy = copy.double()
        copy.load_state_dict(head.state_dict())
        assert torch.equal(copy(rows), head(rows))


def test_the_fidelity_needs_states_and_the_projected_kernel_only_expectations() -> None:
    for backend in ("statevector,shots=1000", "statevector,p1=0.01", "pennylane"):
        with pytest.raises(CapabilityError, match=f"fidelity was asked of backend '{backend[:9]}.*projected"):
            _on(backend, kernel="fidelity")
    head, exact = _on("pennylane", kernel="projected"), _on("statevector", kernel="projected")
    x, y = clouds()
    for each in (head, exact):
        each.adapt(x.float())
        each.solve(x.float(), y, None, 0)
    torch.testing.assert_close(head(x.float()), exact(x.float()), atol=1e-4, rtol=0)


def _on(backend: str, **settings: Any) -> Any:
    options = head_options("quantum-kernel", settings, n_qubits=N_QUBITS)
    return build_head("quantum-kernel", options, HeadContext(D, 2, backend, torch.Generator().manual_seed(0)))


def test_states_are_refused_by_name() -> None:
    circuit = solved().circuit.circuit
    with pytest.raises(CapabilityError, match="backend 'aer:statevector' was asked for final states"):
        load_backend("aer").states(circuit, torch.zeros(1, N_QUBITS), torch.zeros(0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 1.0}, "gamma=1.0 was given with kernel=fidelity, which has none"),
        ({"bandwidth": 0}, "'bandwidth' was given 0"),
        ({"circuit": "long-range-encoder"}, "expected one with angle features"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        built_head("quantum-kernel", D, **{"n_qubits": N_QUBITS, **settings})


def test_too_many_rows_for_a_kernel_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 59)
    with pytest.raises(InputError, match=r"60 rows were given to a fidelity kernel.*at most 59 rows"):
        solved()
    solved(kernel="projected")

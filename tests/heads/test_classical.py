"""Classical heads give scikit-learn's own answers, from tensors that can be saved without a pickle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.heads import build_head
from hybridqies.heads.base import Head, HeadContext

D = 11


def blobs(n_classes: int, rows: int = 180, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Overlapping clouds of unequal sizes, so that classifiers make mistakes."""
    draw = np.random.default_rng(seed)
    labels = np.sort(draw.integers(0, n_classes, rows) * draw.integers(0, 2, rows))
    labels[:n_classes] = np.arange(n_classes)
    # Coarse values are exact in float32, so that both sides see the same numbers.
    values = np.round((draw.normal(size=(rows, D)) + np.eye(n_classes, D)[labels] * 2) * 64) / 64
    return torch.tensor(values, dtype=torch.float32), torch.tensor(labels)


def solved(name: str, n_classes: int, weights: torch.Tensor | None = None, **options: Any) -> Head:
    head = build_head(name, options, HeadContext(D, n_classes))
    head.solve(*blobs(n_classes), weights, 0)  # type: ignore[operator]
    return head


def arrays(n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, y = blobs(n_classes, seed=seed)
    return x.double().numpy(), y.numpy()


@pytest.mark.parametrize("n_classes", [2, 6])
@pytest.mark.parametrize("strength", [0.1, 1.0, 100.0])
def test_logistic_regression(n_classes: int, strength: float) -> None:
    model = LogisticRegression(C=strength, max_iter=1000).fit(*arrays(n_classes))
    fresh, _ = blobs(n_classes, seed=1)
    with torch.no_grad():
        ours = torch.softmax(solved("logistic", n_classes, C=strength)(fresh), dim=1).numpy()
    theirs = model.predict_proba(fresh.double().numpy())
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    assert (ours.argmax(axis=1) == model.predict(fresh.double().numpy())).all()


@pytest.mark.parametrize("n_classes", [2, 6])
@pytest.mark.parametrize("options", [{}, {"C": 100.0}, {"kernel": "linear", "C": 0.1}], ids=str)
def test_support_vector_classifier(n_classes: int, options: dict[str, Any]) -> None:
    settings = {"C": 1.0, "kernel": "rbf"} | options
    model = SVC(gamma="scale", break_ties=True, **settings).fit(*arrays(n_classes))
    fresh, _ = blobs(n_classes, seed=1)
    logits = solved("svc", n_classes, **options)(fresh).numpy()
    theirs = model.decision_function(fresh.double().numpy())
    if n_classes == 2:
        np.testing.assert_allclose(logits[:, 1] - logits[:, 0], theirs, atol=1e-4)
    else:
        np.testing.assert_allclose(logits, theirs, atol=1e-4)
    assert (logits.argmax(axis=1) == model.predict(fresh.double().numpy())).all()
    assert len(set(logits.argmax(axis=1).tolist())) == n_classes


@pytest.mark.parametrize("name", ["logistic", "svc"])
@pytest.mark.parametrize("n_classes", [2, 6])
def test_class_weights_are_scikit_learns(name: str, n_classes: int) -> None:
    from hybridqies.training import ClassWeights
    from hybridqies.training.objectives import class_weights

    _, y = blobs(n_classes)
    weights = class_weights(y, n_classes, ClassWeights.BALANCED)
    kind: Any = LogisticRegression if name == "logistic" else SVC
    extra = {"max_iter": 1000} if name == "logistic" else {"break_ties": True}
    model = kind(class_weight="balanced", **extra).fit(*arrays(n_classes))
    plain = kind(**extra).fit(*arrays(n_classes))
    fresh, _ = blobs(n_classes, seed=1)
    ours = solved(name, n_classes, weights)(fresh).argmax(dim=1).numpy()
    assert (ours == model.predict(fresh.double().numpy())).all()
    assert (ours != plain.predict(fresh.double().numpy())).any()


@pytest.mark.parametrize("n_classes", [2, 6])
@pytest.mark.parametrize("name", ["logistic", "svc"])
def test_state_round_trip(name: str, n_classes: int) -> None:
    head = solved(name, n_classes)
    fresh, _ = blobs(n_classes, seed=1)
    copy = build_head(name, {}, HeadContext(D, n_classes))
    copy.load_state_dict(head.state_dict())
    assert torch.equal(copy(fresh), head(fresh))
    assert copy.n_trained() == head.n_trained()


def test_one_embedding_for_all_is_no_crash() -> None:
    head = build_head("svc", {}, HeadContext(D, 2))
    x, y = torch.ones(10, D), torch.arange(10) % 2
    head.solve(x, y, None, 0)  # type: ignore[operator]
    assert torch.isfinite(head(x)).all()


@pytest.mark.parametrize("name", ["logistic", "svc", "quantum-kernel"])
@pytest.mark.parametrize("present", [(0, 2), (1, 2), (0, 0)])
def test_a_class_without_a_row_is_refused(name: str, present: tuple[int, int]) -> None:
    head = build_head(name, {"n_qubits": 2} if name == "quantum-kernel" else {}, HeadContext(D, 3))
    x, y = torch.randn(10, D), torch.tensor(present * 5)
    missing = 3 - len(set(present))
    head.adapt(x)
    with pytest.raises(InputError, match=f"{missing} of 3 classes have no training row; the first is"):
        head.solve(x, y, None, 0)  # type: ignore[operator]


@pytest.mark.parametrize(("n_inputs", "n_classes"), [(0, 2), (-1, 2), (8, 0)])
def test_a_head_of_no_size_is_refused(n_inputs: int, n_classes: int) -> None:
    with pytest.raises(InputError, match="size of a head"):
        build_head("mlp", {}, HeadContext(n_inputs, n_classes))


def test_an_unsolved_support_vector_classifier_says_so() -> None:
    with pytest.raises(InputError, match="has not been solved yet; fit it first"):
        build_head("svc", {}, HeadContext(D, 2))(blobs(2)[0])


def test_an_unknown_kernel_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        build_head("svc", {"kernel": "lineer"}, HeadContext(D, 2))
    assert caught.value.nearest == "linear"


def test_mlp_is_linear_layers_with_relu_between() -> None:
    head = build_head("mlp", {"widths": (5, 3)}, HeadContext(D, 2, generator=torch.Generator()))
    x, _ = blobs(2)
    first, second, third = (layer for layer in head.layers if isinstance(layer, torch.nn.Linear))
    expected = third(torch.relu(second(torch.relu(first(x)))))
    torch.testing.assert_close(head.eval()(x), expected)


@pytest.mark.parametrize("widths", [(0,), (4, -1)])
def test_widths_below_one_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"hidden widths .* were asked for; expected widths of 1 to"):
        build_head("mlp", {"widths": widths}, HeadContext(D, 2))


def test_matched_mlp_needs_a_target() -> None:
    with pytest.raises(InputError, match="target=0; expected the parameter count to match; set target=N"):
        build_head("matched-mlp", {}, HeadContext(D, 2))

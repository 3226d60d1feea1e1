"""Models with adapters under torch.compile: one graph, the same outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from adapter_rows import METHODS, ROWS, Case


def compare(case: Case, backend: str) -> None:
    model = case.adapted()
    trained = [each for each in model.parameters() if each.requires_grad]
    expected = case.row.run(model)
    gradients = torch.autograd.grad(expected.square().mean(), trained)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    found = case.row.run(compiled)
    torch.testing.assert_close(found, expected, atol=1e-11, rtol=0)
    for each, gradient in zip(torch.autograd.grad(found.square().mean(), trained), gradients, strict=True):
        torch.testing.assert_close(each, gradient, atol=1e-11, rtol=0)


@pytest.mark.parametrize(
    "method",
    [pytest.param(name, marks=() if name == "quanta-zero" else pytest.mark.slow) for name in METHODS],
)
def test_a_compiled_model_is_one_graph(method) -> None:
    compare(Case(method, ROWS["words"]), "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_model_compiled_to_machine_code(method) -> None:
    compare(Case(method, ROWS["perceptron"]), "inductor")

"""What torch's autograd may ask of a simulation, and what it is refused."""

from __future__ import annotations

import itertools

import pytest
import torch
from engine.kernel_runs import encoder
from references import inputs_of
from strategies import case_of, every_gate
from torch.autograd import forward_ad

from hybridqies.engine import (
    compile_plan,
    cpu_kernels,
    expectations,
    simulate,
    torch_kernels,
)
from hybridqies.errors import CapabilityError

# Of autograd


def test_a_second_derivative_is_refused():
    case = case_of(every_gate(), seed=0)
    features, weights, _ = inputs_of(case, wants_gradient=True)
    values = expectations(compile_plan(case.circuit), features, weights)
    with pytest.raises(CapabilityError, match="second derivative"):
        torch.autograd.grad(values.sum(), features, create_graph=True)


@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
def test_transforms_of_torch_func_are_refused_by_name(monkeypatch, kernels):
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    case = case_of(encoder(3, 1), seed=0, batch=4)
    features, weights, _ = inputs_of(case)
    plan = compile_plan(case.circuit)

    def run(rows: torch.Tensor) -> torch.Tensor:
        return expectations(plan, rows, weights)

    for transform in (
        lambda: torch.func.vmap(run)(features[:, None]),
        lambda: torch.func.grad(lambda rows: run(rows).sum())(features),
        lambda: torch.func.jacrev(run)(features),
        lambda: torch.autograd.functional.jacobian(run, features, vectorize=True),
    ):
        with pytest.raises(CapabilityError, match=r"torch\.func"):
            transform()
    assert torch.autograd.functional.jacobian(run, features).shape == (*run(features).shape, *features.shape)


@pytest.mark.parametrize("wanted", [False, True])
def test_forward_mode_is_refused_by_name(wanted):
    case = case_of(encoder(3, 1), seed=0, batch=4)
    features, weights, _ = inputs_of(case, wants_gradient=wanted)
    plan = compile_plan(case.circuit)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(features, torch.ones_like(features))
        with pytest.raises(CapabilityError, match="forward-mode"):
            expectations(plan, dual, weights)
        assert expectations(plan, features, weights).shape[0] == 4


@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
def test_backward_may_be_called_again(monkeypatch, path, kernels):
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    case = case_of(encoder(3, 1), seed=0, batch=9)
    inputs = inputs_of(case, wants_gradient=True)
    total = expectations(compile_plan(case.circuit), *inputs).sum()
    first = torch.autograd.grad(total, inputs, retain_graph=True)
    second = torch.autograd.grad(total, inputs, retain_graph=True)
    assert all(map(torch.equal, first, second))
    assert all(map(torch.equal, first, torch.autograd.grad(total, inputs)))


@pytest.mark.parametrize("changed", [0, 1, 2])
@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
def test_an_input_changed_in_place_is_refused(monkeypatch, kernels, changed):
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    case = case_of(encoder(3, 1), seed=0, batch=9)
    inputs = inputs_of(case, wants_gradient=True)
    total = expectations(compile_plan(case.circuit), *inputs).sum()
    with torch.no_grad():
        inputs[changed].mul_(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.parametrize("wanted", [each for n in (1, 2) for each in itertools.combinations(range(3), n)])
def test_only_the_gradients_that_are_wanted(wanted):
    case = case_of(encoder(3, 1), seed=0, batch=3)
    plan = compile_plan(case.circuit)
    inputs = inputs_of(case, wants_gradient=True)
    everything = torch.autograd.grad(expectations(plan, *inputs).sum(), inputs)
    some = [each.detach().requires_grad_(i in wanted) for i, each in enumerate(inputs)]
    expectations(plan, *some).sum().backward()
    for i, (each, full) in enumerate(zip(some, everything, strict=True)):
        assert (each.grad is None) == (i not in wanted)
        assert each.grad is None or torch.equal(each.grad, full)


def test_no_gradient_no_graph():
    case = case_of(every_gate(), seed=0)
    features, weights, _ = inputs_of(case, wants_gradient=True)
    plan = compile_plan(case.circuit)
    with torch.no_grad():
        assert not expectations(plan, features, weights).requires_grad
    with torch.inference_mode():
        inside = expectations(plan, features, weights)
    assert torch.equal(inside, expectations(plan, features, weights).detach())

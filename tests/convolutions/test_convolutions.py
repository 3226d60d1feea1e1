"""Chains of convolutions against the layers they replace and against tensorly's own reconstructions."""

from __future__ import annotations

import builtins
import math
from itertools import pairwise

import numpy as np
import pytest
import tensorly
import torch
from tensorly.decomposition import parafac, partial_tucker, tensor_train
from torch import nn

from hybridqies.convolutions import (
    METHODS,
    FactorisedConv2d,
    KernelShape,
    compress_convolutions,
    factorise,
    find_method,
)
from hybridqies.convolutions.cp import start_vectors
from hybridqies.errors import InputError, MissingExtraError, UnknownNameError

SHAPE = KernelShape(6, 4, 3, 2)


def conv_of(shape=SHAPE, seed=0, **options) -> nn.Conv2d:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Conv2d(shape.i, shape.o, (shape.h, shape.w), dtype=torch.float64, **options)


def image(channels=4) -> torch.Tensor:
    return torch.randn(2, channels, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def small_model() -> nn.Sequential:
    return nn.Sequential(
        conv_of(KernelShape(8, 4, 3, 3)), nn.ReLU(), nn.Sequential(conv_of(KernelShape(8, 8, 3, 3), seed=1))
    )


def chain_in(model: nn.Sequential) -> FactorisedConv2d:
    """The first layer, which was replaced."""
    chain = model[0]
    assert isinstance(chain, FactorisedConv2d)
    return chain


def values(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: each.clone() for name, each in model.state_dict().items()}


OPTIONS = [
    {},
    {"bias": False},
    {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 3)},
    {"padding": "same"},
    {"padding": (2, 1), "padding_mode": "circular"},
    {"padding": (2, 1), "padding_mode": "reflect", "stride": 2},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("method", METHODS)
def test_full_rank_is_the_layer_itself(method, options) -> None:
    conv = conv_of(**options)
    chain = factorise(conv, method, find_method(method).full_ranks(SHAPE))
    assert torch.allclose(chain.kernel(), conv.weight, rtol=0, atol=1e-8)
    assert torch.allclose(chain(image()), conv(image()), rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_kernel_of_one_pixel_keeps_its_stride_and_padding(method) -> None:
    conv = conv_of(KernelShape(5, 4, 1, 1), stride=2, padding=1)
    chain = factorise(conv, method, find_method(method).full_ranks(KernelShape(5, 4, 1, 1)))
    assert torch.allclose(chain(image()), conv(image()), rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("keep", [0.9, 0.4, 0.3])
def test_counts_and_kept_energy_are_those_of_the_chain(method, keep) -> None:
    model = nn.Sequential(conv_of())
    before = model[0].get_parameter("weight").detach().clone()
    expected = model(image()).detach()
    (report,) = compress_convolutions(model, method, keep)
    chain = chain_in(model).requires_grad_(False)
    assert report.parameters == sum(factor.get_parameter("weight").numel() for factor in chain)
    assert report.parameters <= keep * report.parameters_before == keep * 144
    error = float(torch.linalg.norm(chain.kernel() - before) / torch.linalg.norm(before))
    assert report.kept_energy == pytest.approx(1 - error**2, abs=1e-12)
    # The approximation is orthogonal to what it leaves out: it is a least-squares fit of its own scale.
    kept = float(torch.sum(chain.kernel() ** 2) / torch.sum(before**2))
    assert report.kept_energy == pytest.approx(kept, abs=1e-8)
    assert model(image()).shape == expected.shape


@pytest.mark.parametrize("method", METHODS)
def test_the_next_larger_chain_is_above_the_budget(method) -> None:
    found, shape = find_method(method), KernelShape(64, 32, 3, 3)
    sizes = range(1, max(found.full_ranks(shape)) + 1)
    counts = [found.count(shape, found.ranks_of_size(shape, size)) for size in sizes]
    assert all(smaller <= larger for smaller, larger in pairwise(counts))
    for budget in (700, 2000, 9000):
        best = max(count for count in counts if count <= budget)
        assert found.count(shape, found.ranks_within(shape, budget)) == best


def test_counts_by_hand() -> None:
    shape = KernelShape(128, 64, 3, 5)
    assert find_method("tucker").count(shape, (10, 7)) == 64 * 7 + 10 * 7 * 15 + 10 * 128
    assert find_method("cp").count(shape, (9,)) == 9 * (128 + 64 + 3 + 5)
    assert find_method("mps").count(shape, (4, 5, 6)) == 64 * 4 + 4 * 3 * 5 + 5 * 5 * 6 + 6 * 128
    assert find_method("oh|iw").count(shape, (2,)) == 2 * (128 * 3 + 64 * 5)
    assert find_method("ow|ih").count(shape, (2,)) == 2 * (128 * 5 + 64 * 3)
    assert find_method("o|ihw").count(shape, (2,)) == 2 * (128 + 64 * 15)
    assert find_method("ohw|i").count(shape, (2,)) == 2 * (128 * 15 + 64)


def test_tucker_is_tensorlys() -> None:
    conv = conv_of()
    kernel = conv.weight.detach().numpy()
    (core, factors), _ = partial_tucker(kernel, rank=[3, 2], modes=[0, 1])
    expected = tensorly.tenalg.multi_mode_dot(core, factors, modes=[0, 1])
    np.testing.assert_allclose(factorise(conv, "tucker", (3, 2)).kernel().detach(), expected, atol=1e-10)


def test_cp_is_tensorlys() -> None:
    conv = conv_of()
    kernel = conv.weight.detach().numpy().transpose(3, 2, 1, 0)
    found = parafac(kernel, rank=5, init=(None, start_vectors(kernel, 5)))
    expected = tensorly.cp_to_tensor(found).transpose(3, 2, 1, 0)
    np.testing.assert_allclose(factorise(conv, "cp", (5,)).kernel().detach(), expected, atol=1e-10)


def test_mps_is_tensorlys() -> None:
    conv = conv_of()
    kernel = conv.weight.detach().numpy().transpose(1, 2, 3, 0)
    expected = tensorly.tt_to_tensor(tensor_train(kernel, rank=[1, 3, 4, 2, 1])).transpose(3, 0, 1, 2)
    np.testing.assert_allclose(factorise(conv, "mps", (3, 4, 2)).kernel().detach(), expected, atol=1e-10)


@pytest.mark.parametrize(
    ("cut", "left"), [("oh|iw", "oh"), ("ow|ih", "ow"), ("o|ihw", "o"), ("ohw|i", "ohw")]
)
def test_a_cut_keeps_the_leading_singular_values(cut, left) -> None:
    conv = conv_of()
    order = ["oihw".index(letter) for letter in cut.replace("|", "")]
    rows = math.prod(SHAPE["oihw".index(letter)] for letter in left)
    matrix = conv.weight.detach().numpy().transpose(order).reshape(rows, -1)
    singular = np.linalg.svd(matrix, compute_uv=False)
    error = float(torch.linalg.norm(factorise(conv, cut, (2,)).kernel() - conv.weight).detach())
    assert error == pytest.approx(np.linalg.norm(singular[2:]), rel=1e-10)


def test_a_chain_has_what_the_layer_had() -> None:
    model = small_model().float().eval()
    model[0].requires_grad_(False)
    bias = model[0].get_parameter("bias").clone()
    state = torch.random.get_rng_state()
    compress_convolutions(model, "mps", 0.5)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert {each.dtype for each in model.parameters()} == {torch.float32}
    assert not any(each.requires_grad for each in model[0].parameters())
    assert all(each.requires_grad for each in model[2].parameters())
    assert not any(module.training for module in model.modules())
    assert torch.equal(chain_in(model)[-1].get_parameter("bias"), bias)


def test_a_chain_trains_and_reloads() -> None:
    model, again = small_model(), small_model()
    for each in (model, again):
        compress_convolutions(each, "tucker", 0.6)
    model(image()).square().sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.sub_(0.01 * parameter.grad)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(image()), model(image()))


@pytest.mark.parametrize(
    ("layers", "replaced"),
    [(["0"], ["0"]), (["2.0"], ["2.0"]), (["2.*"], ["2.0"]), (["*"], ["0", "2.0"]), (None, ["0", "2.0"])],
)
def test_layers_are_chosen_by_name(layers, replaced) -> None:
    assert [each.layer for each in compress_convolutions(small_model(), "o|ihw", 0.5, layers)] == replaced


def test_a_layer_that_is_shared_stays_one() -> None:
    shared = conv_of(KernelShape(4, 4, 1, 1))
    model = nn.Sequential(shared, nn.ReLU(), shared)
    assert len(compress_convolutions(model, "cp", 0.9, ["2"])) == 1
    assert model[0] is model[2]
    assert len(chain_in(model)) == 4


def test_a_name_that_matches_nothing_is_refused_with_the_nearest() -> None:
    model = nn.Sequential()
    for name in ("stem", "first", "second"):
        model.add_module(name, conv_of(KernelShape(4, 4, 3, 3)))
    before = values(model)
    with pytest.raises(InputError, match=r"unknown layer 'secnd'.*did you mean 'second'"):
        compress_convolutions(model, "cp", 0.5, ["stem", "secnd"])
    assert before.keys() == values(model).keys()


def unfit() -> list[tuple[nn.Module, str]]:
    hooked, parametrised = conv_of(), conv_of()
    hooked.register_forward_hook(lambda *_: None)
    nn.utils.parametrizations.weight_norm(parametrised)
    broken, empty, silent = conv_of(), conv_of(), nn.Conv2d(4, 4, 3, groups=2)
    with torch.no_grad():
        silent.weight[2:].zero_()
        broken.weight[0, 0, 0, 0] = math.nan
        empty.weight.zero_()
    return [
        (nn.ConvTranspose2d(4, 4, 3), "is ConvTranspose2d"),
        (silent, "kernel of zeros"),
        (nn.Linear(4, 4), "is Linear"),
        (parametrised, "is ParametrizedConv2d"),
        (nn.Conv2d(4, 4, 3, device="meta"), "on meta"),
        (hooked, "has hooks"),
        (broken, "has NaN"),
        (empty, "kernel of zeros"),
    ]


@pytest.mark.parametrize(("layer", "why"), unfit(), ids=lambda each: each if isinstance(each, str) else "")
def test_an_unfit_layer_is_refused_and_nothing_is_changed(layer, why) -> None:
    model = nn.Sequential(conv_of(), layer)
    first = model[0]
    with pytest.raises(InputError, match=f"layer '1' .*{why}") as caught:
        compress_convolutions(model, "o|ihw", 0.5, ["0", "1"])
    assert "\n" not in str(caught.value)
    assert model[0] is first


def test_an_unfit_layer_alone_is_refused() -> None:
    with pytest.raises(InputError, match=r"^the layer is ConvTranspose2d; expected a plain nn\.Conv2d"):
        factorise(nn.ConvTranspose2d(4, 4, 3), "o|ihw", (1,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"method": "tuker"}, "did you mean 'tucker'"),
        ({"keep": 0.0}, "keep was given as 0.0"),
        ({"keep": 1.5}, "keep was given as 1.5"),
        ({"keep": 0.001}, r"layer '0': .*at least .* parameters|layer '0': .*the fewest of 'tucker'"),
        ({"layers": []}, "layers were given"),
        ({"layers": "conv9"}, "unknown layer 'conv9'"),
    ],
)
def test_bad_arguments_are_refused(arguments, why) -> None:
    with pytest.raises(InputError, match=why):
        compress_convolutions(small_model(), **arguments)


def test_the_least_share_that_is_offered_is_enough() -> None:
    with pytest.raises(InputError, match="keep at least") as caught:
        compress_convolutions(small_model(), "mps", 0.001, ["0"])
    least = float(str(caught.value).partition("keep at least ")[2].split()[0])
    assert compress_convolutions(small_model(), "mps", least, ["0"])[0].ranks == (1, 1, 1)


def test_a_model_without_convolutions_is_refused() -> None:
    with pytest.raises(InputError, match=r"Linear has no nn\.Conv2d"):
        compress_convolutions(nn.Linear(2, 2))


@pytest.mark.parametrize("ranks", [(3,), (0, 1), (7, 1), (1, 5)])
def test_ranks_that_do_not_exist_are_refused(ranks) -> None:
    with pytest.raises(InputError, match="was given ranks"):
        factorise(conv_of(), "tucker", ranks)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="tucker"):
        factorise(conv_of(), "svd", (1,))


def test_a_missing_extra_is_named(monkeypatch) -> None:
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("tensorly"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"hybridqies\[convolutions\]"):
        factorise(conv_of(), "cp", (1,))
    # Cuts need NumPy alone.
    assert factorise(conv_of(), "oh|iw", (1,)).ranks == (1,)


@pytest.mark.parametrize("method", ["tucker", "cp", "mps"])
def test_the_callers_choice_of_tensorlys_backend_stays(method) -> None:
    found = find_method(method)
    with tensorly.backend_context("pytorch"):
        chain = factorise(conv_of(), method, found.ranks_of_size(SHAPE, 2))
        assert tensorly.get_backend() == "pytorch"
    plain = factorise(conv_of(), method, found.ranks_of_size(SHAPE, 2))
    assert torch.equal(chain.kernel(), plain.kernel())

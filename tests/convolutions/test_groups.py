"""Grouped, depthwise and dilated convolutions, and a network whose layers are called as torchvision's are."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, cross_entropy

from hybridqies.convolutions import (
    METHODS,
    FactorisedConv2d,
    KernelShape,
    compress_convolutions,
    factorise,
    find_method,
)
from hybridqies.errors import InputError, UnknownNameError

GROUPED = [
    {"groups": 2},
    {"groups": 2, "stride": 2, "padding": 1, "bias": False},
    {"groups": 4, "padding": "same", "dilation": 2},
    {"groups": 2, "padding": (2, 1), "padding_mode": "circular"},
]


def conv_of(o, i, size, **options) -> nn.Conv2d:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Conv2d(i, o, size, dtype=torch.float64, **options)


def image(channels, size=9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, channels, size, size, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("options", GROUPED)
@pytest.mark.parametrize("method", METHODS)
def test_full_rank_is_the_grouped_layer_itself(method, options) -> None:
    conv = conv_of(12, 8, (3, 2), **options)
    shape = KernelShape(12 // conv.groups, 8 // conv.groups, 3, 2)
    chain = factorise(conv, method, find_method(method).full_ranks(shape))
    torch.testing.assert_close(chain.kernel(), conv.weight, rtol=0, atol=1e-8)
    torch.testing.assert_close(chain(image(8)), conv(image(8)), rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_each_group_is_factorised_alone(method) -> None:
    conv = conv_of(12, 8, 3, groups=2, padding=1)
    model = nn.Sequential(conv)
    (report,) = compress_convolutions(model, method, 0.6)
    chain = model[0]
    assert isinstance(chain, FactorisedConv2d)
    assert report.parameters_before == 12 * 4 * 9
    assert report.parameters == sum(each.get_parameter("weight").numel() for each in chain)
    assert report.parameters <= 0.6 * report.parameters_before
    for at, rows in enumerate(conv.weight.detach().chunk(2)):
        alone = conv_of(6, 4, 3)
        alone.weight.data.copy_(rows)
        torch.testing.assert_close(
            chain.kernel().chunk(2)[at], factorise(alone, method, report.ranks).kernel(), rtol=0, atol=1e-8
        )
    expected = conv2d(image(8), chain.kernel(), conv.bias, padding=1, groups=2)
    torch.testing.assert_close(chain(image(8)), expected, rtol=0, atol=1e-10)


def test_a_depthwise_kernel_is_a_column_times_a_row() -> None:
    conv = conv_of(5, 5, 3, groups=5, padding=1)
    chain = factorise(conv, "oh|iw", (1,))
    for kernel, found in zip(conv.weight.detach()[:, 0], chain.kernel().detach()[:, 0], strict=True):
        left, values, right = torch.linalg.svd(kernel)
        torch.testing.assert_close(found, values[0] * torch.outer(left[:, 0], right[0]), rtol=0, atol=1e-12)
    assert [tuple(each.get_parameter("weight").shape) for each in chain] == [(5, 1, 1, 3), (5, 1, 3, 1)]


class Bottleneck(nn.Module):
    """As torchvision's, with groups and dilation in its second convolution."""

    def __init__(self, channels: int, width: int, out: int, groups: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        found = torch.relu(self.bn1(self.conv1(x)))
        found = torch.relu(self.bn2(self.conv2(found)))
        return torch.relu(self.bn3(self.conv3(found)) + self.downsample(x))


class ResNet(nn.Module):
    """The names of torchvision's ResNet, and few channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Bottleneck(8, 8, 16, 1, 1, 1), Bottleneck(16, 8, 16, 2, 1, 1))
        self.layer2 = nn.Sequential(Bottleneck(16, 16, 24, 4, 2, 1), Bottleneck(24, 16, 24, 16, 1, 2))
        self.fc = nn.Linear(24, 4)

    def forward(self, x):
        found = self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x)))))
        return self.fc(found.mean(dim=(2, 3)))


def resnet() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ResNet().double().eval()


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("layer*.conv2", ["layer1.0.conv2", "layer1.1.conv2", "layer2.0.conv2", "layer2.1.conv2"]),
        ("layer1.1.*", ["layer1.1.conv1", "layer1.1.conv2", "layer1.1.conv3", "layer1.1.downsample.0"]),
        (["conv1", "1.conv3"], ["conv1", "layer1.1.conv3", "layer2.1.conv3"]),
        ("layer2.0.downsample.0", ["layer2.0.downsample.0"]),
    ],
)
def test_layers_of_a_resnet_are_chosen_by_name(layers, expected) -> None:
    # The depthwise one keeps a column and a row of its nine numbers.
    assert [each.layer for each in compress_convolutions(resnet(), "oh|iw", 0.9, layers)] == expected


@pytest.mark.parametrize("method", METHODS)
def test_a_resnet_is_compressed_trained_and_reloaded(method) -> None:
    model, plain = resnet(), resnet()
    layers = ["conv1", "layer1.1.*", "layer2.0.conv2"]
    reports = compress_convolutions(model, method, 0.8, layers)
    for each in reports:
        chain, conv = model.get_submodule(each.layer), plain.get_submodule(each.layer)
        assert isinstance(chain, FactorisedConv2d)
        assert isinstance(conv, nn.Conv2d)
        inputs = image(conv.in_channels, 16)
        expected = conv2d(
            inputs, chain.kernel(), conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )
        torch.testing.assert_close(chain(inputs), expected, rtol=0, atol=1e-10)
        assert each.parameters <= 0.8 * conv.weight.numel()
    again = resnet()
    compress_convolutions(again, method, 0.8, layers)
    labels, losses = torch.tensor([0, 3]), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        losses.append(cross_entropy(model(image(3, 32)), labels))
        losses[-1].backward()
        optimizer.step()
    assert all(later < earlier for earlier, later in pairwise(losses))
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(image(3, 32)), model(image(3, 32)))


def test_layers_of_a_resnet_that_cannot_be_compressed() -> None:
    with pytest.raises(InputError, match=r"layer 'layer2.1.conv2': .*keep at least 0\.667"):
        compress_convolutions(resnet(), "oh|iw", 0.5)
    with pytest.raises(UnknownNameError, match=r"did you mean 'layer1\.0\.conv2'"):
        compress_convolutions(resnet(), "cp", 0.5, "layer1.0.covn2")
    with pytest.raises(InputError, match=r"layer 'layer1\.0\.bn1' is BatchNorm2d"):
        compress_convolutions(resnet(), "cp", 0.5, "layer1.0.bn1")

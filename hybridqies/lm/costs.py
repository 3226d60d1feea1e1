"""What a decoder costs, by closed formulas: parameters, and floating-point operations for each token."""

from __future__ import annotations

from collections.abc import Callable

from hybridqies.lm.config import Activation, DecoderConfig, Mixing

TRAINING = 3
"""A step of training takes so many times the operations of a forward pass."""

_GATE_PARAMETERS: dict[Mixing, Callable[[int], int]] = {
    Mixing.TAP: lambda rank: 0,  # noqa: ARG005
    Mixing.PRODUCT: lambda rank: 2 * rank**2,
    Mixing.SWAP: lambda rank: 0,  # noqa: ARG005
    Mixing.ENTANGLED: lambda rank: rank**4,
}


def count_parameters(config: DecoderConfig) -> int:
    """V·D + L·((4D² + k·D·H)/c + mixing), for D real values of width, and c = 2 if complex.

    k is 3 for SwiGLU and 2 for GELU. A mixing layer over S strides has 2r·D/c + S·F·D + S·G: F numbers
    are read of each pair, r² with gates and 4r by the tap; a gate has G = r⁴ parameters, a product 2r².
    """
    width, parts = config.width, config.parts
    block = (4 * width**2 + _matrices_of_network(config) * width * config.hidden) // parts
    if config.mixing is not Mixing.NONE:
        n_strides = len(config.strides)
        block += 2 * config.rank * width // parts
        block += n_strides * config.n_features * width
        block += n_strides * _GATE_PARAMETERS[config.mixing](config.rank)
    return config.vocabulary * width + config.n_layers * block


def count_flops(config: DecoderConfig) -> int:
    """Operations of the matrix products of a forward pass, for each token of a full context of T.

    2V·D + L·(8D² + 4T·D + 2k·D·H + mixing), whether complex or not. A mixing layer over S strides takes
    4r·D + 2S·F·D, and with gates S·(8r⁴ + 4r³) more. Attention is counted over all T positions, as
    `torch.utils.flop_counter` does. Training takes `TRAINING` times as many.
    """
    width, rank = config.width, config.rank
    block = 8 * width**2 + 4 * config.context * width
    block += 2 * _matrices_of_network(config) * width * config.hidden
    if config.mixing is not Mixing.NONE:
        n_strides = len(config.strides)
        block += 4 * rank * width + 2 * n_strides * config.n_features * width
        if config.mixing is not Mixing.TAP:
            block += n_strides * (8 * rank**4 + 4 * rank**3)
    return 2 * config.vocabulary * width + config.n_layers * block


def _matrices_of_network(config: DecoderConfig) -> int:
    return 3 if config.activation is Activation.SWIGLU else 2

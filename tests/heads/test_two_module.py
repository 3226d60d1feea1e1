"""The two-module head: every open point of the paper is an option that does what it says."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from built_heads import built_head

from hybridqies.circuit import Start, load_circuit
from hybridqies.errors import CapabilityError, InputError, UnknownNameError
from hybridqies.heads.amplitudes import AmplitudeOptions, AmplitudeVector, Fit
from hybridqies.heads.base import Head

D = 13


def build(n_classes: int = 2, n_inputs: int = D, **settings: Any) -> Head:
    return built_head("two-module", n_inputs, n_classes, **{"n_qubits": 4, **settings})


def sample(rows: int = 6, columns: int = D) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(3))


def vector(n_inputs: int, n_qubits: int, **options: Any) -> AmplitudeVector:
    return AmplitudeVector(AmplitudeOptions(**options), n_inputs, n_qubits, torch.Generator().manual_seed(0))


class TestAmplitudes:
    def test_padding_adds_zeros(self) -> None:
        x = sample(3, 5)
        made = vector(5, 3, fit=Fit.PAD, centre=False, constant=0.0)(x)
        assert torch.equal(made, torch.cat([x, torch.zeros(3, 3)], dim=1))

    def test_padding_refuses_what_does_not_fit(self) -> None:
        vector(8, 3, fit=Fit.PAD, constant=0.0)
        with pytest.raises(InputError, match=r"8 numbers was to be padded to 3 qubits; expected at most 7"):
            vector(8, 3, fit=Fit.PAD, constant=1.0)
        with pytest.raises(InputError, match="expected at most 8 numbers; use more qubits"):
            vector(9, 3, fit=Fit.PAD, constant=0.0)

    def test_truncation_keeps_the_first(self) -> None:
        x = sample(3, 9)
        assert torch.equal(vector(9, 3, fit=Fit.TRUNCATE, centre=False, constant=0.0)(x), x[:, :8])
        with_constant = vector(9, 3, fit=Fit.TRUNCATE, centre=False, constant=0.5)(x)
        kept = [column for column in with_constant.T if not torch.equal(column, torch.full((3,), 0.5))]
        assert torch.equal(torch.stack(kept, dim=1), x[:, :7])

    @pytest.mark.parametrize("constant", [0.0, 0.5])
    def test_projection_is_a_trained_matrix(self, constant: float) -> None:
        module = vector(9, 3, fit=Fit.PROJECT, centre=False, constant=constant)
        assert module.projection is not None
        assert module.projection.requires_grad
        assert module.projection.shape == (8 if not constant else 7, 9)
        made = module(sample(3, 9))
        projected = sample(3, 9) @ module.projection.T
        free = [at for at in range(8) if not torch.all(made[:, at] == constant) or not constant]
        torch.testing.assert_close(made[:, free], projected)

    def test_a_projection_has_a_limit(self) -> None:
        with pytest.raises(InputError, match="projection of 384 numbers onto 28 qubits"):
            vector(384, 28, fit=Fit.PROJECT)

    def test_centring_and_scale_come_from_what_adapt_is_given(self) -> None:
        x = sample(50, 5) * 3 + 7
        module = vector(5, 3, centre=True, constant=0.0)
        module.adapt(x)
        made = module(x)[:, :5]
        torch.testing.assert_close(made.mean(dim=0), torch.zeros(5), atol=1e-5, rtol=0)
        torch.testing.assert_close(made.square().sum(dim=1).mean(), torch.tensor(1.0))
        other = sample(4, 5)
        torch.testing.assert_close(module(other)[:, :5], (other - module.mean) * module.scale)

    @pytest.mark.parametrize("centre", [False, True])
    def test_rows_that_are_all_equal_have_no_scale(self, centre: bool) -> None:
        x = torch.full((4, 5), 7.0 if centre else 0.0)
        module = vector(5, 3, centre=centre)
        module.adapt(x)
        assert float(module.scale) == 1.0
        assert torch.equal(module(x)[:, :5], torch.zeros(4, 5))

    def test_without_centring_only_the_scale_is_taken(self) -> None:
        x = sample(50, 5) + 7
        module = vector(5, 3, centre=False, constant=0.0)
        module.adapt(x)
        assert torch.equal(module.mean, torch.zeros(5))
        assert float(module.scale) == pytest.approx(float(x.square().sum(dim=1).mean().rsqrt()))

    def test_the_constant_is_the_norm_of_the_same_padding_in_every_sample(self) -> None:
        module = vector(5, 3, centre=True, constant=0.25)
        module.adapt(sample(20, 5))
        padding = module(sample(4, 5))[:, 5:]
        assert padding.shape == (4, 3)
        torch.testing.assert_close(padding.norm(dim=1), torch.full((4,), 0.25))
        assert torch.equal(padding, padding[:1].expand(4, 3))


class TestParity:
    """A readout of an amplitude-encoded vector is a quadratic form: even in x, unless a part is constant."""

    def test_without_centring_and_constant_it_is_even(self) -> None:
        head = build(centre=False, constant=0.0, n_classes=3)
        x = sample()
        torch.testing.assert_close(head(x), head(-x), atol=1e-6, rtol=0)
        assert not torch.allclose(head(x[:1]), head(x[1:2]), atol=1e-3)

    def test_a_constant_amplitude_gives_odd_terms(self) -> None:
        head = build(centre=False, constant=1.0, encoder_spread=1.0)
        head.adapt(sample())
        x = sample()
        assert not torch.allclose(head(x), head(-x), atol=1e-3)

    def test_scaling_a_sample_changes_nothing_without_a_constant(self) -> None:
        head = build(centre=False, constant=0.0)
        x = sample()
        torch.testing.assert_close(head(x), head(5 * x), atol=1e-5, rtol=0)


class TestMerge:
    def features(self, head: Head) -> torch.Tensor:
        seen: list[torch.Tensor] = []
        head.circuit.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        head(sample())
        return seen[0] / head.config.feature_scale

    def outputs(self, head: Head) -> torch.Tensor:
        seen: list[torch.Tensor] = []
        head.encoders.register_forward_hook(lambda _, given, out: seen.append(out))
        head(sample())
        return seen[0]

    @pytest.mark.parametrize("permute", [False, True])
    def test_every_encoder_may_have_an_order_of_its_own(self, permute: bool) -> None:
        head = build(encoders=3, permute=permute)
        seen: list[torch.Tensor] = []
        head.encoders.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        head(sample())
        start = head.amplitudes(sample())  # type: ignore[operator]
        given = seen[0].unbind(dim=1)
        assert torch.equal(given[0], start) is not permute
        assert torch.equal(given[0], given[1]) is not permute
        for each in given:
            assert torch.equal(each.sort(dim=1).values, start.sort(dim=1).values)

    def test_mean_and_sum(self) -> None:
        mean, total = build(encoders=3, merge="mean"), build(encoders=3, merge="sum")
        torch.testing.assert_close(self.features(mean), self.outputs(mean).mean(dim=1))
        torch.testing.assert_close(self.features(total), self.outputs(total).sum(dim=1))
        torch.testing.assert_close(self.features(total), 3 * self.features(mean))

    def test_encoders_differ(self) -> None:
        outputs = self.outputs(build(encoders=3))
        assert not torch.allclose(outputs[:, 0], outputs[:, 1], atol=1e-3)

    def test_concat_feeds_a_block_an_encoder(self) -> None:
        options = {"fresh_features": True, "reuploads": 3}
        head = build(encoders=3, merge="concat", circuit_options=options)
        features = self.features(head)
        assert features.shape == (6, 12)
        torch.testing.assert_close(features, self.outputs(head).flatten(1))

    def test_concat_that_does_not_fit_names_what_does(self) -> None:
        with pytest.raises(InputError, match=r"merge=concat of 2 encoder.* gives 8 features; expected 4"):
            build(encoders=2, merge="concat")

    def test_learnt_merge_is_a_trained_layer(self) -> None:
        head = build(encoders=2, merge="learnt")
        layer = head.merge
        assert isinstance(layer, torch.nn.Linear)
        assert layer.weight.shape == (4, 8)
        torch.testing.assert_close(self.features(head), layer(self.outputs(head).flatten(1)))

    def test_feature_scale_multiplies_the_angles(self) -> None:
        plain, scaled = build(feature_scale=1.0), build(feature_scale=2.5)
        torch.testing.assert_close(self.features(scaled), self.features(plain))
        assert not torch.allclose(scaled(sample()), plain(sample()), atol=1e-3)

    def test_no_encoder_is_refused(self) -> None:
        with pytest.raises(InputError, match="'encoders' was given 0; expected 1 to"):
            build(encoders=0)


class TestCircuits:
    def test_the_second_module_is_the_recipe_with_its_options(self) -> None:
        options = {"reuploads": 3, "connectivity": 2, "layers": 2, "ry_column": False, "readout_qubits": 2}
        head = build(circuit_options=options)
        assert head.circuits()["circuit"] == load_circuit("long-range-reupload", 4, **options)
        assert head.readout.in_features == 2

    def test_more_than_two_classes_are_read_from_every_qubit(self) -> None:
        assert len(build(2).circuits()["circuit"].observables) == 1
        assert len(build(3).circuits()["circuit"].observables) == 4
        assert len(build(3, circuit_options={"readout_qubits": 2}).circuits()["circuit"].observables) == 2

    def test_reuploads_share_their_weights(self) -> None:
        once, thrice = (build(circuit_options={"reuploads": n}).circuits()["circuit"] for n in (1, 3))
        assert once.n_weights == thrice.n_weights
        assert len(thrice.gates) > len(once.gates)

    @pytest.mark.parametrize("option", ["reuploads", "connectivity", "layers", "ry_column", "readout_qubits"])
    def test_every_option_changes_the_output(self, option: str) -> None:
        changed = {"reuploads": 3, "connectivity": 1, "layers": 3, "ry_column": False, "readout_qubits": 3}
        head, other = build(spread=2.0), build(spread=2.0, circuit_options={option: changed[option]})
        assert not torch.allclose(head(sample()), other(sample()), atol=1e-4)

    def test_the_first_module_starts_from_amplitudes(self) -> None:
        encoder = build(encoder_options={"layers": 2}).circuits()["encoder"]
        assert encoder.start is Start.AMPLITUDES
        assert encoder.n_qubits == 4
        assert len(encoder.observables) == 4

    def test_the_first_module_grows_with_the_embedding(self) -> None:
        head = build(n_inputs=100)
        assert head.circuits()["encoder"].n_qubits == 7
        assert len(head.circuits()["encoder"].observables) == head.circuits()["circuit"].n_features == 4

    def test_encoder_qubits_are_an_option(self) -> None:
        assert build(encoder_qubits=5).circuits()["encoder"].n_qubits == 5
        with pytest.raises(InputError, match="padded to 3 qubits"):
            build(encoder_qubits=3, n_qubits=3)

    def test_an_encoder_may_take_the_embedding_as_angles(self) -> None:
        head = build(encoders=3, encoder_circuit="product-encoder", encoder_options={"layers": 1})
        embeddings = sample()
        head.adapt(embeddings)
        encoder = head.circuits()["encoder"]
        assert encoder.n_amplitudes == 0
        angles = head.amplitudes(embeddings)  # type: ignore[operator]
        assert angles.shape == (len(embeddings), encoder.n_features)
        assert float(angles.square().sum(dim=1).mean()) == pytest.approx(1.0, rel=1e-5)
        assert head.orders is not None
        assert torch.equal(head.orders.sort(dim=1).values, torch.arange(encoder.n_features).expand(3, -1))  # type: ignore[operator]
        assert head(embeddings).shape == (len(embeddings), 2)

    def test_an_encoder_has_to_have_room_for_the_embedding(self) -> None:
        with pytest.raises(InputError, match=r"was to be uploaded as 4 angles; expected at most 4 numbers"):
            build(encoder_circuit="iqp")

    @pytest.mark.parametrize("fit", ["pad", "project"])
    def test_too_many_qubits_are_refused_before_memory_is_taken(self, fit: str) -> None:
        with pytest.raises(CapabilityError, match="60 qubits were asked of backend 'statevector'"):
            build(n_qubits=60, fit=fit)

    @pytest.mark.parametrize("qubits", [0, 1, -3])
    def test_too_few_qubits(self, qubits: int) -> None:
        with pytest.raises(InputError, match=f"{qubits} qubit"):
            build(n_qubits=qubits)

    def test_gradients_reach_every_parameter(self) -> None:
        head = build(encoders=2, merge="learnt", fit="project", n_classes=3)
        head(sample()).square().sum().backward()
        for name, value in head.named_parameters():
            assert value.grad is not None, name
            assert float(value.grad.abs().max()) > 0, name

    def test_angles_start_within_their_spread(self) -> None:
        head = build(encoder_spread=0.01, spread=0.02)
        assert float(head.encoders.weights.detach().abs().max()) <= 0.01  # type: ignore[operator]
        assert 0.01 < float(head.circuit.weights.detach().abs().max()) <= 0.02  # type: ignore[operator]

    def test_dropout_acts_in_training_alone(self) -> None:
        head = build(dropout=0.9, circuit_options={"readout_qubits": 4}).eval()
        assert torch.equal(head(sample()), head(sample()))
        head.train()
        with torch.random.fork_rng():
            assert not torch.equal(head(sample()), head(sample()))


def test_unknown_options_and_values_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        build(merg="mean")
    assert caught.value.nearest == "merge"
    with pytest.raises(UnknownNameError) as caught:
        build(merge="means")
    assert caught.value.nearest == "mean"


def test_dressed_squeezes_into_half_turns() -> None:
    head = built_head("dressed", D, n_qubits=3, circuit="product")
    seen: list[torch.Tensor] = []
    head.circuit.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    logits = head(100 * sample())
    assert float(seen[0].detach().abs().max()) <= math.pi / 2 + 1e-6
    assert logits.shape == (6, 2)
    with pytest.raises(InputError, match="was given to a dressed head"):
        built_head("dressed", D, circuit="long-range-encoder", n_qubits=3)

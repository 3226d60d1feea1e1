"""Quanta: similarities by closed forms, clusters that are known, controls that find nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import nn

from hybridqies.errors import InputError
from hybridqies.lm import Decoder, DecoderConfig
from hybridqies.parity import ParityProblem
from hybridqies.quanta import (
    KnownQuanta,
    Similarity,
    check_discovery,
    choose_tokens,
    cluster_samples,
    describe_clusters,
    gradient_similarity,
    shuffle_similarity,
)
from hybridqies.training import token_losses


class Lines(nn.Module):
    """A sample's gradient is its own vector, times the sign of its label; `unused` has none."""

    def __init__(self, vectors: np.ndarray) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(vectors.shape[1], dtype=torch.float64))
        self.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))
        self.vectors = torch.from_numpy(vectors)

    def loss_of(self, number: int) -> torch.Tensor:
        return self.vectors[number] @ self.weight


VECTORS = np.random.default_rng(0).normal(size=(7, 5))


class TestSimilarity:
    @pytest.mark.parametrize("block", [1, 3, 7, 100])
    def test_blocks_give_the_cosines_of_gradients(self, block: int) -> None:
        model = Lines(VECTORS)
        unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
        told: list[tuple[int, int]] = []
        found = gradient_similarity(
            model, 7, model.loss_of, block=block, on_sample=lambda *given: told.append(given)
        )
        assert found == pytest.approx(np.abs(unit @ unit.T), abs=1e-12)
        assert told[-1][0] == told[-1][1] == len(told)

    def test_angular_is_the_share_of_half_a_turn(self) -> None:
        model = Lines(np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]))
        found = gradient_similarity(model, 3, model.loss_of, similarity=Similarity.ANGULAR)
        assert found == pytest.approx(np.array([[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]]), abs=1e-9)
        absolute = gradient_similarity(model, 3, model.loss_of)
        assert absolute == pytest.approx(np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]]), abs=1e-12)

    def test_what_is_left_out_does_not_count(self) -> None:
        model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False))
        inputs = torch.eye(2)
        found = gradient_similarity(model, 2, lambda at: model(inputs[at]).sum(), leave_out=["0."])
        assert found == pytest.approx(np.ones((2, 2)), abs=1e-6)

    def test_bad_input(self) -> None:
        model = Lines(np.zeros((3, 2)))
        with pytest.raises(InputError, match="sample 0 has a gradient of norm 0"):
            gradient_similarity(model, 3, model.loss_of)
        with pytest.raises(InputError, match="some parameters to be left"):
            gradient_similarity(model, 3, model.loss_of, leave_out=["weight", "unused"])
        with pytest.raises(InputError, match="at least 2 samples"):
            gradient_similarity(model, 1, model.loss_of)


class TestClusters:
    TRUTH = np.repeat([0, 1, 2], [10, 6, 4])

    def similarity(self) -> np.ndarray:
        noise = np.random.default_rng(1).uniform(0, 0.1, (20, 20))
        found = 0.1 + 0.7 * (self.TRUTH[:, None] == self.TRUTH[None]) + (noise + noise.T) / 2
        np.fill_diagonal(found, 1)
        return np.asarray(found)

    def test_blocks_are_found_from_the_largest_on(self) -> None:
        assert cluster_samples(self.similarity(), 3).tolist() == self.TRUTH.tolist()

    def test_clusters_are_described_from_the_most_typical_sample_on(self) -> None:
        similarity = self.similarity()
        similarity[2, :10] = similarity[:10, 2] = 0.95
        first, second, third = describe_clusters(similarity, self.TRUTH)
        assert [len(each.samples) for each in (first, second, third)] == [10, 6, 4]
        assert first.samples[0] == 2
        assert second.inside == pytest.approx(similarity[10:16, 10:16][np.triu_indices(6, 1)].mean())
        assert second.outside == pytest.approx(np.delete(similarity[10:16], slice(10, 16), axis=1).mean())
        lonely = describe_clusters(np.eye(2), np.array([0, 1]))
        assert [(each.inside, each.outside) for each in lonely] == [(None, 0), (None, 0)]

    def test_shuffled_similarities_are_the_same_values_without_clusters(self) -> None:
        truth = np.repeat([0, 1, 2], 40)
        blocks = 0.2 + 0.6 * (truth[:, None] == truth[None])
        np.fill_diagonal(blocks, 1)
        shuffled = shuffle_similarity(blocks)
        assert (shuffled == shuffled.T).all()
        assert np.sort(shuffled, axis=None).tolist() == np.sort(blocks, axis=None).tolist()
        assert adjusted_rand_score(truth, cluster_samples(blocks, 3)) == 1
        assert adjusted_rand_score(truth, cluster_samples(shuffled, 3)) < 0.05

    @pytest.mark.parametrize("n_clusters", [1, 20])
    def test_numbers_of_clusters(self, n_clusters: int) -> None:
        with pytest.raises(InputError, match="at least 2 clusters"):
            cluster_samples(self.similarity(), n_clusters)


def test_known_quanta_are_found_and_controls_find_nothing() -> None:
    small = KnownQuanta(ParityProblem(4, 8, 2, 0.0), width=64, steps=400, batch_size=100, n_samples=120)
    found = check_discovery(small)
    assert found["loss"] < 0.05
    assert found["absolute"] >= 0.5
    assert found["absolute"] > found["angular"] + 0.2
    assert found["untrained"] < 0.05
    assert found["shuffled"] < 0.05
    with pytest.raises(InputError, match="'n_samples' was given 6"):
        KnownQuanta(n_samples=6)


def test_random_task_rows_tell_tasks_apart_without_training() -> None:
    """Then a high index after training says nothing about what was learnt."""
    small = KnownQuanta(
        ParityProblem(4, 8, 2, 0.0), width=64, steps=1, batch_size=10, n_samples=80, task_spread=1.0
    )
    assert check_discovery(small)["untrained"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_six_quanta_are_found_on_every_seed(seed: int) -> None:
    found = check_discovery(KnownQuanta(), seed=seed)
    assert found["absolute"] >= 0.5
    assert max(found["untrained"], found["shuffled"]) < 0.05


class TestTokens:
    def decoder(self) -> Decoder:
        return (
            Decoder(DecoderConfig(vocabulary=11, width=8, n_layers=1, n_heads=2, context=9)).double().eval()
        )

    def test_losses_are_those_of_whole_windows(self) -> None:
        decoder = self.decoder()
        windows = torch.randint(11, (5, 9), generator=torch.Generator().manual_seed(0))
        samples = choose_tokens(decoder, windows, 20, below=100, seed=1)
        whole = token_losses(decoder, windows).detach()
        for number in range(20):
            row, place = int(samples.rows[number]), int(samples.places[number])
            assert samples.loss_of(number).item() == pytest.approx(float(whole[row, place - 1]), rel=1e-9)
            assert float(samples.losses[number]) == pytest.approx(float(whole[row, place - 1]), rel=1e-9)
            assert samples.context_of(number) == (windows[row, :place].tolist(), int(windows[row, place]))
        places = set(zip(samples.rows.tolist(), samples.places.tolist(), strict=True))
        assert len(places) == 20

    def test_only_tokens_below_the_loss_are_taken(self) -> None:
        decoder = self.decoder()
        windows = torch.randint(11, (5, 9), generator=torch.Generator().manual_seed(0))
        middle = token_losses(decoder, windows).median().item()
        samples = choose_tokens(decoder, windows, 15, below=middle)
        assert float(samples.losses.max()) < middle
        with pytest.raises(InputError, match="2 to 19, of which there are so many in 40 tokens"):
            choose_tokens(decoder, windows, 25, below=middle)

    def test_gradients_of_a_decoder_are_compared(self) -> None:
        """A token and itself are alike; the embedding does not count."""
        decoder = self.decoder()
        samples = choose_tokens(decoder, torch.arange(9)[None].repeat(2, 1), 12, below=100)
        found = gradient_similarity(decoder, 12, samples.loss_of, leave_out=["embedding."], block=5)
        twins = samples.places[:, None] == samples.places[None]
        assert found[twins.numpy()] == pytest.approx(1, abs=1e-9)
        assert found[~twins.numpy()].max() < 1 - 1e-6

"""Scaling laws: the truth is recovered, intervals hold it, arms are told apart, bad tables are refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import optimize

from hybridqies.errors import DataError, InputError, UnknownNameError
from hybridqies.report.scaling import draw_scaling, scaling_table
from hybridqies.study.loss_table import LossColumns, read_losses
from hybridqies.study.statistics.law_comparisons import Estimate, fit_scaling
from hybridqies.study.statistics.power_laws import FitProblem, Measured, PowerLaw, fit_power_law

CHINCHILLA = PowerLaw(("size", "tokens"), 1.69, (406.4, 410.7), (0.34, 0.28))
GRID = np.array([(n, d) for n in np.logspace(7, 10, 9) for d in np.logspace(8.5, 11.5, 8)])
SIZES = np.repeat([65e3, 246e3, 812e3, 2.25e6], 3)[:, None]


def small(factor: float = 1.0, exponent: float = 0.2, *, noise: float = 0.003, seed: int = 0) -> Measured:
    """Four sizes with three seeds each."""
    law = PowerLaw(("size",), 1.5, (14 * factor,), (exponent,))
    draws = np.random.default_rng(seed).standard_normal(len(SIZES))
    return Measured(("size",), SIZES, law.losses(SIZES) * np.exp(noise * draws))


class TestFit:
    def test_recovers_the_truth_from_72_points(self) -> None:
        found = fit_power_law(Measured(CHINCHILLA.names, GRID, CHINCHILLA.losses(GRID)))
        for symbol, value in CHINCHILLA.to_mapping().items():
            assert found.to_mapping()[symbol] == pytest.approx(value, rel=1e-6), symbol
        assert found.a_opt == pytest.approx(0.4516, abs=1e-4)

    @pytest.mark.parametrize(
        "law",
        [
            PowerLaw(("size",), 1.5, (14.0,), (0.2,)),
            PowerLaw(("tokens",), 0.02, (300.0,), (0.55,)),
            PowerLaw(("size",), 3.0, (1e5,), (1.1,)),
        ],
    )
    def test_recovers_laws_of_one_quantity(self, law: PowerLaw) -> None:
        quantities = np.geomspace(1e4, 1e8, 9)[:, None]
        found = fit_power_law(Measured(law.names, quantities, law.losses(quantities)))
        assert list(found.to_mapping()) == list(law.to_mapping())
        assert list(found.to_mapping().values()) == pytest.approx(list(law.to_mapping().values()), rel=1e-4)

    def test_one_wild_point_of_many_changes_little(self) -> None:
        losses = CHINCHILLA.losses(GRID)
        losses[17] *= 1.5
        found = fit_power_law(Measured(CHINCHILLA.names, GRID, losses))
        assert found.exponents == pytest.approx(CHINCHILLA.exponents, abs=2e-3)

    def test_the_gradient_is_that_of_the_objective(self) -> None:
        problem = FitProblem.of(small(), small(0.9, seed=1))
        random = np.random.default_rng(0)
        values = problem.solve() + 0.03 * random.standard_normal(4)
        wrong = optimize.check_grad(
            lambda at: problem.objective(at, problem.logs)[0],
            lambda at: problem.objective(at, problem.logs)[1],
            values,
        )
        assert wrong < 1e-5 * np.abs(problem.objective(values, problem.logs)[1]).max()

    @pytest.mark.parametrize("loss", [math.nan, math.inf, 0.0, -1.0])
    def test_losses_have_to_be_positive(self, loss: float) -> None:
        losses = small().losses.copy()
        losses[3] = loss
        with pytest.raises(InputError, match=r"loss of .*finite numbers above 0"):
            Measured(("size",), SIZES, losses)

    def test_sizes_and_tokens_have_to_differ(self) -> None:
        with pytest.raises(InputError, match="at least 4 different values"):
            Measured(("size",), SIZES[:9], small().losses[:9])
        grown = np.column_stack([SIZES, 20 * SIZES])
        with pytest.raises(InputError, match="grow together"):
            Measured(("size", "tokens"), grown, small().losses)
        with pytest.raises(InputError, match="leave tokens out"):
            Measured(("size", "tokens"), np.column_stack([SIZES, np.full(12, 2e6)]), small().losses)


class TestIntervals:
    def test_hold_the_truth_and_repeat(self) -> None:
        """Of 5 intervals of 95 %, fewer than 3 hold the truth with a chance of 0.1 %."""
        found = [self.exponent(seed) for seed in range(5)]
        assert sum(each.low <= 0.2 <= each.high for each in found) >= 3
        assert self.exponent(4) == found[4]

    def exponent(self, seed: int) -> Estimate:
        return fit_scaling({"all": small(seed=seed)}, n_draws=50, seed=seed).laws[0].values["alpha"]

    def test_coefficients_of_noisy_losses_are_not_identified(self) -> None:
        noise = np.random.default_rng(0).standard_normal(len(GRID))
        losses = CHINCHILLA.losses(GRID)
        for share, expected in ((0.001, []), (0.03, ["A is not identified", "B is not identified"])):
            measured = Measured(CHINCHILLA.names, GRID, losses * np.exp(share * noise))
            notes = fit_scaling({"all": measured}, n_draws=50).laws[0].notes()
            assert [note.partition(":")[0] for note in notes if "identified" in note] == expected

    @pytest.mark.slow
    def test_losses_that_do_not_fall(self) -> None:
        flat = Measured(("size",), SIZES, np.random.default_rng(0).normal(2.0, 0.01, 12))
        notes = fit_scaling({"all": flat}, n_draws=50).laws[0].notes()
        assert any("was not shown to fall with size" in note for note in notes)


class TestComparisons:
    def test_an_offset_alone(self) -> None:
        scaling = fit_scaling({"real": small(), "tap": small(0.9, seed=1)}, n_draws=50)
        (found,) = scaling.comparisons
        assert found.offset_differs
        assert not found.exponents_differ
        assert found.offset.low < 0.9 < found.offset.high
        assert "no difference in the exponent of size was shown" in found.statement()
        assert "the offset differs; 95 % bootstrap" in found.statement()

    def test_an_exponent_and_the_family(self) -> None:
        arms = {
            "other": small(exponent=0.28, noise=1e-3),
            "real": small(seed=1, noise=1e-3),
            "same": small(seed=3),
        }
        found = {each.arm: each for each in fit_scaling(arms, "real", n_draws=50).comparisons}
        assert found["other"].exponents_differ
        assert "the exponent of size is larger (α +0.0" in found["other"].statement()
        assert not found["same"].exponents_differ
        assert not found["same"].offset_differs
        assert "97.5 % bootstrap intervals" in found["same"].statement()

    def test_bad_names_and_draws(self) -> None:
        with pytest.raises(UnknownNameError, match="did you mean 'real'"):
            fit_scaling({"real": small()}, "reel")
        with pytest.raises(InputError, match="at least 50"):
            fit_scaling({"real": small()}, n_draws=1)


class TestTable:
    def write(self, path, rows: list[str]) -> None:
        path.write_text("\n".join(["arm,parameters,tokens,seed,loss", *rows]) + "\n", encoding="utf-8")

    def test_reads_arms_and_quantities(self, tmp_path) -> None:
        path = tmp_path / "losses.csv"
        self.write(
            path, [f"{arm},{n},{20 * d},0,{2 + 1 / n}" for arm in "ba" for n in (1, 2, 4) for d in (1, 2, 3)]
        )
        arms = read_losses(path, LossColumns(size="parameters"))
        assert list(arms) == ["b", "a"]
        assert arms["a"].names == ("size", "tokens")
        assert arms["a"].quantities[4].tolist() == [2, 40]
        with pytest.raises(InputError, match="only 1, 2, 4 as size"):
            read_losses(path, LossColumns(size="parameters", tokens="none", arm="none"))

    @pytest.mark.parametrize("loss", ["nan", "", "-0.1", "0", "two", "inf"])
    def test_a_bad_loss_is_named_with_its_line(self, loss: str, tmp_path) -> None:
        path = tmp_path / "losses.csv"
        self.write(path, ["a,1,2,0,2.5", f"a,2,2,0,{loss}"])
        with pytest.raises(DataError, match=rf"losses.csv, line 3: loss is '{loss}'"):
            read_losses(path, LossColumns(size="parameters"))

    def test_missing_columns_and_files(self, tmp_path) -> None:
        path = tmp_path / "losses.csv"
        self.write(path, ["a,1,2,0,2.5"])
        with pytest.raises(UnknownNameError, match="did you mean 'loss'"):
            read_losses(path, LossColumns(loss="los"))
        for role, column in (("arm", "arms"), ("size", "parameter"), ("tokens", "token")):
            with pytest.raises(UnknownNameError, match=f"column of {role} {column!r}"):
                read_losses(path, LossColumns(**{role: column}))
        with pytest.raises(InputError, match="no column of sizes or tokens"):
            read_losses(path, LossColumns(tokens="none"))
        self.write(path, [])
        with pytest.raises(DataError, match="has no rows"):
            read_losses(path, LossColumns())
        with pytest.raises(DataError, match="cannot be read"):
            read_losses(tmp_path / "other.csv", LossColumns())
        with pytest.raises(DataError, match=r"extension '\.txt'"):
            read_losses(tmp_path / "other.txt", LossColumns())


def test_the_report_has_every_arm_and_point() -> None:
    record = json.loads(
        json.dumps(
            fit_scaling({"real": small(), "tap": small(0.9)}, n_draws=50).to_mapping(), allow_nan=False
        )
    )
    assert scaling_table(record).row_count == 2
    losses, errors = draw_scaling(record).axes
    assert [np.asarray(each.get_offsets()).shape[0] for each in errors.collections] == [12, 12]
    assert [text.get_text() for text in losses.get_legend().get_texts()] == ["real", "tap"]

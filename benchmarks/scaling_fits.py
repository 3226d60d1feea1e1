"""Coverage of the intervals of scaling laws over synthetic tables: each 95 % interval has to hold 90 to 98 %.

    python benchmarks/scaling_fits.py --sets 200
    python benchmarks/scaling_fits.py --sets 200 --design two-arms

The second compares two arms of one law with four sizes and three seeds: no more than 10 % of the sets may
find a difference. Exits with 1 where a share lies outside.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from hybridqies.study.statistics.law_comparisons import fit_scaling
from hybridqies.study.statistics.power_laws import Measured, PowerLaw

CHINCHILLA = PowerLaw(("size", "tokens"), 1.69, (406.4, 410.7), (0.34, 0.28))
SMALL = PowerLaw(("size",), 1.5, (14.0,), (0.2,))
GRID = np.array([(n, d) for n in np.logspace(7, 10, 9) for d in np.logspace(8.5, 11.5, 8)])
SIZES = np.repeat([65e3, 246e3, 812e3, 2.25e6], 3)[:, None]
DESIGNS = {"chinchilla": (CHINCHILLA, GRID), "four-sizes": (SMALL, SIZES)}
LOW, HIGH = 0.90, 0.98


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--design", choices=[*DESIGNS, "two-arms"], default="chinchilla")
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--noise", type=float, default=0.005)
    given = parser.parse_args()
    if given.design == "two-arms":
        shares = false_alarms(given.sets, given.draws, given.noise)
        for what, share in shares.items():
            print(f"{what}: {100 * share:.1f} % of {given.sets} sets")
        return int(max(shares.values()) > 1 - LOW)
    found, seconds = coverage(given.design, given.sets, given.draws, given.noise)
    wrong = [symbol for symbol, share in found.items() if not LOW <= share <= HIGH]
    for symbol, share in found.items():
        print(f"{symbol:6} {100 * share:5.1f} %{'  outside 90 to 98 %' if symbol in wrong else ''}")
    print(f"{given.sets} sets of {given.design}, {given.draws} draws, noise {given.noise:g}: {seconds:.0f} s")
    return int(bool(wrong))


def coverage(design: str, n_sets: int, n_draws: int, noise: float) -> tuple[dict[str, float], float]:
    """The share of sets whose interval holds the truth, by symbol, and the processor seconds."""
    law, quantities = DESIGNS[design]
    truth, clean = law.to_mapping(), law.losses(quantities)
    held = dict.fromkeys(truth, 0)
    start = time.process_time()
    for number in range(n_sets):
        random = np.random.default_rng(number)
        losses = clean * np.exp(noise * random.standard_normal(len(clean)))
        fit = fit_scaling({"all": Measured(law.names, quantities, losses)}, n_draws=n_draws, seed=number)
        for symbol, found in fit.laws[0].values.items():
            held[symbol] += found.low <= truth[symbol] <= found.high
    return {symbol: count / n_sets for symbol, count in held.items()}, time.process_time() - start


def false_alarms(n_sets: int, n_draws: int, noise: float) -> dict[str, float]:
    """The shares of sets in which two arms of one law are told apart."""
    found = {"exponents differ": 0, "offsets differ": 0}
    for number in range(n_sets):
        random = np.random.default_rng([number, 1])
        draws = noise * random.standard_normal((2, len(SIZES)))
        arms = {
            name: Measured(SMALL.names, SIZES, SMALL.losses(SIZES) * np.exp(each))
            for name, each in zip("ab", draws, strict=True)
        }
        (comparison,) = fit_scaling(arms, n_draws=n_draws, seed=number).comparisons
        found["exponents differ"] += comparison.exponents_differ
        found["offsets differ"] += comparison.offset_differs
    return {what: count / n_sets for what, count in found.items()}


if __name__ == "__main__":
    sys.exit(main())

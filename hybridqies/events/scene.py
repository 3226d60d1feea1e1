"""What a gamma detector sees: the spectra of the background and of Cs-137, and how a release goes by.

Energies are in keV and times in seconds. Spectra are histograms over the energy bins of a scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hybridqies.options import within

Floats = NDArray[np.float64]

PEAK = 661.7
COMPTON_EDGE = 477.3
# The region of interest is the peak ± 0.6 of its width at half height; it is seven bins wide.
ROI = (634.0, 690.0)
_WIDTH = 8.0
_FIRST, _LAST = 42.0, 906.0
# What is above the last edge is one bin, which holds no Cs-137.
EDGES: Floats = np.append(np.arange(_FIRST, _LAST + _WIDTH, _WIDTH), math.inf)
# Lines of the background with their shares of its events: daughters of radon, and K-40. With them and the
# mean of the exponential continuum above the first edge, the region of interest has 80 of 3,000 events.
LINES = {295.2: 0.02, 351.9: 0.04, 609.3: 0.208, 1120.3: 0.015, 1460.8: 0.03, 1764.5: 0.01}
CONTINUUM = 180.0
_FULL_WIDTH = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True, slots=True)
class Scene:
    """A measurement of `duration` seconds in which a puff of Cs-137 may go by.

    The background has `rate` events a second; with `spread`, the rate of each run is drawn from a normal
    distribution of that relative width. The release begins at a random time and decays with `tau`.
    `resolution` is the full width at half height of the peak over its energy, which falls as the square root;
    `photopeak` is the share of Cs-137 in the peak, the rest is a flat Compton continuum.
    """

    duration: float = 600.0
    rate: float = 5.0
    spread: float = 0.0
    tau: float = 30.0
    resolution: float = 0.07
    photopeak: float = 0.35

    def __post_init__(self) -> None:
        within(
            self,
            "scene",
            duration=(1, 1e5),
            rate=(1e-3, 1e4),
            spread=(0, 0.5),
            tau=(1e-3, 1e5),
            resolution=(1e-3, 0.5),
            photopeak=(0, 1),
        )

    @property
    def background(self) -> float:
        """The mean number of background events in a run."""
        return self.rate * self.duration

    def background_spectrum(self) -> Floats:
        """The probability of each bin for a background event."""
        return _background(self.resolution)

    def source_spectrum(self) -> Floats:
        """The probability of each bin for a counted event of Cs-137, which is above the first edge."""
        return _source(self.resolution, self.photopeak)

    def in_roi(self) -> NDArray[np.bool_]:
        """Which bins are in the region of interest around the peak."""
        lower = EDGES[:-1]
        inside: NDArray[np.bool_] = (lower >= ROI[0]) & (lower < ROI[1])
        return inside


def deviation(energy: float, resolution: float) -> float:
    """The standard deviation of a measured energy, in keV."""
    return resolution * PEAK / _FULL_WIDTH * math.sqrt(energy / PEAK)


@cache
def _background(resolution: float) -> Floats:
    # 1 - exp, differenced; the last bin takes the tail.
    continuum = np.diff(-np.exp(-(EDGES - _FIRST) / CONTINUUM))
    spectrum = (1 - sum(LINES.values())) * continuum
    for energy, share in LINES.items():
        spectrum = spectrum + share * _line(energy, resolution)
    return _normalised(spectrum)


@cache
def _source(resolution: float, photopeak: float) -> Floats:
    compton = _smeared_box(COMPTON_EDGE, deviation(COMPTON_EDGE, resolution))
    return _normalised(photopeak * _line(PEAK, resolution) + (1 - photopeak) * compton)


def _line(energy: float, resolution: float) -> Floats:
    """The probability of each bin for events of one energy, with the resolution of the detector."""
    below: Floats = ndtr((EDGES - energy) / deviation(energy, resolution))
    return np.diff(below)


def _smeared_box(end: float, width: float) -> Floats:
    """Events between the first edge and `end`, uniform but for a normal error of `width` at the end."""
    reduced = (EDGES[:-1] - end) / width
    # The integral of 1 - Φ up to each edge, closed at infinity.
    density = np.exp(-(reduced**2) / 2) / math.sqrt(2 * math.pi)
    above = width * (density - reduced * ndtr(-reduced)) / (end - _FIRST)
    return -np.diff(np.append(above, 0.0))


def _normalised(spectrum: Floats) -> Floats:
    scaled: Floats = spectrum / spectrum.sum()
    scaled.setflags(write=False)
    return scaled

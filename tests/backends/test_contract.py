"""Every backend of the table passes the contract, also with shots, noise and every gradient rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hybridqies.backends import BACKENDS, backend_class, describe_backends, load_backend
from hybridqies.backends.spec import BackendSpec, label_of
from hybridqies.testing import FamilyContract, GateContract, RuleContract, SamplingContract

# What stands for a row whose target is open, or that runs the circuits of the contract with an option alone.
EXAMPLES = {
    "pennylane:<device>": "pennylane:default.mixed",
    "ibm:<fake_device>": "ibm:fake_manila",
    "tensor:mps": "tensor:mps,route=swap",
}
# Rows that can only be run against a server, and the tests that do it.
ELSEWHERE = {"ionq:simulator": "test_ionq_contract.py"}
# What a family is asked for beyond its rows.
OPTIONS = {
    "statevector": (
        "shots=4096",
        "shots=4096,gradient=shift",
        "gradient=shift",
        "gradient=spsa,directions=8",
        "shots=4096,gradient=spsa",
        "p2=0.05,trajectories=20",
        "p1=0.02,readout=0.03,shots=1000,gradient=shift,trajectories=10",
    ),
    "aer:statevector": ("shots=4096",),
    "aer:density_matrix": ("shots=4096", "p1=0.01,p2=0.02,readout=0.02"),
    "pennylane:default.qubit": ("shots=4096", "gradient=shift"),
    "pennylane:lightning.qubit": ("shots=1000,gradient=shift",),
}


ROWS = {
    label_of(family, variant.target): variant
    for family in BACKENDS
    for variant in backend_class(family).variants
}
HERE = {
    EXAMPLES.get(name, name): variant
    for name, variant in ROWS.items()
    if not variant.missing and not variant.capabilities.costs_money and name not in ELSEWHERE
}
STRINGS = [text for name in HERE for text in (name, *(f"{name},{more}" for more in OPTIONS.get(name, ())))]


# What depends on the family alone runs once for each, on its first row.
FAMILIES = list({BackendSpec.parse(name).family: name for name in reversed(HERE)}.values())
# A gate takes another path where states are sampled.
GATES_IN = [*HERE, *(f"{name},shots=4096" for name in ("statevector", "aer:density_matrix"))]


def without_rule(text):
    """The backend apart from its gradient rule, on which values do not depend."""
    spec = BackendSpec.parse(text)
    options = {key: value for key, value in spec.options.items() if key not in ("gradient", "directions")}
    return str(replace(spec, options=options))


SAMPLED = list({without_rule(text): text for text in reversed(STRINGS)}.values())[::-1]


class Named:
    text: str

    def backend(self):
        return load_backend(self.text)


class TestEveryFamily(Named, FamilyContract):
    @pytest.fixture(autouse=True, params=FAMILIES)
    def each(self, request):
        self.text = request.param


class TestGatesOfEveryTarget(Named, GateContract):
    @pytest.fixture(autouse=True, params=GATES_IN)
    def each(self, request):
        self.text = request.param


class TestSampling(Named, SamplingContract):
    @pytest.fixture(autouse=True, params=SAMPLED)
    def each(self, request):
        self.text = request.param


class TestRules(Named, RuleContract):
    @pytest.fixture(autouse=True, params=STRINGS)
    def each(self, request):
        self.text = request.param


def test_every_row_that_can_run_here_is_in_the_list():
    for name, variant in ROWS.items():
        if variant.missing or variant.capabilities.costs_money or name in ELSEWHERE:
            continue
        assert EXAMPLES.get(name, name) in STRINGS
        assert not EXAMPLES.get(name, name).endswith(">")
    assert all((Path(__file__).parent / test).exists() for test in ELSEWHERE.values())
    assert set(OPTIONS) <= set(HERE)
    assert set(EXAMPLES) | set(ELSEWHERE) <= set(ROWS)


GUIDE = Path(__file__).parents[2] / "docs" / "concepts" / "backends.md"
COLUMNS = {
    "gradients of its own": "native_gradients",
    "shots": "shots",
    "noise": "noise",
    "hardware": "hardware",
    "amplitudes": "amplitude_input",
    "costs money": "costs_money",
    "light cones": "light_cones",
}


def table():
    """The table of backends as the guide prints it; what is installed differs from machine to machine."""
    head = ["backend", "what it is", *COLUMNS, "qubits", "install"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in describe_backends({name: backend_class(name) for name in BACKENDS}):
        flags = ["yes" if row[key] else "" for key in COLUMNS.values()]
        install = f"`{row['install']}`" if row["install"] else ""
        cells = [f"`{row['name']}`", row["what it is"], *flags, str(row["max_qubits"]), install]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_guide_prints_the_table_of_the_code():
    printed = GUIDE.read_text().split("begin -->\n")[1].split("\n<!-- table of backends: end")[0]
    assert printed == table()

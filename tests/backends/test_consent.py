"""A backend that a file names cannot spend money without the caller's word."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hybridqies.backends import BACKENDS, Rates, backend_class, check_recorded, load_recorded
from hybridqies.backends.consent import RECORDED_LIMITS
from hybridqies.backends.rates import Rate
from hybridqies.backends.spec import label_of
from hybridqies.errors import CapabilityError, InputError, UnknownNameError

PAID = ["ionq:qpu.forte-1,shots=20000", "ibm:ibm_torino,shots=100"]
FREE = ["statevector", "aer,shots=100", "pennylane:default.mixed", "ibm:fake_torino", "ionq:simulator"]


@pytest.mark.parametrize("spec", PAID)
def test_a_paid_backend_in_a_file_is_refused_in_one_line(spec):
    with pytest.raises(CapabilityError) as caught:
        check_recorded(spec)
    message = str(caught.value)
    assert spec in message
    assert "may cost money (no price is configured" in message
    assert "--backend" in message
    assert "\n" not in message


@pytest.mark.parametrize("spec", FREE)
def test_a_free_backend_in_a_file_is_taken(spec):
    check_recorded(spec)


def test_every_row_that_costs_money_is_refused():
    rows = [(name, variant) for name in BACKENDS for variant in backend_class(name).variants]
    paid = [(name, variant) for name, variant in rows if variant.capabilities.costs_money]
    assert {name for name, _ in paid} == {"ibm", "ionq"}
    for name, variant in paid:
        with pytest.raises(CapabilityError, match="may cost money"):
            check_recorded(label_of(name, variant.target.strip("<>")))


def test_the_price_is_named_where_it_is_known():
    rates = Rates({"ionq:qpu.*": Rate(per_job=0.3, per_2q_gate_shot=0.001, seconds_per_job=2)})
    with pytest.raises(CapabilityError, match=r"\(0.3 USD per job, 0.001 USD per 2q gate shot, 2 seconds"):
        check_recorded(PAID[0], rates=rates)


def test_with_the_callers_word_it_is_loaded_under_a_cap():
    pytest.importorskip("qiskit_ionq")
    check_recorded(PAID[0], allowed=True)
    load: Any = load_recorded
    backend = load(PAID[0], allowed=True)
    assert backend.jobs.limits == RECORDED_LIMITS
    with pytest.raises(CapabilityError, match="at most 100000"):
        backend.jobs.limits.check(shots=100_001, jobs=1)
    assert load("ionq:simulator").jobs.limits.max_shots is None


def test_a_device_of_another_package_is_not_known_to_be_free_and_is_not_made(monkeypatch):
    import pennylane as qml

    def never():
        pytest.fail("it was loaded")

    device = SimpleNamespace(value="pennylane_ionq:QPUDevice", load=never)
    monkeypatch.setattr(qml, "plugin_devices", qml.plugin_devices | {"ionq.qpu": device})
    with pytest.raises(CapabilityError, match="may cost money"):
        load_recorded("pennylane:ionq.qpu,shots=100")


@pytest.mark.parametrize(
    ("spec", "kind"),
    [("nosuch", UnknownNameError), ("pennylane:nosuch", UnknownNameError), ("aer,x", InputError)],
)
def test_what_is_no_backend_is_refused_as_ever(spec, kind):
    with pytest.raises(kind):
        check_recorded(spec)

"""A backend in one string."""

from __future__ import annotations

import copy
import pickle
import types
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
import torch

from hybridqies import extensions
from hybridqies.backends import JobSettings, backend_class, load_backend, registry
from hybridqies.backends.jobs import Limits
from hybridqies.backends.spec import BackendSpec
from hybridqies.circuit import Circuit, Weight, gate
from hybridqies.errors import CapabilityError, InputError, UnknownNameError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("statevector", ("statevector", "", {})),
        ("aer:density_matrix,p2=0.01,shots=4096", ("aer", "density_matrix", {"p2": 0.01, "shots": 4096})),
        ("pennylane:lightning.qubit", ("pennylane", "lightning.qubit", {})),
        (" ionq:qpu.forte-1 , debiasing = true", ("ionq", "qpu.forte-1", {"debiasing": True})),
    ],
)
def test_parts(text, parts):
    spec = BackendSpec.parse(text)
    assert (spec.family, spec.target, dict(spec.options)) == parts
    assert BackendSpec.parse(str(spec)) == spec


@pytest.mark.parametrize("text", ["aer,shots", "aer,=3", "aer,shots=", "aer,shots=1,shots=2", "aer,"])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(InputError, match="expected"):
        BackendSpec.parse(text)


def test_a_backend_names_itself():
    for text in ("statevector", "statevector,shots=100,gradient=shift", "statevector,p2=0.01,trajectories=7"):
        assert load_backend(text).spec == text
        assert load_backend(load_backend(text).spec).options == load_backend(text).options
    assert load_backend("statevector,seed=0,gradient=adjoint").spec == "statevector"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("statevectr", "did you mean 'statevector'"),
        ("statevector:gpu", "target of backend 'statevector'"),
        ("statevector,shot=3", "did you mean 'shots'"),
        ("statevector,shots=many", "'shots' was given 'many'; expected a whole number"),
        ("statevector,shots=0", "'shots' was given 0; expected 1 to"),
        ("statevector,gradient=sift", "did you mean 'shift'"),
        ("statevector,p1=1.5", "'p1' was given 1.5; expected 0 to 1"),
        ("statevector,px=0.6,py=0.6", "expected a sum up to 1"),
        ("statevector,trajectories=7", "'trajectories' was given without gate noise"),
        ("statevector,p1=0.1,trajectories=1", "'trajectories' was given 1; expected 2 to"),
        ("statevector,step=0.5", "'step' was given without gradient=spsa"),
        ("pennylane:lightning.qubit,directions=7", "'directions' was given without gradient=spsa"),
        ("pennylane:null.qubit", "'pennylane:null.qubit' was asked for expectations"),
        ("ionq:qpu.", "IonQ target 'qpu.' was given"),
    ],
)
def test_unknown_names_and_values_are_refused_in_one_line(text, message):
    with pytest.raises((InputError, UnknownNameError)) as caught:
        load_backend(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_copies_and_pickles_are_the_same_place():
    backend = load_backend("statevector,shots=10")
    assert copy.deepcopy(backend) is backend
    again = pickle.loads(pickle.dumps(backend))
    assert (type(again), again.spec) == (type(backend), backend.spec)


def test_a_copy_of_a_remote_backend_keeps_its_journal_and_caps(tmp_path):
    pytest.importorskip("qiskit_ionq")
    backend: Any = load_backend("ionq:simulator,shots=10")
    backend.jobs = JobSettings(tmp_path / "jobs.jsonl", Limits(max_shots=5), on_progress=print)
    for again in (pickle.loads(pickle.dumps(backend)), copy.copy(backend)):
        assert again.spec == backend.spec
        assert (again.jobs.journal, again.jobs.limits) == (backend.jobs.journal, backend.jobs.limits)


def test_what_a_job_is_named_by(tmp_path):
    pytest.importorskip("qiskit_ionq")
    circuit, angles = Circuit.of(1, [gate("RX", 0, Weight(0))]), torch.zeros(1, 1, dtype=torch.float64)
    load: Any = load_backend
    keys = {
        text: load(f"ionq:simulator,{text}").work(circuit, angles).key()
        for text in (
            "shots=10",
            "shots=10,gradient=spsa,step=0.2",
            "shots=20",
            "shots=10,seed=1",
            "shots=10,noise_model=aria-1",
        )
    }
    assert keys["shots=10"] == keys["shots=10,gradient=spsa,step=0.2"]
    assert len(set(keys.values())) == 4


def test_backends_of_other_packages_that_cannot_be_used(monkeypatch):
    package = types.SimpleNamespace(name="other")
    points = [
        EntryPoint("broken", "no_such_module:Thing", registry.ENTRY_POINTS)._for(package),  # type: ignore[attr-defined]
        EntryPoint("wrong", "json:dumps", registry.ENTRY_POINTS)._for(package),  # type: ignore[attr-defined]
        EntryPoint("aer", "json:dumps", registry.ENTRY_POINTS)._for(package),  # type: ignore[attr-defined]
    ]
    monkeypatch.setattr(extensions, "entry_points", lambda group: points)
    extensions._announced.cache_clear()
    try:
        assert registry.backend_names()[-3:] == ["broken", "wrong", "other.aer"]
        for name in ("broken", "wrong", "other.aer"):
            with pytest.raises(CapabilityError, match=f"backend '{name}' of package other"):
                load_backend(name)
    finally:
        extensions._announced.cache_clear()


def test_numpy_scalars_are_numbers():
    aer = backend_class("aer")
    backend = aer(
        "density_matrix", shots=np.int64(100), seed=np.int32(3), p2=np.float32(0.5), readout=np.float64(0.25)
    )
    assert backend.spec == "aer:density_matrix,shots=100,seed=3,p2=0.5,readout=0.25"
    assert (type(backend.options.shots), type(backend.options.p2)) == (int, float)
    with pytest.raises(InputError, match=r"'shots'.*a whole number"):
        aer(shots=np.float64(2.5))

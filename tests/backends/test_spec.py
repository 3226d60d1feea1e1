"""A backend in one string."""

from __future__ import annotations

import copy
import pickle

import pytest

from hybridqies.backends import load_backend
from hybridqies.backends.spec import BackendSpec
from hybridqies.errors import InputError, UnknownNameError


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

"""What IonQ and its client do wrong: each failure is named for what it means."""

from __future__ import annotations

import sys

import pytest
import qiskit
from backends.ionq_server import IonQServer
from backends.ionq_service import TOKEN
from backends.ionq_work import LOST, text_of, work_of

from hybridqies.backends.ionq_provider import KEY, IonQOptions, IonQProvider, NoiseModel
from hybridqies.backends.jobs.provider import (
    JobError,
    JobState,
    TransientError,
    UncertainError,
)
from hybridqies.errors import InputError, MissingExtraError

pytest.importorskip("qiskit_ionq")

pytestmark = pytest.mark.usefixtures("no_warning_escapes")


@pytest.mark.parametrize("code", ["429", "503"])
def test_a_submission_that_was_not_taken_is_transient_and_was_sent_once(server, code):
    server.service.control({"faults": [{"kind": code, "on": "submit"}]})
    provider = IonQProvider()
    with pytest.raises(TransientError, match=f"HTTP {code}.*try again later"):
        provider.submit("label", work_of())
    assert server.service.requests == {"submit": 1}
    provider.submit("label", work_of())
    assert server.service.submissions(KEY) == {"label": 1}


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: "-".join(map(str, fault.values())))
def test_a_submission_without_an_answer_is_uncertain_and_can_be_found(server, impatient, fault):
    server.service.control({"faults": [{**fault, "on": "submit"}]})
    provider = IonQProvider()
    with pytest.raises(UncertainError) as caught:
        provider.submit("label", work_of())
    assert TOKEN not in text_of(caught.value)
    assert server.service.requests == {"submit": 1}
    (accepted,) = server.service.submissions(KEY).values() or (0,)
    assert accepted == (fault.get("accepted", False) or fault["kind"] in ("truncate", "garble"))
    assert (provider.find("label") is not None) == accepted


@pytest.mark.parametrize("kind", ["drop", "hang", "truncate", "garble", "409", "429", "500", "503"])
@pytest.mark.parametrize("verb", ["status", "list", "results", "cancel"])
def test_any_other_request_that_fails_is_transient_and_was_sent_once(server, impatient, verb, kind):
    provider, work = IonQProvider(), work_of()
    job_id = provider.submit("label", work)
    asked = {
        "status": lambda: provider.status(job_id),
        "list": lambda: provider.find("label"),
        "results": lambda: provider.counts(job_id, work),
        "cancel": lambda: provider.cancel(job_id),
    }[verb]
    server.service.control({"faults": [{"kind": kind, "on": verb, "seconds": 0.3}]})
    with pytest.raises(TransientError):
        asked()
    assert server.service.requests[verb] == 1
    asked()


def test_a_server_that_is_not_there_is_transient(server, monkeypatch):
    with IonQServer() as gone:
        monkeypatch.setenv("IONQ_API_URL", gone.url)
    provider = IonQProvider()
    for call in (lambda: provider.submit("label", work_of()), lambda: provider.find("label")):
        with pytest.raises(TransientError, match="cannot be reached; nothing was sent"):
            call()


@pytest.mark.parametrize("code", ["400", "403", "404"])
def test_a_refusal_is_permanent_and_says_why(server, code):
    server.service.control({"faults": [{"kind": code}]})
    with pytest.raises(JobError, match=f"HTTP {code}.*try again later") as caught:
        IonQProvider().submit("label", work_of())
    assert type(caught.value) is JobError


def test_an_expired_key_is_permanent_is_not_shown_and_can_be_renewed(server, monkeypatch):
    provider, work = IonQProvider(), work_of()
    job_id = provider.submit("label", work)
    server.service.control({"faults": [{"kind": "expire"}]})
    calls = (
        lambda: provider.submit("again", work),
        lambda: provider.find("label"),
        lambda: provider.status(job_id),
        lambda: provider.counts(job_id, work),
        lambda: provider.cancel(job_id),
    )
    for call in calls:
        with pytest.raises(JobError, match=r"refused the API key .HTTP 401.*IONQ_API_KEY") as caught:
            call()
        assert type(caught.value) is JobError
        assert "apiKey ***" in str(caught.value)
        assert TOKEN not in text_of(caught.value)
    assert TOKEN not in repr(provider) + repr(vars(provider))
    server.service.expired, server.service.token = False, "renewed"
    monkeypatch.setenv("IONQ_API_KEY", "renewed")
    assert provider.status(job_id).state is JobState.COMPLETED


@pytest.mark.parametrize(
    ("code", "body", "problem"),
    [
        (400, {"error": "a bare word"}, r"answer was lost .AttributeError"),
        (201, ["unexpected"], "not a JSON object"),
        (201, {"status": "submitted"}, "without a job id"),
    ],
)
def test_an_answer_that_cannot_be_read_leaves_a_submission_uncertain(
    server, monkeypatch, code, body, problem
):
    handler = server.RequestHandlerClass
    plain = handler.reply
    monkeypatch.setattr(handler, "reply", lambda self, *_: plain(self, code, body))
    with pytest.raises(UncertainError, match=problem):
        IonQProvider().submit("label", work_of())


def test_what_the_client_itself_refuses_is_permanent(server):
    work, provider = work_of(), IonQProvider()
    foreign = qiskit.QuantumCircuit(3)
    foreign.u(0.1, 0.2, 0.3, 0)
    foreign.measure_all()
    provider._compiled = lambda circuit: foreign  # type: ignore[assignment]
    with pytest.raises(JobError, match="client refuses the job: gate 'u' is not supported") as caught:
        provider.submit("label", work)
    assert type(caught.value) is JobError
    assert server.service.requests == {}


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ({"0": 0.5}, "add up to 0.5"),
        ({}, "add up to 0"),
        ({"8": 1.0}, "or name more qubits"),
        ({"0": 1.5, "1": -0.5}, "add up to 1"),
        ({"0": float("nan")}, "add up to nan"),
        ({"zero": 1.0}, "not numbers by decimal state"),
        ("none", "gave no probabilities for its circuit"),
    ],
)
def test_results_that_make_no_sense_are_refused(server, found, problem):
    provider, work = IonQProvider(), work_of()
    job_id = provider.submit("label", work)
    (child,) = server.service.jobs[job_id].children
    server.service.jobs[child].probabilities = found
    with pytest.raises(JobError, match=problem):
        provider.counts(job_id, work)


def test_a_state_that_nobody_documented_is_named(server, monkeypatch):
    job_id = IonQProvider().submit("label", work_of())
    monkeypatch.setattr(server.service, "status_of", lambda job: "pondering")
    with pytest.raises(JobError, match="unknown state 'pondering'"):
        IonQProvider().status(job_id)


def test_a_completed_job_without_results_is_refused(server, monkeypatch):
    job_id = IonQProvider().submit("label", work_of())
    show = server.service.show
    monkeypatch.setattr(server.service, "show", lambda job: {**show(job), "results": None})
    with pytest.raises(JobError, match="completed and offers no probabilities"):
        IonQProvider().counts(job_id, work_of())


def test_results_of_other_work_are_refused(server):
    provider = IonQProvider()
    job_id = provider.submit("label", work_of())
    with pytest.raises(JobError, match="ran 1 circuits, and 2 were asked for"):
        provider.counts(job_id, work_of(angles=[[0.0], [1.0]]))


@pytest.mark.parametrize(
    ("target", "options", "problem"),
    [
        ("aria-1", None, "IonQ target 'aria-1' was given; expected simulator, or a QPU as qpu.forte-1"),
        ("qpu.aria-1", IonQOptions(noise_model=NoiseModel.ARIA_1), "a QPU has its own noise"),
        ("simulator", IonQOptions(debiasing=True), "debiasing was asked of IonQ's simulator"),
    ],
)
def test_what_a_target_does_not_have_is_refused_at_once(target, options, problem):
    with pytest.raises(InputError, match=problem):
        IonQProvider(target, options)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("IONQ_API_KEY", "", "found no API key; expected one in the environment variable IONQ_API_KEY"),
        ("IONQ_API_KEY", f"{TOKEN}\n", "IonQ's API key holds blanks"),
        ("IONQ_API_URL", "api.ionq.co/v0.4", "IONQ_API_URL is 'api.ionq.co/v0.4'"),
    ],
)
def test_credentials_that_cannot_work_are_refused_before_anything_is_sent(
    server, monkeypatch, name, value, problem
):
    monkeypatch.setenv(name, value)
    for call in (IonQProvider().ready, lambda: IonQProvider().submit("label", work_of())):
        with pytest.raises(InputError, match=problem) as caught:
            call()
        assert TOKEN not in text_of(caught.value)
    assert server.service.requests == {}


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    for name in ("helpers", "ionq_client", "ionq_job"):
        monkeypatch.setitem(sys.modules, f"qiskit_ionq.{name}", None)
    for call in (IonQProvider().ready, lambda: IonQProvider().submit("label", work_of())):
        with pytest.raises(MissingExtraError, match=r"hybridqies\[ionq\]"):
            call()

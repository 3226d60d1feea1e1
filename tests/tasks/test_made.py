"""Tasks that make their data: the rows, what is recorded of them, and what is refused by name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridqies.cli.app import run
from hybridqies.cli.studies import plan_from_flags
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.events import AttentionDetector, make_rows
from hybridqies.runs import DataOptions, RunConfig, execute, prepare, start_run
from hybridqies.saved_model import WEIGHTS, load_model
from hybridqies.study.context import TrialContext
from hybridqies.study.head_plan import HeadPlan, Scaling
from hybridqies.study.kinds import STUDIES
from hybridqies.study.protocol import attempt
from hybridqies.study.trials.outcome import TrialFailure
from hybridqies.tasks import ModelSpec, TaskData, load_task
from hybridqies.tasks.made import MadeTask
from hybridqies.tasks.radiation_events import AttentionModel, EventData, EventOptions
from hybridqies.tasks.sparse_parity import ParityData, ParityOptions
from hybridqies.tensors import load_state, load_tensors
from hybridqies.training import TrainingConfig, predict_probabilities

PARITY = "sparse-parity:n_tasks=3,n_bits=8,n_relevant=2,n_rows=120,seed=4"
EVENTS = "radiation-events:n_runs=64,duration=30,rate=2,tau=8,width=8,heads=2,layers=1"
ATTENTION = f"{EVENTS},encoder=attention"


def data_of(source: str, **options: object) -> TaskData:
    given = DataOptions(source, **options)  # type: ignore[arg-type]
    return load_task(source.partition(":")[0]).load(given, RunConfig().encoder, "cpu")


def test_parity_rows_are_different_and_their_labels_parities() -> None:
    data = data_of(PARITY)
    assert isinstance(data, ParityData)
    assert data.problem == ParityOptions(3, 8, 2, n_rows=120, seed=4)
    assert data.features.shape == (120, 11)
    assert len(torch.unique(data.features, dim=0)) == 120
    task, bits = data.features[:, :3], data.features[:, 3:]
    assert torch.equal(task.sum(1), torch.ones(120))
    looked_at = bits.gather(1, data.problem.parity.relevant()[task.argmax(1)])
    assert data.label_indices(data.dataset.train.labels).tolist() == (looked_at.sum(1) % 2).tolist()
    assert data.dataset.train.texts[0] == (
        f"task {int(task[0].argmax()) + 1}: {''.join(str(int(bit)) for bit in bits[0])}"
    )


def test_seeds_draw_disjoint_parts_of_the_same_rows() -> None:
    data, again, other = data_of(PARITY), data_of(PARITY), data_of(PARITY.replace("seed=4", "seed=5"))
    assert data.fingerprints == again.fingerprints
    assert data.fingerprints["data"] != other.fingerprints["data"]
    first, second = ([data.places(part) for part in data.draw(seed).named().values()] for seed in (0, 1))
    assert first != second
    for places in (first, second):
        assert sorted(itertools.chain(*places)) == list(range(120))


def test_the_loss_of_each_quantum_adds_up_to_the_loss() -> None:
    data = data_of(PARITY)
    test = data.draw(0).test
    assert isinstance(data, ParityData)
    labels = data.label_indices(test.labels).numpy()
    chances = np.random.default_rng(0).uniform(0.05, 0.95, len(labels))
    probabilities = np.stack([1 - chances, chances], 1)
    quanta = data.details(test, probabilities)["quanta"]
    assert [each["task"] for each in quanta] == [1, 2, 3]
    assert sum(each["frequency"] for each in quanta) == pytest.approx(1)
    assert sum(each["n"] for each in quanta) == len(labels)
    loss = -np.log2(probabilities[np.arange(len(labels)), labels]).mean()
    assert sum(each["n"] * each["bits"] for each in quanta if each["n"]) == pytest.approx(loss * len(labels))
    right = (probabilities.argmax(1) == labels).mean()
    assert sum(each["n"] * (each["accuracy"] or 0) for each in quanta) == pytest.approx(right * len(labels))


def test_a_task_without_test_rows_has_no_loss() -> None:
    data = data_of("sparse-parity:n_tasks=20,n_bits=12,n_rows=40,alpha=3")
    part = data.draw(0).test
    last = data.details(part, np.full((len(part), 2), 0.5))["quanta"][-1]
    assert (last["n"], last["accuracy"], last["bits"]) == (0, None, None)


def test_events_are_the_rows_of_the_package() -> None:
    plain, attention = data_of(EVENTS), data_of(ATTENTION)
    assert isinstance(plain, EventData)
    assert isinstance(attention, EventData)
    problem = EventOptions(n_runs=64, duration=30, rate=2, tau=8, width=8, heads=2, layers=1)
    assert plain.problem == problem
    own = make_rows(problem.scene, problem.attention, 64, 0, (20, 120))
    assert torch.equal(plain.embed(), own.inputs.sqrt())
    assert torch.equal(attention.embed().float(), own.inputs)
    assert plain.classes == ("background", "release")
    assert plain.label_indices(plain.dataset.train.labels).tolist() == own.labels.tolist()
    assert (plain.n_inputs, attention.n_inputs) == (own.inputs.shape[1], 16)


def test_the_head_is_trained_with_the_attention_encoder(tmp_path: Path) -> None:
    config = RunConfig(
        task="radiation-events",
        data=DataOptions(ATTENTION),
        head="mlp",
        settings={"widths": "none"},
        compare=(),
        training=TrainingConfig(epochs=1),
    )
    prepared = prepare(config)
    model, data = prepared.arm.model, prepared.data
    assert isinstance(model, AttentionModel)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    start_run(prepared, tmp_path / "run")
    (result,) = execute(prepared, tmp_path / "run")["results"]
    assert not torch.equal(start["read.weight"], model.read.weight)
    # A linear layer behind the encoder: what `AttentionDetector` is by itself.
    problem = EventOptions(width=8, heads=2, layers=1)
    detector = AttentionDetector(problem.scene, problem.attention)
    assert result["n_parameters"] == sum(each.numel() for each in detector.parameters())
    assert result["problem"]["encoder"] == "attention"
    again = data.build(config.spec(), prepared.backend, 7)
    tensors, _ = load_tensors(tmp_path / "run" / WEIGHTS)
    load_state(again, tensors, tmp_path / "run" / WEIGHTS)
    rows = data.rows(prepared.drawn.test, config.spec())
    predicted = predict_probabilities(again, rows[:].inputs).argmax(1)
    assert (predicted == rows[:].labels.numpy()).mean() == pytest.approx(result["accuracy"])


@pytest.mark.parametrize("head", ["logistic", "svc", "quantum-kernel"])
def test_a_solved_head_trains_no_encoder(head: str) -> None:
    data = data_of(ATTENTION)
    backend = prepare(
        RunConfig(task="sparse-parity", data=DataOptions(PARITY), compare=(), head="mlp")
    ).backend
    with pytest.raises(InputError, match=f"head '{head}' was to train the attention encoder"):
        data.build(ModelSpec(head), backend, 0)


def test_counts_are_not_scaled_before_their_encoder() -> None:
    plan = STUDIES["sweep"].plan(
        task="radiation-events",
        data=DataOptions(ATTENTION),
        arms=("mlp-0",),
        seeds=(0,),
        training={"epochs": 1},
        scaling=Scaling.STANDARD,
    )
    context = TrialContext(data_of(ATTENTION))
    (outcome,) = attempt(STUDIES["sweep"].trials(plan, context), context)
    assert isinstance(outcome, TrialFailure)
    assert "which an encoder reads; expected --scaling none" in outcome.error


def test_a_folder_with_the_name_of_a_task_is_not_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = RunConfig(task="sparse-parity", data=DataOptions("sparse-parity"))
    (tmp_path / "sparse-parity").mkdir()
    (tmp_path / config.encoder).mkdir()
    assert config.anchored() == config


SOURCES = {
    "other data": (
        "sms_spam",
        "data 'sms_spam' was given for task 'sparse-parity'; expected sparse-parity or",
    ),
    "unknown option": ("sparse-parity:n_task=3", "unknown option of sparse-parity: 'n_task'; .* 'n_tasks'"),
    "no value": ("sparse-parity:n_tasks", "has the option 'n_tasks'; expected KEY=VALUE"),
    "nothing": ("sparse-parity:", "has the option ''; expected KEY=VALUE"),
    "twice": ("sparse-parity:seed=1,seed=2", "gives 'seed' twice"),
    "a word": ("sparse-parity:n_rows=many", "'n_rows' was given 'many'; expected a whole number"),
    "too few rows": ("sparse-parity:n_rows=3", "'n_rows' was given 3; expected 10 to 1,000,000"),
    "too many rows": ("sparse-parity:n_rows=2049", "2049 different rows of 12 bits .* at most 2,048"),
    "too many tasks": ("sparse-parity:n_tasks=200", "200 tasks were to look at 3 of 12 bits each"),
    "too large": ("sparse-parity:n_bits=100000,n_rows=9000", "9,000 rows of 100,005 numbers were to be made"),
    "no heads": ("radiation-events:heads=0", "'heads' was given 0"),
    "odd width": ("radiation-events:width=30", "'width' was given 30 with heads=4"),
    "no encoder": ("radiation-events:encoder=atention", "did you mean 'attention'"),
    "weak": (
        "radiation-events:weakest=50,strongest=20",
        "'strongest' was given 20.0; expected 50 to 1,000,000",
    ),
}


@pytest.mark.parametrize("case", SOURCES)
def test_options_that_are_refused(case: str) -> None:
    source, said = SOURCES[case]
    task = "radiation-events" if source.startswith("radiation") else "sparse-parity"
    with pytest.raises(InputError, match=said):
        load_task(task).load(DataOptions(source), RunConfig().encoder, "cpu")


def test_what_only_texts_have_is_refused_in_python() -> None:
    unfit: list[dict[str, object]] = [{"text_column": "words"}, {"pair_column": "none"}, {"drop_empty": True}]
    for given in unfit:
        (name,) = given
        with pytest.raises(InputError, match=f"{name} .* was given for task 'sparse-parity'"):
            data_of(PARITY, **given)
    with pytest.raises(InputError, match="encoder 'mine' was given for task 'sparse-parity'"):
        load_task("sparse-parity").load(DataOptions(PARITY), "mine", "cpu")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the program, expects a refusal, and gives its one line."""

    def call(*arguments: object) -> str:
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err

    return call


FLAGS = {
    "text column": (["--text-column", "text"], "--text-column was given with --task sparse-parity"),
    "pairs": (["--pair-column", "auto"], "--pair-column was given with --task sparse-parity"),
    "encoder": (["--encoder", "all-MiniLM-L6-v2"], "which has no texts; expected options of its data"),
    "tuning": (["--tune", "lora"], "--tune was given with --task sparse-parity"),
    "cache": (["--no-cache"], "--no-cache was given with --task sparse-parity"),
    "data": (["--data", "sms_spam"], "data 'sms_spam' was given for task 'sparse-parity'"),
    "misspelt": (["--task", "sparse-party"], "unknown task 'sparse-party'; .* did you mean 'sparse-parity'"),
    "resumed": (["--resume"], "--resume was given together with --task"),
}


@pytest.mark.parametrize("case", FLAGS)
def test_flags_that_are_refused(
    case: str, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given, said = FLAGS[case]
    line = refused("train", "--task", "sparse-parity", *given)
    assert re.search(said, line), line
    if case not in ("tuning", "cache", "resumed"):
        line = refused("sweep", "--task", "sparse-parity", *given)
        assert re.search(said, line), line
    assert list(tmp_path.iterdir()) == []


def test_tuned_arms_are_refused_before_anything_is_trained(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    line = refused(
        "sweep", "--task", "sparse-parity", "--data", PARITY, "--arms", "mlp-0+lora", "--out", tmp_path / "s"
    )
    assert "tuning by 'lora' was given for" in line
    assert "which is not embedded; expected texts, and an encoder" in line
    assert not (tmp_path / "s").exists()


def test_a_study_without_data_has_that_of_its_task() -> None:
    plan = plan_from_flags(STUDIES["sweep"], {"task": "radiation-events", "arms": "mlp-0"})
    assert isinstance(plan, HeadPlan)
    assert (plan.task, plan.data.source) == ("radiation-events", "radiation-events")


def test_commands_about_texts_name_the_task(refused: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    quick = TrainingConfig(epochs=1)
    prepared = prepare(
        RunConfig(
            "sparse-parity", DataOptions(PARITY), head="dressed", n_qubits=2, compare=(), training=quick
        )
    )
    start_run(prepared, folder)
    execute(prepared, folder)
    with pytest.raises(ModelFolderError, match="holds a model of task 'sparse-parity'"):
        load_model(folder)
    for words in (
        ("evaluate", folder),
        ("evaluate", folder, "--data", "sms_spam"),
        ("predict", folder, "a text"),
        ("export", folder, tmp_path / "encoder"),
        ("diagnose", folder),
        ("hub", "stage", folder, "me/parity", "--out", tmp_path / "stage"),
    ):
        line = refused(*words)
        assert "holds a model of task 'sparse-parity'; expected a text classifier" in line, words
    assert not (tmp_path / "encoder").exists()


def test_made_tasks_are_called_as_their_data() -> None:
    for name in ("sparse-parity", "radiation-events"):
        task = load_task(name)
        assert isinstance(task, MadeTask)
        assert task.name == task.default_data == name

"""Models go to the Hub and come back the same; the Hub is a server on the loopback interface."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub.cards import metadata_of
from hub.loopback_hub import READER, TOKEN, LoopbackHub

from hybridqies import HybridClassifier
from hybridqies.circuit import Circuit, Feature, PauliString, Weight, gate
from hybridqies.cli.app import run
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.hub import CARD, publication, stage
from hybridqies.records import write_record
from hybridqies.saved_model import read_config
from hybridqies.saved_model.files import write_config
from hybridqies.text import Encoder

Sentences = Callable[[int], tuple[list[str], list[str]]]
NAME = "me/spam-filter"
TEXTS = ["a lovely film about the sea", "a dull film about the winter"]

pytestmark = [
    pytest.mark.usefixtures("own_cache"),
    # Two epochs are few, and say so.
    pytest.mark.filterwarnings("ignore::hybridqies.training.TrainingWarning"),
]


def test_a_fresh_process_loads_it_by_name(
    hub: LoopbackHub, model: HybridClassifier, tiny_encoder: Path, tmp_path: Path
) -> None:
    address = model.push_to_hub(NAME, private=True, token=TOKEN)
    assert address.startswith(f"{hub.address}/{NAME}/commit/")
    code = (
        "import sys; from hybridqies import HybridClassifier\n"
        f"model = HybridClassifier.from_pretrained({NAME!r}, encoder=sys.argv[1], cache=False)\n"
        f"print(model.predict_proba({TEXTS!r}).tolist())"
    )
    environment = os.environ | {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path / "fresh"),
        "HF_TOKEN": READER,
        # Scripts that other tests import set it to 1.
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_encoder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal(json.loads(done.stdout), model.predict_proba(TEXTS))
    assert READER not in done.stdout + done.stderr


def test_what_is_cached_needs_no_network(hub: LoopbackHub, model: HybridClassifier, encoder: Encoder) -> None:
    model.push_to_hub(NAME, token=TOKEN)
    HybridClassifier.from_pretrained(NAME, encoder=encoder, cache=False)
    asked = len(hub.requests)
    again = HybridClassifier.from_pretrained(NAME, encoder=encoder, cache=False, local_files_only=True)
    assert len(hub.requests) == asked
    assert np.array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))


def test_every_revision_stays(
    hub: LoopbackHub, model: HybridClassifier, encoder: Encoder, sentences: Sentences
) -> None:
    model.push_to_hub(NAME, token=TOKEN)
    first = hub.repositories[NAME].names["main"]
    other = HybridClassifier(encoder, "logistic", cache=False).fit(*sentences(40))
    other.push_to_hub(NAME, token=TOKEN, revision="logistic")
    heads = {
        revision: HybridClassifier.from_pretrained(NAME, revision=revision, encoder=encoder, cache=False).head
        for revision in ("main", "logistic", first)
    }
    assert heads == {"main": "dressed", "logistic": "logistic", first: "dressed"}


@pytest.mark.parametrize(
    ("private", "gated", "options", "words"),
    [
        (True, False, {}, "shows it to its members only"),
        (False, True, {}, "is gated"),
        (False, True, {"token": READER}, "is gated"),
        (False, False, {"revision": "v9"}, "has no revision 'v9'"),
        (False, False, {"local_files_only": True}, "is not in the hub's cache"),
    ],
    ids=["private", "gated", "gated, and not asked for", "no such revision", "not cached"],
)
def test_a_refusal_is_one_line(
    hub: LoopbackHub,
    model: HybridClassifier,
    private: bool,
    gated: bool,
    options: dict[str, Any],
    words: str,
) -> None:
    model.push_to_hub(NAME, private=private, token=TOKEN)
    hub.repositories[NAME].gated = gated
    with pytest.raises(InputError, match=words) as raised:
        HybridClassifier.from_pretrained(NAME, **options)
    assert "\n" not in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert READER not in str(raised.value)


@pytest.mark.parametrize("token", [None, READER, "hf_of_nobody"])
def test_only_who_may_write_pushes(hub: LoopbackHub, model: HybridClassifier, token: str | None) -> None:
    with pytest.raises(InputError, match="token with that right") as raised:
        model.push_to_hub(NAME, token=token)
    assert str(token) not in str(raised.value)
    assert not hub.repositories


@pytest.mark.parametrize("private", [True, False])
def test_a_repository_stays_as_private_as_was_asked_for(
    hub: LoopbackHub, model: HybridClassifier, private: bool
) -> None:
    """The Hub ignores the wish where the repository exists: a model meant to be private would be public."""
    model.push_to_hub(NAME, private=not private, token=TOKEN)
    before = dict(hub.repositories[NAME].commits)
    with pytest.raises(InputError, match=r"'me/spam-filter' exists and is .*; nothing was sent"):
        model.push_to_hub(NAME, private=private, token=TOKEN)
    assert hub.repositories[NAME].commits == before
    model.push_to_hub(NAME, private=not private, token=TOKEN)


def test_a_licence_that_the_hub_refuses_is_named(hub: LoopbackHub, model: HybridClassifier) -> None:
    with pytest.raises(InputError, match=r"refuses the metadata of the card .*correct the licence"):
        model.push_to_hub(NAME, token=TOKEN, license_name="no-such")


def test_an_adapter_travels(
    hub: LoopbackHub, encoder: Encoder, sentences: Sentences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files lie in a folder of their own."""
    made = HybridClassifier(
        encoder, "logistic", tune="lora", tune__by="linear", tune__epochs=1, cache=False, epochs=1
    )
    made.fit(*sentences(20))
    made.push_to_hub(NAME, token=TOKEN)
    again = HybridClassifier.from_pretrained(NAME, encoder=encoder, cache=False)
    assert np.array_equal(again.predict_proba(TEXTS), made.predict_proba(TEXTS))
    # More of the repository is in the cache by now than a model's files.
    (snapshot,) = (tmp_path / "hub").glob("models--me--spam-filter/snapshots/*")
    (snapshot / "notes.bin").write_bytes(b"something else")
    assert run(["hub", "pull", NAME, "--out", str(tmp_path / "pulled")]) == 0
    assert not (tmp_path / "pulled" / "notes.bin").exists()
    pulled = HybridClassifier.from_pretrained(tmp_path / "pulled", encoder=encoder, cache=False)
    assert np.array_equal(pulled.predict_proba(TEXTS), made.predict_proba(TEXTS))


def test_only_what_the_configuration_names_is_published(model: HybridClassifier, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "encoder.safetensors").write_bytes(b"left by an earlier run")
    stage(tmp_path / "saved", tmp_path / "staged", NAME)
    assert not (tmp_path / "staged" / "encoder.safetensors").exists()


def test_no_picture_is_written_outside(model: HybridClassifier, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "saved")
    config = read_config(tmp_path / "saved")
    config["model"]["circuits"] = {"../outside": config["model"]["circuits"]["circuit"]}
    write_config(tmp_path / "saved", config["model"], None)
    with pytest.raises(ModelFolderError, match=r"it has a circuit called '\.\./outside'"):
        stage(tmp_path / "saved", tmp_path / "staged", NAME)
    assert not list(tmp_path.rglob("outside.png"))
    assert not (tmp_path / "staged").exists()


@pytest.mark.parametrize(
    "name",
    ["spam-filter", "a/b/c", "me/spam filter", "../up", "me/..", "me/a..b", "me/-x", "me/x.git", "mé/x"],
)
def test_a_name_that_is_no_repository_is_refused_before_anything(model: HybridClassifier, name: str) -> None:
    with pytest.raises(InputError, match="expected owner/name"):
        model.push_to_hub(name)


def test_the_hub_is_not_asked_for_a_folder(hub: LoopbackHub, tmp_path: Path) -> None:
    for name in ("./runs/none", str(tmp_path / "none"), "a/b/c"):
        with pytest.raises(ModelFolderError):
            HybridClassifier.from_pretrained(name)
    with pytest.raises(InputError, match="leave the revision out"):
        HybridClassifier.from_pretrained(tmp_path, revision="main")
    assert not hub.requests


def test_nothing_of_this_machine_is_published(
    model: HybridClassifier, encoder: Encoder, tiny_encoder: Path, sentences: Sentences, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path / "saved")
    stage(tmp_path / "saved", tmp_path / "staged", NAME)
    assert {path.name for path in (tmp_path / "staged").iterdir()} == {
        "README.md",
        "circuit.png",
        "config.json",
        "model.safetensors",
        "trained_on.json",
    }
    for path in (tmp_path / "staged").iterdir():
        content = path.read_bytes()
        assert str(tiny_encoder.parent).encode() not in content
        assert str(Path.home()).encode() not in content
    assert read_config(tmp_path / "staged")["run"] is None
    texts, _ = sentences(40)
    loaded = HybridClassifier.from_pretrained(tmp_path / "staged", encoder=encoder, cache=False)
    assert loaded.model_.count_trained_on(texts) is None
    stage(tmp_path / "saved", tmp_path / "with", NAME, text_hashes=True)
    loaded = HybridClassifier.from_pretrained(tmp_path / "with", encoder=encoder, cache=False)
    assert loaded.model_.count_trained_on(texts) == 40


def test_a_circuit_of_the_user_s_own_travels(encoder: Encoder, sentences: Sentences, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    library = Path(__file__).resolve().parents[2] / "circuits"
    recipe.write_text((library / "rot-ring.toml").read_text())
    own = Circuit.of(
        2,
        [
            gate("RY", 0, Feature((0,))),
            gate("RY", 1, Feature((1,))),
            gate("CNOT", (0, 1)),
            gate("RY", 1, Weight(0)),
        ],
        [PauliString(((0, "Z"),)), PauliString(((1, "Z"),))],
    )
    chosen: list[tuple[str | Circuit, int | None]] = [(str(recipe), 3), (own, None)]
    for at, (circuit, n_qubits) in enumerate(chosen):
        made = HybridClassifier(encoder, "dressed", circuit, n_qubits, epochs=1, cache=False)
        made.fit(*sentences(40))
        made.save_pretrained(tmp_path / f"saved{at}")
        stage(tmp_path / f"saved{at}", tmp_path / f"staged{at}", NAME)
        loaded = HybridClassifier.from_pretrained(tmp_path / f"staged{at}", encoder=encoder, cache=False)
        assert np.array_equal(loaded.predict_proba(TEXTS), made.predict_proba(TEXTS))
        assert str(tmp_path) not in (tmp_path / f"staged{at}" / "config.json").read_text()


@pytest.mark.parametrize("was_there", [True, False])
def test_a_full_disk_leaves_nothing_half_written(
    model: HybridClassifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    was_there: bool,
) -> None:
    def draw(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(publication, "draw_picture", draw)
    saved, out = str(model.save_pretrained(tmp_path / "saved")), tmp_path / "out"
    if was_there:
        out.mkdir()
    assert run(["hub", "stage", saved, NAME, "--out", str(out)]) == 2
    assert "make room on that disk" in capsys.readouterr().err
    assert not list(out.glob("*"))
    assert out.exists() is was_there


def test_another_kind_of_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_record(tmp_path / "config.json", {"kind": "language model"})
    write_record(tmp_path / "result.json", {"arm": "tap", "test_loss": 3.0})
    assert run(["hub", "stage", str(tmp_path), NAME, "--out", str(tmp_path / "out")]) == 2
    assert "holds a language model; expected a classifier" in capsys.readouterr().err


def test_commands(
    hub: LoopbackHub,
    model: HybridClassifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    saved = str(model.save_pretrained(tmp_path / "saved"))
    assert run(["hub", "stage", saved, NAME, "--out", str(tmp_path / "look")]) == 0
    assert run(["hub", "push", saved, NAME, "--private", "--license", "mit", "--json"]) == 0
    assert hub.repositories[NAME].private
    assert run(["hub", "pull", NAME, "--out", str(tmp_path / "pulled")]) == 0
    pulled = {path.name: path.read_bytes() for path in (tmp_path / "pulled").iterdir()}
    assert metadata_of(pulled[CARD].decode())["license"] == "mit"
    looked = {path.name: path.read_bytes() for path in (tmp_path / "look").iterdir()}
    assert {name: content for name, content in pulled.items() if name != CARD} == {
        name: content for name, content in looked.items() if name in pulled and name != CARD
    }
    assert run(["hub", "pull", NAME, "--out", str(tmp_path / "pulled")]) == 2
    assert run(["hub", "push", str(tmp_path), NAME]) == 2
    assert TOKEN not in "".join(capsys.readouterr())

"""Commands that list circuits and backends, the program itself, and settings on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.program import Say

from hybridqies.backends import BACKENDS, backend_class
from hybridqies.circuit import list_circuits, load_circuit, to_openqasm3
from hybridqies.cli.app import run
from hybridqies.cli.output import read_settings
from hybridqies.errors import InputError


class TestCircuits:
    def test_all(self, say: Say) -> None:
        out, _ = say("circuits", "list")
        assert all(name in out.replace("\n", "") for name in list_circuits())
        records = json.loads(say("circuits", "list", "--json")[0])
        assert [record["name"] for record in records] == list(list_circuits())
        for record in records:
            assert {"title", "reference", "weights", "min_qubits", "options"} <= set(record)

    @pytest.mark.parametrize("name", list_circuits())
    def test_one(self, name: str, say: Say) -> None:
        circuit = load_circuit(name, 5)
        record = json.loads(say("circuits", "show", name, "--qubits", 5, "--json")[0])
        assert record["n_weights"] == circuit.n_weights
        assert record["circuit"] == json.loads(json.dumps(circuit.to_mapping()))
        out, _ = say("circuits", "show", name, "--qubits", 5)
        assert f"{circuit.n_features} features, {circuit.n_weights} weights" in out

    def test_light_cones_and_work(self, say: Say) -> None:
        flags = ("circuits", "show", "data-reuploading", "--qubits", 128, "--set", "layers=2")
        out, _ = say(*flags)
        assert "light cones: 128, of 3 to 5 qubits" in out
        assert (
            "exact values on statevector: 128 light cones of up to 5 qubits, as the whole state has too"
            in out
        )
        record = json.loads(say(*flags, "--json")[0])
        assert sorted(set(record["light_cones"])) == [3, 4, 5]
        assert record["exact"]["operations"] > 10**6
        small, _ = say("circuits", "show", "data-reuploading", "--qubits", 4)
        assert "exact values on statevector: the whole state of 4 qubits" in small

    def test_a_circuit_that_no_state_vector_takes(self, say: Say) -> None:
        out, _ = say("circuits", "show", "long-range-reupload", "--qubits", 40)
        assert "light cones: 1, of 40 qubits\nrefused by statevector: the light cone" in out.replace("\r", "")
        record = json.loads(say("circuits", "show", "long-range-encoder", "--qubits", 5, "--json")[0])
        assert record["light_cones"] is None
        assert record["exact"]["run_as"] == "the whole state of 5 qubits"

    def test_options_formats_and_pictures(self, say: Say, tmp_path: Path) -> None:
        flags = ("circuits", "show", "long-range-reupload", "--qubits", 5, "--set", "connectivity=2")
        out, _ = say(*flags, "--format", "qasm")
        assert out.rstrip("\n") == to_openqasm3(
            load_circuit("long-range-reupload", 5, connectivity=2)
        ).rstrip("\n")
        for suffix, magic in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
            say(*flags, "--picture", tmp_path / f"c.{suffix}")
            assert (tmp_path / f"c.{suffix}").read_bytes().startswith(magic)

    def test_a_refusal_draws_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        picture = tmp_path / "picture.svg"
        flags = ["circuits", "show", "iqp", "--format", "qasm", "--json", "--picture", str(picture)]
        assert run(flags) == 2
        assert capsys.readouterr() == (
            "",
            "hybridqies: --json was given with --format qasm; expected one of them\n",
        )
        assert not picture.exists()

    def test_a_file_of_ones_own(self, say: Say, tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_text(
            'title = "My circuit"\nreference = "none"\nweights = "n"\nmeasure = [{ pauli = "Z" }]\n'
            'layers = [{ encode = "RY" }, { rotate = "RY" }]\n'
        )
        out, _ = say("circuits", "show", tmp_path / "mine.toml", "--qubits", 2)
        assert out.startswith("mine: My circuit\n")


def test_backends(say: Say) -> None:
    rows = json.loads(say("backends", "--json")[0])
    assert [row["name"] for row in rows] == [
        f"{name}:{each.target}" if each.target else name
        for name in BACKENDS
        for each in backend_class(name).variants
    ]
    assert {"native_gradients", "shots", "noise", "hardware", "max_qubits", "costs_money"} <= set(rows[0])
    out, _ = say("backends")
    assert "statevector" in out
    # Square brackets are markup to the table unless they are escaped.
    assert "hybridqies[gpu]" in "".join(out.split())


class TestProgram:
    def test_version(self, say: Say) -> None:
        from hybridqies import __version__

        assert say("--version") == (f"{__version__}\n", "")

    def test_help_names_every_command(self, say: Say) -> None:
        out, _ = say("--help")
        for name in ("train", "evaluate", "predict", "circuits show", "circuits list", "backends", "encode"):
            assert f" {name.split()[0]} " in out
            assert "Example:" in say(*name.split(), "--help")[0]

    def test_nothing_given_is_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run([]) == 2
        shown = capsys.readouterr()
        assert "Usage: hybridqies" in shown.out
        assert shown.err == ""


class TestSettings:
    def test_words_become_values(self) -> None:
        given = ["layers=3", "spread=0.5", "ry_column=false", "merge=mean", "widths=48,24"]
        assert read_settings(given) == {
            "layers": 3,
            "spread": 0.5,
            "ry_column": False,
            "merge": "mean",
            "widths": "48,24",
        }

    @pytest.mark.parametrize("pairs", [["layers"], ["=3"], ["layers="], ["layers=1", "layers=2"]])
    def test_refused(self, pairs: list[str]) -> None:
        with pytest.raises(InputError, match="--set"):
            read_settings(pairs)

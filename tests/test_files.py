"""Files, tensors, options and errors: what every other package stands on."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import os
import resource
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from hybridqies.errors import (
    CircuitError,
    DataError,
    HybridqiesError,
    InputError,
    MissingExtraError,
    ModelFolderError,
    UnknownNameError,
    nearest,
)
from hybridqies.files import (
    create_bytes,
    remove_leftovers,
    replacing,
    sha256_of,
    write_bytes,
    write_json,
    write_text,
)
from hybridqies.options import from_mapping, parse, parse_word, to_mapping, within
from hybridqies.records import write_lines, write_record
from hybridqies.tensors import check_finite, load_state, load_tensors, save_tensors


class TestFiles:
    def test_written_whole_with_parents(self, tmp_path: Path) -> None:
        write_text(tmp_path / "a" / "b" / "c.txt", "ü\n")
        assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "ü\n".encode()
        assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.txt"]

    def test_an_error_leaves_the_old_file_and_nothing_else(self, tmp_path: Path) -> None:
        target = tmp_path / "c.txt"
        write_bytes(target, b"old")
        fail = contextlib.suppress(RuntimeError)
        with fail, replacing(target) as temporary:
            temporary.write_bytes(b"ne")
            assert target.read_bytes() == b"old"
            raise RuntimeError
        assert target.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [target]

    def test_the_temporary_name_keeps_suffix_and_folder(self, tmp_path: Path) -> None:
        with replacing(tmp_path / "picture.png") as temporary:
            assert temporary.suffix == ".png"
            assert temporary.parent == tmp_path
            assert temporary.name.startswith(".")
            temporary.write_bytes(b"")

    def test_a_file_is_readable_like_any_other(self, tmp_path: Path) -> None:
        write_text(tmp_path / "ours", "")
        (tmp_path / "theirs").write_text("")
        modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "theirs")}
        assert len(modes) == 1

    def test_json_has_no_nan(self, tmp_path: Path) -> None:
        for value in (float("nan"), float("inf"), "\ud800"):
            with pytest.raises(InputError, match=r"a\.json' cannot be written as JSON"):
                write_json(tmp_path / "a.json", {"loss": value})
        assert list(tmp_path.iterdir()) == []
        write_json(tmp_path / "a.json", {"ü": [1, None]})
        assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"ü": [1, None]}

    def test_leftovers_of_killed_processes_go_and_nothing_else(self, tmp_path: Path) -> None:
        with replacing(tmp_path / "model.safetensors") as temporary:
            left = temporary.name
            temporary.write_bytes(b"")
        (tmp_path / "model.safetensors").unlink()
        kept = [".gitignore", ".note-of-mine.txt", "model-0123456789ab.safetensors", "result.json"]
        for name in [left, ".config-0123456789ab.json", ".LICENSE-0123456789ab", ".tmpa1B2c3", *kept]:
            (tmp_path / name).write_text("")
        remove_leftovers(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)

    @pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
    def test_modes_follow_the_umask(self, umask: int, tmp_path: Path) -> None:
        before = os.umask(umask)
        try:
            write_text(tmp_path / "a.txt", "")
            create_bytes(tmp_path / "b.txt", b"")
            save_tensors(tmp_path / "c.safetensors", {"a": torch.zeros(2)}, {})
            write_record(tmp_path / "d.json", {"a": 1})
            write_lines(tmp_path / "e.jsonl", [{"a": 1}])
        finally:
            os.umask(before)
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o666 & ~umask}

    @pytest.mark.parametrize("room", [0, 1, 40, 4000])
    def test_a_full_disk_is_an_error_that_names_the_file(self, room: int, tmp_path: Path) -> None:
        """A limit on the size of files stands in for a small disk: `write` fails after as many bytes."""
        values = {"a": torch.zeros(2000)}
        writers = {
            "a.txt": lambda path: write_text(path, "x" * 5000),
            "b.json": lambda path: write_json(path, ["x" * 5000]),
            "c.safetensors": lambda path: save_tensors(path, values, {}),
            "d.txt": lambda path: create_bytes(path, b"x" * 5000),
        }
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        for name, write in writers.items():
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
            try:
                with pytest.raises(OSError, match="File too large") as caught:
                    write(tmp_path / name)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert caught.value.filename == str(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_errors_about_other_files_keep_their_names(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a.txt"):
            (tmp_path / "source").read_bytes()
        assert caught.value.filename == str(tmp_path / "source")

    def test_a_new_file_replaces_nothing(self, tmp_path: Path) -> None:
        create_bytes(tmp_path / "a", b"first")
        with pytest.raises(FileExistsError):
            create_bytes(tmp_path / "a", b"second")
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"first")]

    def test_digest(self, tmp_path: Path) -> None:
        write_bytes(tmp_path / "a", b"abc")
        assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


class TestTensors:
    TENSORS: ClassVar = {
        "a": torch.arange(6.0).reshape(2, 3).T,
        "b": torch.tensor(3),
        "empty": torch.zeros(0, 4),
    }

    def test_round_trip(self, tmp_path: Path) -> None:
        save_tensors(tmp_path / "t.safetensors", self.TENSORS, {"ü": [1.5, None]})
        tensors, record = load_tensors(tmp_path / "t.safetensors")
        assert record == {"ü": [1.5, None]}
        assert set(tensors) == set(self.TENSORS)
        for name, value in self.TENSORS.items():
            assert torch.equal(tensors[name], value)
            assert tensors[name].dtype == value.dtype

    def test_any_reader_of_safetensors_reads_it(self, tmp_path: Path) -> None:
        from safetensors.torch import load_file

        save_tensors(tmp_path / "t.safetensors", self.TENSORS, {})
        assert torch.equal(load_file(tmp_path / "t.safetensors")["a"], self.TENSORS["a"])

    def test_every_flipped_byte_is_noticed(self, tmp_path: Path) -> None:
        path = tmp_path / "t.safetensors"
        save_tensors(path, {"a": torch.arange(3.0)}, {"epoch": 7})
        content = path.read_bytes()
        # Spaces that pad the header mean nothing; a flip there may pass.
        padding = range(content.rindex(b"}") + 1, len(content) - 12)
        for at in set(range(len(content))) - set(padding):
            flipped = bytearray(content)
            flipped[at] ^= 1
            path.write_bytes(bytes(flipped))
            with pytest.raises(ModelFolderError):
                load_tensors(path)

    @pytest.mark.parametrize("kept", [0, 5, 100, -1])
    def test_a_truncated_file_is_noticed(self, kept: int, tmp_path: Path) -> None:
        path = tmp_path / "t.safetensors"
        save_tensors(path, self.TENSORS, {})
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(ModelFolderError, match=r"t\.safetensors' is truncated or damaged"):
            load_tensors(path)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64])
    def test_only_finite_weights(self, value: float, dtype: torch.dtype, tmp_path: Path) -> None:
        path = tmp_path / "t.safetensors"
        bad = {"a": torch.zeros(3), "readout.bias": torch.tensor([0.0, value], dtype=dtype)}
        with pytest.raises(InputError, match=r"tensor 'readout\.bias' with NaN or infinite values"):
            check_finite(bad, path)
        check_finite({"a": torch.zeros(3), "b": torch.tensor(3), "empty": torch.zeros(0)}, path)
        save_tensors(path, bad, {})
        with pytest.raises(ModelFolderError, match=r"NaN or infinite values in tensor 'readout\.bias'"):
            load_tensors(path)

    def test_the_record_is_json(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"the record of '.*' cannot be written as JSON"):
            save_tensors(tmp_path / "t.safetensors", {}, {"score": float("nan")})

    @pytest.mark.parametrize(
        "note", ["[" * 10**5, "{" * 1000, "[]", "{}", '{"record": 1, "sha256": "x"}', "7"]
    )
    def test_odd_headers(self, note: str, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, tmp_path / "t.safetensors", {"hybridqies": note})
        with pytest.raises(ModelFolderError, match=r"t\.safetensors' is"):
            load_tensors(tmp_path / "t.safetensors")

    @pytest.mark.parametrize("header", [b"[" * 10**5, b'{"a":' * 10**5, b'{"a": {"dtype": "F32"}}', b"\xff"])
    def test_odd_safetensors(self, header: bytes, tmp_path: Path) -> None:
        path = tmp_path / "t.safetensors"
        for declared in (len(header), 2**63):
            path.write_bytes(declared.to_bytes(8, "little") + header)
            with pytest.raises(ModelFolderError, match="is truncated or damaged"):
                load_tensors(path)

    def test_what_never_ends_is_not_read(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "zero").symlink_to("/dev/zero")
        for name in ("pipe", "zero", "."):
            with pytest.raises(ModelFolderError, match="does not exist"):
                load_tensors(tmp_path / name)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFolderError, match="does not exist; expected a safetensors file"):
            load_tensors(tmp_path / "none")


class TestState:
    PATH = Path("m/model.safetensors")

    def test_loaded(self) -> None:
        module, values = torch.nn.Linear(2, 1), {"weight": torch.ones(1, 2), "bias": torch.tensor([3.0])}
        load_state(module, values, self.PATH)
        assert module(torch.ones(2)).tolist() == [5.0]

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"bias": None}, "tensor 'bias' in 'm/model.safetensors' is missing"),
            ({"extra": torch.zeros(1)}, "tensor 'extra' in .* belongs to no part of the model"),
            (
                {"weight": torch.zeros(2, 2)},
                r"tensor 'weight' in .* has shape \(2, 2\), the model's has \(1, 2\)",
            ),
            (
                {"weight": torch.zeros(1, 2).double()},
                "tensor 'weight' in .* has dtype torch.float64, the model's",
            ),
        ],
    )
    def test_what_does_not_fit_is_named(self, change: dict[str, torch.Tensor | None], problem: str) -> None:
        module = torch.nn.Linear(2, 1)
        before = {name: value.clone() for name, value in module.state_dict().items()}
        values = {name: value for name, value in (before | change).items() if value is not None}
        with pytest.raises(ModelFolderError, match=problem):
            load_state(module, values, self.PATH)
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclasses.dataclass(frozen=True)
class Outer:
    count: int = 1
    share: float = 0.5
    name: str = "x"
    on: bool = False
    colour: Colour = Colour.RED
    widths: tuple[int, ...] = ()
    limit: int | None = None
    label: str | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    inner: Inner = dataclasses.field(default_factory=Inner)


class TestOptions:
    @pytest.mark.parametrize(
        ("key", "given", "meant"),
        [
            ("count", "3", 3),
            ("share", "3", 3.0),
            ("share", 2, 2.0),
            ("share", "1e-3", 0.001),
            ("on", "true", True),
            ("on", "False", False),
            ("colour", "blue", Colour.BLUE),
            ("colour", Colour.BLUE, Colour.BLUE),
            ("widths", "4,8", (4, 8)),
            ("widths", 4, (4,)),
            ("widths", [4, 8], (4, 8)),
            ("limit", "none", None),
            ("limit", "4", 4),
            ("label", None, None),
            ("label", "word", "word"),
            ("extra", {"a": 1}, {"a": 1}),
            ("inner", {"depth": "4"}, Inner(4)),
        ],
    )
    def test_parsed_to_the_declared_type(self, key: str, given: Any, meant: Any) -> None:
        value = getattr(from_mapping(Outer, {key: given}, what="option"), key)
        assert value == meant
        assert type(value) is type(meant)

    @pytest.mark.parametrize(
        ("key", "given", "expected"),
        [
            ("count", "three", "a whole number"),
            ("count", 1.5, "a whole number"),
            ("count", True, "a whole number"),
            ("share", "nan", "a finite number"),
            ("share", "1e400", "a finite number"),
            ("share", False, "a finite number"),
            ("on", 1, "true or false"),
            ("name", 4, "a word"),
            ("widths", "4,x", "a whole number"),
            ("limit", "x", "a whole number"),
            ("extra", "x", "a mapping"),
            ("inner", "x", "a mapping"),
        ],
    )
    def test_refused_with_what_was_given(self, key: str, given: Any, expected: str) -> None:
        with pytest.raises(InputError) as caught:
            from_mapping(Outer, {key: given}, what="option")
        assert str(caught.value).startswith(f"option {key!r} was given ")
        assert f"expected {expected}" in str(caught.value)

    def test_unknown_keys_and_values_offer_the_nearest(self) -> None:
        for given, near in (
            ({"widhts": 1}, "widths"),
            ({"colour": "bleu"}, "blue"),
            ({"inner": {"dept": 1}}, "depth"),
        ):
            with pytest.raises(UnknownNameError) as caught:
                from_mapping(Outer, given, what="option")
            assert caught.value.nearest == near

    def test_round_trip_through_json(self) -> None:
        config = Outer(3, 0.25, "y", True, Colour.BLUE, (1, 2), 5, None, {"a": (1,)}, Inner(7))
        plain = json.loads(json.dumps(to_mapping(config)))
        assert from_mapping(Outer, plain, what="option") == dataclasses.replace(config, extra={"a": [1]})

    @pytest.mark.parametrize(
        ("word", "value"),
        [("3", 3), ("-3", -3), ("3.0", 3.0), ("1e3", 1000.0), ("TRUE", True), ("ring", "ring"), ("", "")],
    )
    def test_words(self, word: str, value: Any) -> None:
        assert parse_word(word) == value
        assert type(parse_word(word)) is type(value)

    def test_anything_goes_where_anything_is_declared(self) -> None:
        assert parse([1, "x"], Any, "option") == [1, "x"]


class TestErrors:
    def test_one_line_of_three_parts(self) -> None:
        error = InputError("it was\n given 3", expected="at most  2", todo="give less")
        assert str(error) == "it was given 3; expected at most 2; give less"

    @pytest.mark.parametrize("kind", [CircuitError, DataError, ModelFolderError, MissingExtraError])
    def test_one_base(self, kind: type[Exception]) -> None:
        assert issubclass(kind, HybridqiesError)

    def test_bad_input_is_a_value_error(self) -> None:
        assert issubclass(InputError, ValueError)
        assert issubclass(MissingExtraError, ImportError)

    def test_unknown_names(self) -> None:
        error = UnknownNameError("fruit", "appel", ["pear", "apple"], todo="Or bring your own.")
        assert str(error) == (
            "unknown fruit 'appel'; expected one of apple, pear; did you mean 'apple'? Or bring your own."
        )
        assert UnknownNameError("fruit", "zzz", []).nearest is None

    def test_nearest_ignores_case(self) -> None:
        assert nearest("ALL-MINILM", ["all-MiniLM-L6-v2", "iqp"]) == "all-MiniLM-L6-v2"
        assert nearest("x", ["long-range-reupload"]) is None

    def test_a_missing_extra_says_how_to_get_it(self) -> None:
        assert "pip install 'hybridqies[data]'" in str(MissingExtraError("reading Parquet", "data"))


@dataclasses.dataclass(frozen=True)
class Numbers:
    count: int = 1
    rate: float = 0.5
    sizes: tuple[int, ...] = ()
    flag: bool = False

    def __post_init__(self) -> None:
        within(self, "option", count=(1, 10), rate=(0.0, 1.0))


def test_scalars_of_numpy_are_plain_options():
    given = {"count": np.int64(3), "rate": np.float32(0.25), "sizes": np.array([2, 3]), "flag": np.True_}
    read = from_mapping(Numbers, given, what="option")
    assert read == Numbers(3, 0.25, (2, 3), True)
    assert json.loads(json.dumps(to_mapping(read))) == to_mapping(Numbers(3, 0.25, (2, 3), True))
    made = Numbers(count=np.int64(3), rate=np.float32(0.25))  # type: ignore[arg-type]
    assert [type(made.count), type(made.rate)] == [int, float]
    assert from_mapping(Numbers, {"rate": np.int8(1)}, what="option").rate == 1.0


@pytest.mark.parametrize(
    "given",
    [
        {"count": np.float64(1.5)},
        {"count": np.array([1, 2])},
        {"rate": np.float64("nan")},
        {"rate": np.True_},
        {"sizes": 1j},
        {"count": "9" * 5000},
    ],
)
def test_what_is_no_number_is_no_option(given):
    with pytest.raises(InputError, match="was given"):
        from_mapping(Numbers, given, what="option")


@pytest.mark.parametrize("given", [{"count": np.int64(11)}, {"rate": np.float32(2.0)}, {"count": "3"}])
def test_bounds_hold_for_what_is_made_directly_too(given):
    with pytest.raises(InputError, match="expected"):
        Numbers(**given)

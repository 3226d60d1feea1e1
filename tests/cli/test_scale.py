"""`hybridqies scale`: studies of language models, and laws fitted to a table of losses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli.program import Say

from hybridqies.cli.app import BAD_INPUT, run


@pytest.fixture
def table(tmp_path):
    """Two arms, four sizes, three seeds."""
    random = np.random.default_rng(0)
    rows = [
        f"{arm},{size:.0f},{seed},{(1.5 + factor * 14 * size**-0.2) * np.exp(0.003 * random.normal()):.5f}"
        for arm, factor in (("real", 1.0), ("tap", 0.9))
        for size in (65e3, 246e3, 812e3, 2.25e6)
        for seed in range(3)
    ]
    path = tmp_path / "losses.csv"
    path.write_text("\n".join(["arm,size,seed,loss", *rows]) + "\n", encoding="utf-8")
    return path


def test_json_table_and_picture(say: Say, table, tmp_path) -> None:
    picture = tmp_path / "fit.png"
    record = json.loads(say("scale", "fit", table, "--draws", "50", "--json", "--picture", picture)[0])
    assert [each["arm"] for each in record["arms"]] == ["real", "tap"]
    assert record["comparisons"][0]["offset_differs"] is True
    assert picture.read_bytes().startswith(b"\x89PNG")
    out, err = say("scale", "fit", table, "--draws", "50")
    assert "loss = E + A / size^α" in out
    assert "tap against real: no difference in the exponent of size was shown" in out
    assert err == ""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--reference", "tapp"], "did you mean 'tap'"),
        (["--loss-column", "lss"], "did you mean 'loss'"),
        (["--size-column", "none"], "no column of sizes or tokens"),
        (["--draws", "3"], "at least 50"),
    ],
)
def test_bad_input_is_one_line(flags, said, table, capsys) -> None:
    assert run(["scale", "fit", str(table), *flags]) == BAD_INPUT
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


class TestRun:
    @pytest.fixture
    def book(self, tmp_path: Path) -> Path:
        path = tmp_path / "book.txt"
        # Long enough for a window to validate on: shorter ones left every trial to fail.
        path.write_text("a cat sat on a mat and saw a dog run away. " * 180)
        return path

    def test_on_the_command_line(self, book: Path, tmp_path: Path, say: Say) -> None:
        flags = ["--data", f"a={book}", "--data", f"b={book},{book}", "--sizes", "6k", "--arms", "real,tap"]
        flags += ["--seeds", "1", "--n-tokens", "0.5k", "--set", "training.epochs=2"]
        out = tmp_path / "study"
        table, _ = say("scale", "run", *flags, "--out", out)
        rows = [line for line in table.splitlines() if line.startswith("│")]
        assert [sum(f" {arm} " in row for row in rows) for arm in ("real", "tap")] == [2, 2]
        result = json.loads((out / "study.json").read_text())
        assert (result["done"], result["failed"]) == (4, 0)
        assert {(cell["text"], cell["arm"]) for cell in result["cells"]} == {
            (text, arm) for text in "ab" for arm in ("real", "tap")
        }
        again = json.loads(say("scale", "run", "--resume", "--out", out, "--json")[0])
        assert again["cells"] == result["cells"]

    def test_a_dry_run_trains_nothing_and_says_what_it_costs(
        self, book: Path, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        flags = ["--data", book, "--sizes", "6k", "--arms", "real", "--seeds", "2", "--n-tokens", "4096"]
        flags += ["--search-tokens", "1024", "--set", "training.epochs=2", "--dry-run"]
        costs = json.loads(say("scale", "run", *flags, "--rates", "0.01,0.1", "--json")[0])
        (row,) = costs["rows"]
        assert (row["arm"], row["trainings"], costs["trainings"]) == ("real", 2, 2)
        assert costs["seconds"] == row["seconds"] > 0
        # 7,740 characters: 774 for the test, 139 for validation after two parts and after each rate.
        tokens = 2 * (4096 + 2 * 1024 + ((2 + 2) * 139 + 774) / 3)
        assert row["operations"] == pytest.approx(3 * row["flops_per_token"] * tokens, rel=1e-6)
        table, _ = say("scale", "run", *flags, "--rates", "0.01", "--workers", "2")
        assert "s of one thread" in table
        assert sorted(path.name for path in tmp_path.iterdir()) == ["book.txt"]

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (["--data", "a=x.txt,y.txt,z.txt"], "--data was given"),
            (["--data", "x.txt", "--data", "folder/x.txt"], "two texts are called 'x'"),
            (["--rates", "fast"], "--rates was given 'fast'"),
            (["--n-tokens", "many"], "--n-tokens 'many' was given"),
            (["--set", "tap.rnk=3"], "did you mean 'rank'"),
            (["--data", "none.txt"], "text 'none.txt' cannot be read"),
            (["--dry-run", "--cluster", "localhost:1"], "--dry-run was given with --resume or --cluster"),
        ],
    )
    def test_bad_input_is_one_line(
        self, flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["scale", "run", *flags, "--out", str(tmp_path / "out")]) == BAD_INPUT
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
        assert not (tmp_path / "out").exists()

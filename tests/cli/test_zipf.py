"""`hybridqies zipf`: JSON, table and picture."""

from __future__ import annotations

import json

import pytest
from cli.program import Say

from hybridqies.cli.app import BAD_INPUT, run

FLAGS = ("zipf", "--games", "3000", "--last", "2000")


def test_json_table_and_picture(say: Say, tmp_path) -> None:
    picture = tmp_path / "zipf.png"
    record = json.loads(say(*FLAGS, "--json", "--picture", picture)[0])
    assert (record["game"], record["fit"]["first"], record["fit"]["last"]) == ("connect-four", 100, 2000)
    assert record["curve"][0] == [1, max(count for _, count in record["curve"])]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"{record['fit']['exponent']:.4f}" in say(*FLAGS)[0]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--game", "conect-four"], "did you mean 'connect-four'"),
        (["--weights", "ranks"], "did you mean 'rank'"),
        (["--last", "50"], "first < last"),
        (["--games", "0"], "at least 1"),
    ],
)
def test_bad_input_is_one_line(flags, said, capsys) -> None:
    assert run([*FLAGS, *flags]) == BAD_INPUT
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1

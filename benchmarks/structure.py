"""Figures of the code's structure: files, lengths, and how many places know a head, backend or gate.

python benchmarks/structure.py [--tree PATH] [--json]
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = {
    "head": {"two-module", "dressed", "reupload", "logistic", "mlp", "matched-mlp", "svc", "quantum-kernel"},
    "backend": {"statevector", "tensor", "pennylane", "aer", "ibm", "ionq"},
    "gate": {
        *("SDG", "TDG", "SX", "SXDG", "RX", "RY", "RZ", "ROT", "CNOT", "CY", "CZ", "SWAP"),
        *("CRX", "CRY", "CRZ", "RXX", "RYY", "RZZ"),
    },
    "noise channel": {"p1", "p2", "dep1", "dep2", "readout", "depolarising", "depolarizing"},
}


def main() -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tree", type=Path, default=Path(__file__).resolve().parents[1], help="the checkout to measure"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.tree / "hybridqies")
    print(json.dumps(figures, indent=2) if given.json else table(figures))


def measure(package: Path) -> dict[str, Any]:
    """Figures by package below `package`, and the places that know names."""
    files = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))}
    groups: dict[str, list[Path]] = {}
    for path in files:
        inner = path.relative_to(package)
        groups.setdefault(inner.parts[0] if len(inner.parts) > 1 else "(top)", []).append(path)
    return {
        "packages": {name: _lengths(paths, files) for name, paths in sorted(groups.items())},
        "all": _lengths(list(files), files),
        "files that name a": {kind: _naming(files, names, package) for kind, names in NAMES.items()},
    }


def _lengths(paths: list[Path], trees: dict[Path, ast.Module]) -> dict[str, Any]:
    lines = [len(path.read_text(encoding="utf-8").splitlines()) for path in paths]
    functions = [length for path in paths for length in _functions(trees[path])]
    return {
        "files": len(paths),
        "median file": statistics.median(lines),
        "longest file": max(lines),
        "functions": len(functions),
        "median function": statistics.median(functions) if functions else 0,
        "longest function": max(functions, default=0),
    }


def _functions(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield node.end_lineno - node.lineno + 1


def _naming(trees: dict[Path, ast.Module], names: set[str], package: Path) -> dict[str, Any]:
    """Files with a string that is such a name, and how often that is; docstrings don't count."""
    found: dict[str, int] = {}
    for path, tree in trees.items():
        count = sum(
            isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
            for node in ast.walk(tree)
        )
        if count:
            found[str(path.relative_to(package))] = count
    return {"files": len(found), "places": sum(found.values()), "where": found}


def table(figures: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    columns = list(figures["all"])
    rows = [["package", *columns]]
    for name, each in [*figures["packages"].items(), ("all", figures["all"])]:
        rows.append([name, *(f"{each[column]:g}" for column in columns)])
    lines = [" | ".join(row) for row in rows]
    lines.insert(1, " | ".join("---" for _ in rows[0]))
    for kind, each in figures["files that name a"].items():
        lines.append(f"\n{kind}s by name: {each['places']} places in {each['files']} files")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

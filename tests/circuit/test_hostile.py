"""Recipes and programs that ask for too much are refused in one line, before anything is built.

There are no limits of time here: each of these hung, ran out of memory or ended the process.
"""

from __future__ import annotations

import json
import math

import pytest

from hybridqies.circuit import (
    Circuit,
    PauliString,
    Recipe,
    Weight,
    draw,
    draw_picture,
    draw_text,
    from_openqasm3,
    gate,
    load_circuit,
    load_recipe,
    picture,
    recipe,
)
from hybridqies.circuit.qasm_limits import MAX_BITS, MAX_NESTED, MAX_QUBITS
from hybridqies.errors import InputError

HEAD = 'title = "t"\nreference = "r"\nweights = "0"\n'
Z = 'measure = [{pauli = "Z"}]\n'
HUGE = "9" * 5000


def nested(layers: str, depth: int) -> str:
    return f"layers = [{'{repeat = 60, layers = [' * depth}{layers}{']}' * depth}]\n"


RECIPES = {
    "repeat of nothing": 'layers = [{repeat = "10**18", layers = []}]\n' + Z,
    "repeat as a number": "layers = [{repeat = 1000000000000, layers = []}]\n" + Z,
    "nested repeats": nested('{rotate = "H", when = false}', 6) + Z,
    "nested repeats of gates": nested('{rotate = "H"}', 4) + Z,
    "long expressions in repeats": nested('{rotate = "H", when = "' + "+".join(["0"] * 400) + '"}', 3) + Z,
    "tower of powers": 'layers = [{rotate = "H", when = "(((((9**64)**64)**64)**64)**64) > 1"}]\n' + Z,
    "tower of products": 'layers = [{rotate = "H", when = "' + "*".join(["99999999"] * 100) + ' > 1"}]\n' + Z,
    "an expression without end": 'layers = [{rotate = "H", when = "' + "+".join(["1"] * 90000) + '"}]\n' + Z,
    "a word that multiplies": 'layers = [{rotate = "H", when = "word * 1000000000"}]\n'
    + Z
    + '[options]\nword = {default = "ring", choices = ["ring"]}\n',
    "a word that formats": 'layers = [{rotate = "H", when = "word % 1"}]\n'
    + Z
    + '[options]\nword = {default = "%1000000000d", choices = ["%1000000000d"]}\n',
    "a range without end": 'layers = [{rotate = "H", qubits = "0..10**15"}]\n' + Z,
    "many distances": 'layers = [{entangle = "CZ", pattern = "all-to-all", distances = ['
    + "1," * 60000
    + "]}]\n"
    + Z,
    "a feature far out": 'layers = [{encode = "RX", first = "10**12"}]\n' + Z,
    "blocks that double": 'layers = [{block = "b40"}]\n'
    + Z
    + '[blocks]\nb0 = [{rotate = "H", when = false}]\n'
    + "".join(f'b{i} = [{{block = "b{i - 1}"}}, {{block = "b{i - 1}"}}]\n' for i in range(1, 41)),
    "blocks in blocks": 'layers = [{block = "b90"}]\n'
    + Z
    + "[blocks]\nb0 = []\n"
    + "".join(f'b{i} = [{{block = "b{i - 1}"}}, {{block = "b{i - 1}"}}]\n' for i in range(1, 91)),
    "a long measure list": "layers = []\nmeasure = ["
    + '{pauli = "ZZ", pattern = "all-to-all"},' * 4000
    + "]\n",
    "a dotted key": "layers = []\n" + Z + "a" + ".a" * 20000 + " = 1\n",
    "a spaced dotted key": "layers = []\n" + Z + "a" + " . a" * 20000 + " = 1\n",
    "a dotted key inside": "layers = [{" + "a." * 20000 + "a = 1}]\n" + Z,
    "a dotted key of quoted parts": "layers = []\n" + Z + ".".join(['"x,"'] * 20000) + " = 1\n",
    "a dotted key in single quotes": "layers = []\n" + Z + ".".join(["'x['"] * 20000) + " = 1\n",
    "a dotted key behind a long string": 'layers = [{a = """\n""", '
    + ".".join(['"b,"'] * 20000)
    + " = 1}]\n"
    + Z,
    "a deep table of quoted parts": "layers = []\n" + Z + "[" + ".".join(['"x]"'] * 20000) + "]\n",
    "a string without an end": "layers = []\n" + Z + 'x = """\\' + '"""\\' * 40000,
    "a deep table": "layers = []\n" + Z + "[" + "a." * 1200 + "a]\n",
    "deep arrays": "layers = " + "[" * 1200 + "]" * 1200 + "\n" + Z,
    "deep arrays of tables": Z + "[[" + "layers." * 1200 + "layers]]\n",
    "a long integer": f"layers = []\nmin_qubits = {HUGE}\n" + Z,
    "a long integer in hexadecimal": f"layers = []\nmin_qubits = 0x{HUGE}\n" + Z,
    "a long integer as an option": f"layers = []\n{Z}[options]\na = {{default = 0x{HUGE}}}\n",
    "a long integer as a layer's value": f'layers = [{{rotate = "RX", angle = 0x{HUGE}}}]\n' + Z,
    "a long integer in an expression": f'layers = [{{rotate = "RX", angle = "{HUGE}"}}]\n' + Z,
    "thousands of options": f"layers = []\n{Z}[options]\n"
    + "".join(f"o{i} = {{default = 1}}\n" for i in range(5000)),
    "a long name": f"layers = []\n{Z}[options]\n{'o' * 10000} = {{default = 1}}\n",
}


@pytest.mark.parametrize("text", RECIPES.values(), ids=RECIPES)
def test_a_recipe_that_asks_for_too_much_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "hostile.toml"
    path.write_text(HEAD + text)
    with pytest.raises(InputError) as caught:
        load_circuit(path, 200)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "hostile.toml"
    path.write_text("#" * (recipe.MAX_BYTES + 1))
    with pytest.raises(InputError, match="bytes"):
        load_recipe(path)


@pytest.mark.parametrize(
    "name", ["a" * 5000 + ".toml", "a/" * 3000 + "b.qasm", "x\0.toml", "/dev/zero/x.toml"]
)
def test_a_path_that_cannot_be_is_refused(name):
    with pytest.raises(InputError, match="no recipe file") as caught:
        load_recipe(name)
    assert len(str(caught.value)) < 500


def test_files_of_windows_editors_are_read(tmp_path):
    text = f'{HEAD}layers = [{{rotate = "RX", angle = 1}}]\n{Z}'
    (tmp_path / "own.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_circuit(tmp_path / "own.toml", 1).gates == (gate("RX", 0, 1.0),)
    (tmp_path / "own.qasm").write_bytes(b"\xef\xbb\xbf" + (QASM + "qubit q;\nrx(1) q;\n").encode())
    assert load_circuit(tmp_path / "own.qasm", 1).gates == (gate("RX", 0, 1.0),)


def test_dots_in_strings_and_comments_are_no_keys():
    words = ". " * 200
    text = f'{HEAD}# {words}\nlayers = [{{rotate = "RX", angle = 1}}]\n{Z}[options.a]\ndefault = 1\n'
    text += f'help = """{words}\n{words}"""\n'
    assert Recipe.parse(text, "dots").options[0].help.startswith(". . ")


def test_as_deep_as_recipes_may_be():
    layers = "{rotate = 'RX', angle = 1}"
    for _ in range(20):
        layers = f"{{repeat = 1, layers = [{layers}]}}"
    circuit = Recipe.parse(f"{HEAD}layers = [{layers}]\n{Z}", "deep").build(1, {})
    assert circuit.gates == (gate("RX", 0, 1.0),)


QASM = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def doubling(first: str, levels: int, angles: str = "") -> str:
    return f"gate g0{angles} a {{ {first} }}\n" + "".join(
        f"gate g{i}{angles} a {{ g{i - 1}{angles} a; g{i - 1}{angles} a; }}\n" for i in range(1, levels)
    )


def header(**changed: object) -> str:
    kept = {"name": "x", "n_features": 0, "n_weights": 0, "observables": ["Z"]}
    return f"// hybridqies: {json.dumps(kept | changed)}\nqubit q; h q;"


TWENTY = "".join(f"input float x{i};" for i in range(20))
SUM = f"({' + '.join(f'x{i}' for i in range(20))})"
PROGRAMS = {
    "bits": ("bit[100000000] c; qubit q;", "bits"),
    "qubits": ("qubit[1000000] q; x q[0];", "qubits"),
    "a size that is computed": ("bit[10000*10000] c; qubit q;", "computed size"),
    "doubling definitions": (doubling("h a; h a;", 40) + "qubit q; g39 q;", "gates"),
    "doubling definitions of nothing": (doubling("", 40) + "qubit q; g39 q;", "gates"),
    "definitions that are not called": (doubling("h a;", 40) + "qubit q; h q;", "gates"),
    "doubling definitions with an angle": (
        doubling("rx(t) a;", 40, "(t)") + "qubit q; g39(0.1) q;",
        "gates",
    ),
    "controls": (f"qubit[10] q; ctrl(9) @ x {', '.join(f'q[{i}]' for i in range(10))};", "controls"),
    "controls of controls": (
        f"qubit[10] q; {'ctrl @ ' * 9}x {', '.join(f'q[{i}]' for i in range(10))};",
        "controls",
    ),
    "the power of a large gate": (
        "gate g a, b, c, d, e { h a; }\nqubit[5] q; pow(2) @ g q[0], q[1], q[2], q[3], q[4];",
        "power",
    ),
    "a range": ("qubit[3] q; x q[0:1000000000];", "index"),
    "a range backwards": ("qubit[3] q; let a = q[0:-1:-1000000000]; x a[0];", "index"),
    "a hardware qubit": ("x $1000000000;", "hardware"),
    "a loop": ("qubit q; for int i in [0:1000000000] { x q; }", "ForInLoop"),
    "a loop that waits": ("qubit q; bit c; while (c) { x q; }", "WhileLoop"),
    "words": ("qubit q; h " + "q," * 100_000 + "q;", "words"),
    "pragmas": ("pragma x\n" * 50_000 + "qubit q;", "words"),
    "annotations": ("@x\n" * 50_000 + "qubit q;", "words"),
    "minus signs": (f"qubit q; rx({'- ' * 5000}1) q;", "signs"),
    "inputs": ("".join(f"input float x{i};" for i in range(4001)) + "qubit q; rx(x0) q;", "inputs"),
    "angles of a definition": (
        f"gate g({', '.join(f't{i}' for i in range(200))}) a {{ rx(t0) a; }} qubit q;",
        "200 angles of gate g",
    ),
    "a product of sums": (f"{TWENTY}qubit q; rx({'*'.join([SUM] * 6)}) q;", "terms"),
    "a product of sums that cancels": (
        f"{TWENTY}qubit q; rx(x0 + {'*'.join([SUM] * 6)} - {'*'.join([SUM] * 6)}) q;",
        "terms",
    ),
    "a product of sums by definitions": (
        f"gate f(t) a {{ rx(t*t*t) a; }} gate g(t) a {{ f(t*t) a; }} {TWENTY}qubit q; g{SUM} q;",
        "terms",
    ),
    "a phase of sums": (f"{TWENTY}qubit q; ctrl @ gphase({'*'.join([SUM] * 6)}) q;", "terms"),
    "sums by the hundred": (f"{TWENTY}qubit q; {f'rx{SUM} q;' * 600}", "terms"),
    "features of the comment": (header(n_features=10**12), "features"),
    "weights of the comment": (header(n_weights=10**12), "weights"),
    "endless weights of the comment": (header(n_weights=math.inf), "cannot be read"),
    "features below zero": (header(n_features=-1), "features"),
    "observables of the comment": (header(observables=["Z"] * 20_001), "observables"),
    "an observable without end": (header(observables=["Z" * 100_000]), "letters"),
    "a factor for each of forty inputs": (
        "".join(f"input float[64] x{i};" for i in range(40))
        + f"qubit q; rx({'*'.join(f'(x{i} - pi)' for i in range(40))}) q;",
        "terms",
    ),
    "a high power": (f"input float[64] x0; qubit q; rx({'*'.join(['x0'] * 60)}) q;", "cannot be used"),
    "parentheses": (f"qubit q; rx({'(' * 2000}1{')' * 2000}) q;", "brackets"),
    "digits": (f"qubit q; rx({HUGE}) q;", "cannot be"),
}


@pytest.mark.parametrize(("text", "said"), PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_that_asks_for_too_much_is_refused_in_one_line(text, said):
    with pytest.raises(InputError, match=said) as caught:
        from_openqasm3(QASM + text)
    assert "\n" not in str(caught.value)


def test_a_program_as_large_as_may_be():
    text = f"bit[{MAX_BITS - 1}] c; qubit[{MAX_QUBITS - 1}] q; bit d; qubit r; x q[5];"
    assert from_openqasm3(QASM + text).n_qubits == MAX_QUBITS
    levels = int(math.log2(MAX_NESTED / 8))
    inside = from_openqasm3(QASM + doubling("h a;", levels) + f"qubit q; g{levels - 1} q;")
    assert len(inside.gates) == 2 ** (levels - 1)


def test_a_sum_of_many_inputs_is_an_angle():
    names = [f"x{i}" for i in range(40)]
    text = "".join(f"input float[64] {name};" for name in names) + f"qubit q; rx({' + '.join(names)}) q;"
    (only,) = from_openqasm3(QASM + text).gates
    assert len(only.angles[0].terms) == 40


def test_text_breaks_off_and_says_so(monkeypatch):
    circuit = Circuit.of(3, [gate("RX", 0, Weight(0))] * 50, [PauliString.parse("IZZ")])
    monkeypatch.setattr(draw, "MAX_GATES", 20)
    text = draw_text(circuit)
    assert text.count("RX") == 20
    assert text.splitlines()[-1] == "Breaks off: 20 gates are drawn, 30 more are not."
    monkeypatch.setattr(draw, "MAX_CHARACTERS", 5 * 10 * 7)
    assert draw_text(circuit).count("RX") == 7


def test_a_picture_of_many_qubits_breaks_off_within_bounds(tmp_path, monkeypatch):
    import matplotlib.image

    monkeypatch.setattr(picture, "_MAX_HEIGHT", 30.0)
    monkeypatch.setattr(picture, "_MAX_PIXELS", 1e6)
    circuit = load_circuit("rot-ring", 60)
    written: list[str] = []
    monkeypatch.setattr(picture._Pen, "text", lambda pen, x, y, text, *rest, **style: written.append(text))
    draw_picture(circuit, tmp_path / "circuit.png")
    pixels = matplotlib.image.imread(tmp_path / "circuit.png").shape
    assert pixels[0] * pixels[1] < 1.02e6
    assert any(text.startswith("Breaks off: ") for text in written)


@pytest.mark.parametrize("tell", [draw_text, lambda c: draw_picture(c, "/nowhere/circuit.png")])
def test_a_drawing_of_more_qubits_than_a_recipe_lays_out_is_refused(tell):
    with pytest.raises(InputError, match="2001 qubits"):
        tell(Circuit.of(2001, [], [PauliString.parse("Z")]))

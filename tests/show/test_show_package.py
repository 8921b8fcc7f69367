import subprocess
import sys

from workbook_lib import show


def test_output_does_not_depend_on_the_hash_seed():
    code = (
        "from workbook_lib import show\n"
        "print(show.op_histogram({'n': {c: 1 for c in 'zyxwv'}}, most=3).text())\n"
        "from varhandle.graph.model import *\n"
        "n = tuple(Node(f'n{i}', 'ADD', (f'a{i}', f'b{i}'), ('', '')) for i in range(9))\n"
        "print(show.draw_graph(Graph('m', 'tflite', (Function('main', n),))).svg())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_every_result_has_a_one_line_repr(counter):
    for result in (
        show.op_histogram(counter),
        show.variable_table(counter),
        show.draw_graph(counter),
        show.side_by_side({"a": show.variable_table(counter)}),
        show.version_grid({"cases": [], "versions": []}),
        show.claims_table([]),
    ):
        assert "\n" not in repr(result)
        assert repr(result).startswith(type(result).__name__)

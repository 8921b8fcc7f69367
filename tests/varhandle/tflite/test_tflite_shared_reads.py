"""An op that takes a variable's value twice: XNNPACK dies of it, and reads of its own cure it."""

import numpy as np
import pytest
import zoo
from ai_edge_litert.interpreter import Interpreter
from family_checks import run

from varhandle import cure, diagnose, locate
from varhandle.conversion.converter import convert
from varhandle.formats import read_graph
from varhandle.tflite.shared_reads import find_shared_reads, split_shared_reads


def saved(tf, folder, step):
    variables = {"held": tf.Variable([1.0, 2.0, 3.0, 4.0], name="held")}
    return zoo.save_step(tf, folder, variables, step)


def taken_away(module, x):
    module.held.assign_sub(module.held)
    return {"y": module.held + x}


def doubled(module, x):
    module.held.assign_add(module.held)
    return {"y": module.held + x}


ANSWERS = {taken_away: [[1] * 4] * 3, doubled: [[3, 5, 7, 9], [5, 9, 13, 17], [9, 17, 25, 33]]}


@pytest.mark.parametrize("step", ANSWERS, ids=lambda step: step.__name__)
def test_it_is_cured_with_the_default_delegates(tf, tmp_path, step):
    path = saved(tf, tmp_path, step)
    found = diagnose(path)
    assert found.verdict == "blocked"
    (told, *_) = found.other
    assert "SIGSEGV" in told
    assert "takes the variable held for both of its inputs" in told
    assert f"varhandle cure {path} model.tflite" in told
    located = locate(path)
    assert located.other_runs["default delegates"] == "refused"
    assert "takes the variable held for both of its inputs" in located.text()
    made = cure(found)
    assert made.proved
    assert [run.kernels for run in made.parity.runs] == ["default delegates", "plain kernels"]
    runner = Interpreter(model_content=made.content).get_signature_runner()
    answers = [runner(x=np.ones(4, np.float32))["y"].tolist() for _ in range(3)]
    assert answers == ANSWERS[step]


def test_a_file_alone_is_cured(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "made.tflite"
    file.write_bytes(convert(saved(tf, tmp_path, doubled)).content)
    assert "takes the variable" in diagnose(file).other[0]
    made = cure(file)
    assert made.plan.id == "split-shared-reads"
    assert "XNNPACK" in made.plan.why  # which is the reason of a sweep's row
    assert find_shared_reads(read_graph(made.content)) == ()
    run(made.plan.code)
    assert (tmp_path / "model.tflite").read_bytes() == made.content


def test_what_takes_no_variable_twice_stays(tf, tmp_path):
    def squared(module, x):
        module.held.assign_add(x)
        return {"y": x - x + module.held}

    content = convert(saved(tf, tmp_path, squared)).content
    assert find_shared_reads(read_graph(content)) == ()
    assert read_graph(split_shared_reads(content)).op_counts() == read_graph(content).op_counts()

"""Lesson 95: the cure of its card lists the ops of a SavedModel, and runs none of them."""

import ast

import pytest
from lesson_cards import run_cure


def save_functions(tf, folder, target):
    class Writer(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([4])])
        def __call__(self, x):
            tf.io.write_file(target, "it ran")
            return x + tf.cast(tf.strings.length(tf.io.read_file(target)), tf.float32)

    module = Writer()
    tf.saved_model.save(module, folder, signatures=module.__call__)


def save_session(tf, folder, target):
    """Save with a session of TensorFlow 1: the ops stand in the main graph, in no function."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [4], name="x")
        with tf.control_dependencies([tf.io.write_file(target, "it ran")]):
            y = x + tf.cast(tf.strings.length(tf.io.read_file(target)), tf.float32)
        tf.compat.v1.saved_model.simple_save(session, folder, {"x": x}, {"y": y})


@pytest.mark.parametrize("save", [save_functions, save_session])
def test_the_cure_of_the_card_names_what_opens_files_and_opens_none(tf, tmp_path, capsys, save):
    target, folder = tmp_path / "written.txt", str(tmp_path / "model")
    save(tf, folder, str(target))
    capsys.readouterr()
    run_cure("a_strangers_file", folder=folder)
    ops = ast.literal_eval(capsys.readouterr().out)
    assert {"ReadFile", "WriteFile", "StringLength"} <= ops
    assert not target.exists()
    tf.saved_model.load(folder).signatures["serving_default"](x=tf.zeros([4]))
    assert target.exists(), "a call would have written it"

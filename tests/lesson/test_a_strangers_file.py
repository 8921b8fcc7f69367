"""Lesson 95: the cure of its card lists the ops of a SavedModel, and runs none of them."""

import ast

import pytest
from lesson_cards import run_cure


def write_and_read(tf, target, x):
    with tf.control_dependencies([tf.io.write_file(target, "it ran")]):
        text = tf.io.read_file(target)  # alone it waits for no write
    return x + tf.cast(tf.strings.length(text), tf.float32)


def save_functions(tf, folder, target):
    module = tf.Module()
    signature = [tf.TensorSpec([4], name="x")]
    module.call = tf.function(lambda x: write_and_read(tf, target, x), signature)
    tf.saved_model.save(module, folder, signatures=module.call)


def save_session(tf, folder, target):
    """Save with a session of TensorFlow 1: the ops stand in the main graph, in no function."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [4], name="x")
        y = write_and_read(tf, target, x)
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

import pytest

from workbook_lib.netron.model_files import ModelFiles, find_file


def test_a_file_is_alone(tmp_path):
    (tmp_path / "m.tflite").write_bytes(b"x")
    (tmp_path / "secret.txt").write_text("beside the model")
    files = ModelFiles(tmp_path / "m.tflite")
    assert files.main == "m.tflite"
    assert files.find("m.tflite") == tmp_path / "m.tflite"
    for other in ("secret.txt", "../m.tflite", "", ".", "./secret.txt", str(tmp_path / "m.tflite")):
        assert files.find(other) is None


def test_a_folder_has_its_own_files_and_none_above(tmp_path):
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"pb")
    (model / "variables" / "variables.index").write_bytes(b"i")
    (tmp_path / "secret.txt").write_text("beside the model")
    (model / "link").symlink_to(tmp_path / "secret.txt")
    files = ModelFiles(model)
    assert files.main == "saved_model.pb"
    assert files.find("variables/variables.index").read_bytes() == b"i"
    for other in (
        "../secret.txt",
        "link",
        "variables",
        "variables/../../secret.txt",
        "/etc/passwd",
    ):
        assert files.find(other) is None


def test_the_main_file_may_be_a_link_out_of_the_folder(tmp_path):
    (tmp_path / "blob").write_bytes(b"pb")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").symlink_to(tmp_path / "blob")
    assert ModelFiles(tmp_path / "model").find("saved_model.pb").read_bytes() == b"pb"


@pytest.mark.parametrize("name", ["a\0b.js", "a" * 300])
def test_a_name_that_no_file_can_have_is_not_found(tmp_path, name):
    assert find_file(tmp_path, name) is None
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert ModelFiles(tmp_path).find(name) is None

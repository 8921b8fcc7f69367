"""What the browser tests stand on: a server whose files are those of a first visit again."""

import threading

import pytest

pytestmark = pytest.mark.browser


def test_a_folder_can_be_listed_while_its_files_are_renewed(lab):
    """Where it cannot, an open file browser says in a dialog that the folder is gone."""
    done, refused = threading.Event(), []

    def list_it():
        while not done.is_set():
            try:
                lab.ask("api/contents/notebooks")
            except OSError as error:
                refused.append(error)

    listing = threading.Thread(target=list_it)
    listing.start()
    notebooks = sorted((lab.root / "notebooks").glob("*.ipynb"))
    before = [path.read_bytes() for path in notebooks]
    for _ in range(20):
        notebooks[0].write_text("{}")
        lab.renew()
    done.set()
    listing.join()
    assert refused == []

    left = lab.root / "notebooks" / "model.tflite"
    left.write_bytes(b"")
    lab.renew()
    assert [path.read_bytes() for path in notebooks] == before
    assert not left.exists()

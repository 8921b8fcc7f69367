"""The associated files of a .tflite file: labels and the like, in a zip archive after its end."""

from __future__ import annotations

import io
import zipfile
import zlib

_MOST_BYTES = 64 * 2**20


def with_associated_files(content: bytes, original: bytes) -> bytes:
    """Return a file with what is attached to the one that it was made of.

    What cannot be read, or is far larger than labels are, is left out.
    """
    made = io.BytesIO(content)
    try:
        with zipfile.ZipFile(io.BytesIO(original)) as old:
            members = old.infolist()
            if not members or sum(one.file_size for one in members) > _MOST_BYTES:
                return content
            made.seek(0, io.SEEK_END)
            with zipfile.ZipFile(made, "a") as new:
                for one in members:
                    new.writestr(one, old.read(one), one.compress_type)
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, ValueError, EOFError):
        return content  # RuntimeError: encrypted, or a compression that is not here
    return made.getvalue()

"""The outline of HDF5 files: that of libhdf5, whichever way they are written, sound or damaged."""

import io
import random
import re
import struct

import h5py
import numpy as np
import pytest

from varhandle.formats.hdf5 import read_outline

NAMES = ("model_config", "keras_version", "weight_names", "name", "dtype")
#: How files are written: as ever, in the newest way, and with names in the order of creation.
WAYS = {
    "earliest": {"libver": "earliest"},
    "latest": {"libver": "latest"},
    "v110": {"libver": ("v110", "v110")},
    "ordered": {"track_order": True},
    "latest, ordered": {"libver": "latest", "track_order": True},
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def written(way, fill):
    content = io.BytesIO()
    with h5py.File(content, "w", **way) as file:
        fill(file)
    return content.getvalue()


def outline(content, before=b""):
    file = io.BytesIO(before + content)
    return read_outline(file, len(before), len(content), NAMES)


def plain(value):
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value


def by_libhdf5(content):
    """Return attributes, datasets, links out of the file and soft ones, as h5py sees them."""
    attributes, datasets, external, soft = {}, {}, [], []

    def visit(name, item):
        found = {key: plain(item.attrs[key]) for key in NAMES if key in item.attrs}
        texts = {k: v for k, v in found.items() if isinstance(v[0] if v else v, str)}
        if texts:
            attributes[name] = texts
        if isinstance(item, h5py.Dataset):
            datasets[name] = (item.dtype.name, item.shape)
            external.extend([name] if item.external or item.is_virtual else [])
        elif isinstance(item, h5py.Group):
            for key in sorted(item):
                link = item.get(key, getlink=True)
                external.extend([f"{name}/{key}"] * isinstance(link, h5py.ExternalLink))
                soft.extend([f"{name}/{key}"] * isinstance(link, h5py.SoftLink))

    with h5py.File(io.BytesIO(content), "r") as file:
        visit("", file)
        file.visititems(visit)
    return attributes, datasets, sorted(external), soft


def same(content, before=b""):
    """Compare with libhdf5, in content and in order."""
    found = outline(content, before)
    attributes, datasets, external, soft = by_libhdf5(content)
    assert list(found.attributes.items()) == list(attributes.items())
    ours = {name: (one.dtype, one.shape) for name, one in found.datasets.items()}
    assert list(ours.items()) == list(datasets.items())
    assert sorted(found.external) == external
    assert found.soft == soft
    return found


def keras_like(file):
    file.attrs["model_config"] = '{"class_name": "Sequential", "ä": 1}'
    file.attrs["keras_version"] = np.bytes_("2.3.1")
    for number in range(12):
        layer = file.create_group(f"model_weights/dense_{number}", track_order=number % 3 == 0)
        layer.attrs["weight_names"] = np.array([b"k:0", b"longer/bias:0"])
        layer.create_dataset("k:0", data=np.zeros((3, number), "float32"))
        layer["longer/bias:0"] = np.float16(number)


@ways
def test_a_file_as_keras_writes_it(way):
    content = written(way, keras_like)
    found = same(content)
    assert found.attributes[""]["keras_version"] == "2.3.1"
    assert len(found.datasets) == 24
    same(content, before=b"PK" + bytes(1001))  # a member of an archive


@ways
@pytest.mark.parametrize("count", [0, 1, 8, 9, 100, 5000])
def test_any_number_of_links_and_attributes(way, count):
    """Few stand in the header of a group; many in a tree of some levels, and in blocks."""

    def fill(file):
        group = file.create_group("layers")
        for number in range(count):
            group.attrs[f"a{number:04}"] = number
            if number % 2:
                group[f"{number * 7919 % 10007}-{'x' * (number % 50)}"] = np.int32(number)
            else:
                group.create_group(f"sub{number}").attrs["name"] = f"layer {number}"
        group.attrs["name"] = "the last"

    if count == 5000 and "ordered" not in str(way):
        count = 2000
    assert len(same(written(way, fill)).datasets) == count // 2


DTYPES = {
    **{
        name: name
        for name in [
            "b1",
            "i1",
            "u1",
            "i2",
            "u2",
            "i4",
            "u4",
            "i8",
            "u8",
            "f2",
            "f4",
            "f8",
            "c8",
            "c16",
            ">i4",
            ">f8",
            ">u2",
        ]
    },
    "text of a length": "S11",
    "text": h5py.string_dtype(),
    "numbers of any length": h5py.vlen_dtype("i4"),
    "choice": h5py.enum_dtype({"A": 1, "LONGER": 5}, "i2"),
    "bits": "V2",
    "pair": np.dtype([("a", "f4"), ("b", "i8")]),
    "reference": h5py.ref_dtype,
    "row": np.dtype(("f4", (3,))),
}


@ways
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_dtypes_are_named_as_numpy_names_them(way, dtype):
    def fill(file):
        file.create_dataset("a", (2, 3), dtype)
        file.create_dataset("scalar", (), dtype)
        file["committed"] = np.dtype("f4")
        file.create_dataset("c", (4,), file["committed"])

    same(written(way, fill))


def test_a_float_of_sixteen_bits_that_numpy_lacks():
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)

    def fill(file):
        space = h5py.h5s.create_simple((2,))
        h5py.h5d.create(file.id, b"b", kind, space)

    same(written({}, fill))


@ways
def test_every_way_to_store_values(way):
    def fill(file):
        file.create_dataset("chunked", (64, 64), "f4", chunks=(8, 8))
        file.create_dataset("packed", data=np.zeros((99, 9)), compression="gzip", shuffle=True)
        file.create_dataset("growing", (3,), "f4", maxshape=(None,))
        file.create_dataset("grown", (3, 3), "f4", maxshape=(None, None), fletcher32=True)
        file.create_dataset("empty", (0, 4), "f4")
        file.create_dataset("elsewhere", (2,), "f4", external=[("other", 0, 8)])
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((2,))
        h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, compact)
        if "earliest" not in str(way):
            layout = h5py.VirtualLayout((2,), "f4")
            layout[:] = h5py.VirtualSource("other.h5", "w", (2,))
            file.create_virtual_dataset("virtual", layout)

    found = same(written(way, fill))
    assert found.datasets["chunked"].stored == 0
    assert found.datasets["packed"].declared == 99 * 9 * 8


@ways
def test_links_of_each_kind(way):
    def fill(file):
        file["a/b/w"] = np.zeros(3)
        file["hard"] = file["a/b"]
        file["a/b/round"] = file["a"]
        file["soft"] = h5py.SoftLink("/a/b/w")
        file["a/dangling"] = h5py.SoftLink("nothing")
        file["a/out"] = h5py.ExternalLink("other.h5", "/w")
        file["gone"] = 1
        del file["gone"]

    found = same(written(way, fill))
    assert found.soft == ["/soft", "a/dangling"]
    assert found.external == ["a/out"]


@ways
def test_texts_of_each_form(way):
    def fill(file):
        file.attrs["model_config"] = "x" * 60_000
        file.attrs.create("name", "ends", dtype="S20")
        file.attrs["dtype"] = ["a", "ßü", ""]
        file.attrs["weight_names"] = np.array([], "S3")
        file.attrs["keras_version"] = 3
        group = file.create_group("g")
        group.attrs["name"] = h5py.Empty("S4")
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(8)
        kind.set_strpad(h5py.h5t.STR_NULLTERM)
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(group.id, b"dtype", kind, space).write(np.array(b"bfloat16"[:7]))

    content = written(way, fill)
    found = outline(content)
    assert found.attributes[""]["model_config"] == "x" * 60_000
    assert found.attributes[""]["dtype"] == ["a", "ßü", ""]
    assert found.attributes[""]["weight_names"] == []
    assert found.attributes[""]["name"] == "ends"
    assert "keras_version" not in found.attributes[""]
    assert found.attributes["g"] == {"dtype": "bfloat1"}


@ways
def test_damage_is_a_value_error_and_ends_soon(way):
    content = written(way, keras_like)
    rng = random.Random(str(way))
    outcomes = set()
    for _ in range(300):
        damaged = bytearray(content[: rng.choice([len(content), rng.randrange(len(content))])])
        for _ in range(rng.choice([1, 3, 30])):
            if damaged:
                damaged[rng.randrange(len(damaged))] = rng.choice([0, 1, 255, rng.randrange(256)])
        try:
            outline(bytes(damaged))
            outcomes.add("read")
        except (ValueError, RecursionError) as error:
            outcomes.add("refused")
            assert str(error)
    assert outcomes == {"read", "refused"}


def test_what_refers_to_itself_comes_to_an_end():
    """One text of a megabyte, named four thousand times by a few kilobytes."""

    def fill(file):
        file.attrs["weight_names"] = ["x" * 2**20] + [""] * 4000

    content = bytearray(written({}, fill))
    heaps = [found.start() for found in re.finditer(b"GCOL", content)]
    at = max(content.find(struct.pack("<IQ", 2**20, heap)) for heap in heaps)
    assert at > 0
    content[at : at + 16 * 4001] = content[at : at + 16] * 4001
    with pytest.raises(ValueError, match="refer to each other"):
        outline(bytes(content))


def many_empty_texts():
    """An attribute of 2**40 texts of no letters."""

    def fill(file):
        file.attrs.create("name", np.full(4321, b"x"))

    content = written({}, fill)
    text = b"\x13\1\0\0" + struct.pack("<I", 1)
    assert content.count(text) == 1
    return content.replace(struct.pack("<Q", 4321), struct.pack("<Q", 2**40)).replace(
        text, text[:4] + bytes(4)
    )


def deep_tree():
    """A tree that claims 65,535 levels of nodes of 4 GiB: its counts have megabytes of digits."""

    def fill(file):
        for number in range(20):
            file[f"{number}"] = 1

    content = bytearray(written({"libver": "latest"}, fill))
    at = content.index(b"BTHD")
    struct.pack_into("<I", content, at + 6, 2**32 - 1)
    struct.pack_into("<H", content, at + 12, 2**16 - 1)
    return bytes(content)


def one_name_of_many():
    """Four thousand links that have one name of 32 kilobytes."""

    def fill(file):
        file["x" * 2**15] = 1
        for number in range(4000):
            file[f"{number}"] = file["x" * 2**15]

    content = bytearray(written({"libver": "earliest"}, fill))
    names = [struct.unpack_from("<Q", content, h.start() + 24)[0] for h in find(b"HEAP", content)]
    long = content.index(b"x" * 2**15) - max(name for name in names if name < len(content))
    for node in find(b"SNOD", content):
        (count,) = struct.unpack_from("<H", content, node.start() + 6)
        for entry in range(count):
            struct.pack_into("<Q", content, node.start() + 8 + 40 * entry, long)
    return bytes(content)


def find(mark, content):
    return re.finditer(re.escape(mark), bytes(content))


def header_of_nothing():
    """A root whose header is five million messages without a word."""
    content = bytearray(written({}, lambda file: None))
    struct.pack_into("<Q", content, 64, len(content))  # the root's address
    struct.pack_into("<Q", content, 40, len(content) + 40 * 2**20)  # where the file ends
    head = struct.pack("<BxHIIxxxx", 1, 1, 1, 40 * 2**20 - 16)
    return bytes(content) + head + bytes(40 * 2**20 - 16)


def long_paths():
    """A thousand groups within each other, with names of four kilobytes, and a link in each."""

    def fill(file):
        group = file
        for _ in range(1000):
            group = group.create_group("g" * 2**12)
            group["link"] = h5py.SoftLink("/")

    return written({}, fill)


def many_axes():
    """A shape of 64 numbers, each as large as can be."""

    def fill(file):
        file.create_dataset("w", (1,) * 32, "f4", maxshape=(None,) * 32)

    content = written({}, fill)
    head = struct.pack("<BBBxI", 1, 32, 1, 0)
    assert content.count(head) == 1
    return content.replace(head, struct.pack("<BBBxI", 1, 64, 1, 0))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (many_empty_texts, "ends before it should"),
        (deep_tree, "has no room"),
        (one_name_of_many, "refer to each other"),
        (header_of_nothing, "more parts than any model's"),
        (long_paths, "more parts than any model's"),
        (many_axes, "more axes"),
    ],
)
def test_little_that_claims_much_costs_little(make, said):
    content = make()
    with pytest.raises(ValueError, match=said):
        outline(content)

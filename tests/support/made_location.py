"""A location made by hand: a chain of ops that parts in the middle, with hostile names."""

from varhandle.divergence.location import Location

HOSTILE = "</script><script>alert(1)</script>\u202e<img src=x onerror=alert(2)>"


def made_location(count=30, parting=12, name=HOSTILE, inside=()):
    """Return a location whose op ``parting`` differs a hundred times too much; ``None`` agrees.

    ``inside`` says where the same parts again, in what that op runs: ``iteration 2``.
    """

    def pair(number):
        apart = parting is not None and number >= parting
        share = 1e-2 / (number - parting + 1) if apart else 1e-6
        return {
            "op": "ADD",
            "number": number,
            "tensor": f"{name}/add_{number}",
            "node": f"model/{name}/add_{number}",
            "how": "value",
            "call": 1,
            "agrees": share <= 1e-4,
            "added": None,
            "largest": share,
            "share": share,
            "similarity": 0.5 if apart else 1.0,
            "allowed": 1e-4,
            "steps": None,
            "note": "",
            "mean": share / 2,
            "place": (0, 3),
            "got": (1.0, 2.5, name.encode()),
            "expected": (1.0, 2.0, 4.0),
        }

    pairs = [pair(number) for number in range(count)]
    ops = [
        {
            "number": one["number"],
            "op": "ADD",
            "tensor": one["tensor"],
            # Each takes the one before it, every fifth also one further above.
            "inputs": [n for n in (one["number"] - 5, one["number"] - 1) if n >= 0][
                -1 if one["number"] % 5 else 0 :
            ],
            "nodes": [["Mul", "model/mul"], ["AddV2", one["node"]]],
            "node_inputs": [one["number"] - 1] if one["number"] else [],
        }
        for one in pairs
    ]
    first = None
    if parting is not None:
        at = pairs[parting]
        first = {
            **{key: at[key] for key in ("call", "op", "number", "tensor", "node")},
            "max_difference": at["largest"],
            "similarity": 0.5,
            "steps": None,
            "why": f"its weights differ: {name}",
            "group": [["ADD", parting]],
        }
        within = {"ops": ops, "pairs": pairs, **first}
        first["inside"] = [{**within, "where": where} for where in inside]
    return Location(
        model=f"{name}.keras",
        file="file.tflite",
        first=first,
        pairs=pairs,
        unmatched=[],
        calls=1,
        basis="made by hand",
        ops=ops,
        only_in_model=[["Relu", name]],
    )

"""Modules with state, their files, and how a lifted file is run beside them."""

import tempfile
from types import SimpleNamespace

import numpy as np


def modules(tf):
    """Return the module classes, each with the signatures that its conversion exports."""

    def spec(*shape, dtype="float32"):
        return tf.TensorSpec(shape, dtype)

    class Stateful(tf.Module):
        """A module whose variables begin with the values of ``state``."""

        signatures = ("step",)
        state = {}

        def __init__(self):
            super().__init__()
            for name, first in self.state.items():
                setattr(self, name, tf.Variable(first, name=name))

    class Leaky(Stateful):
        """A leaky integrator: float32, read once and assigned once."""

        state = {"level": np.full([1, 4], 0.25, "float32")}
        mix = np.eye(4, dtype="float32")[::-1] * 0.5

        @tf.function(input_signature=[spec(1, 4)])
        def step(self, x):
            self.level.assign(0.95 * self.level + x)
            return {"y": self.level @ self.mix}

    class Recurrent(Stateful):
        """A recurrent cell whose weights are large enough for dynamic range quantization."""

        state = {"h": np.zeros([1, 64], "float32")}
        weights = np.random.default_rng(0).standard_normal((64, 64)).astype("float32") / 8

        @tf.function(input_signature=[spec(1, 64)])
        def step(self, x):
            self.h.assign(tf.tanh((self.h + x) @ self.weights))
            return {"y": self.h.read_value()}

    class Wide(Stateful):
        """An int64 state, beyond what float64 can hold exactly."""

        state = {"count": np.int64(2**53)}

        @tf.function(input_signature=[spec(2, dtype="int64")])
        def step(self, x):
            self.count.assign_add(tf.reduce_sum(x))
            return {"y": x + self.count}

    class Several(Stateful):
        """Variables read and assigned more than once, in either order; two are swapped."""

        state = {"a": 1.0, "b": 2.0, "c": 3.0, "n": np.int64(0)}

        @tf.function(input_signature=[spec()])
        def step(self, x):
            before = self.a.read_value()
            self.a.assign(before + x)
            between = self.a.read_value()
            self.a.assign(self.b)
            self.b.assign(between)
            self.c.assign(x)
            after = self.c.read_value()
            self.c.assign(after * 0.5)
            self.n.assign_add(1)
            count = tf.cast(self.n, tf.float32)
            return {"before": before * 1.0, "y": between - after + count, "a": self.a.read_value()}

    class Shared(Stateful):
        """Four signatures that share two variables."""

        signatures = ("step", "reset", "peek", "load")
        state = {"level": [1.0, 2.0, 3.0], "count": np.int64(5)}

        @tf.function(input_signature=[spec(3)])
        def step(self, x):
            self.level.assign(0.5 * self.level + x)
            self.count.assign_add(1)
            return {"y": self.level.read_value()}

        @tf.function(input_signature=[])
        def reset(self):
            self.level.assign([0.0, 0.0, 0.0])
            self.count.assign(tf.constant(0, tf.int64))
            return {"done": tf.constant(True)}

        @tf.function(input_signature=[])
        def peek(self):
            return {"level": self.level.read_value(), "n": self.count.read_value()}

        @tf.function(input_signature=[spec(3)])
        def load(self, x):
            self.level.assign(x)
            return {"taken": x}

    class Nested(Stateful):
        """Loops and branches, nested, in which variables are read and assigned."""

        state = {"v": 1.0, "w": 0}

        @tf.function(input_signature=[spec(), spec(dtype="int32")])
        def step(self, x, n):
            for i in tf.range(n):
                if x > self.v:
                    self.v.assign_add(1.0)
                    for j in tf.range(i):
                        self.w.assign_add(j + 1)
                else:
                    self.v.assign_sub(x)
            while self.v > 10.0:
                self.v.assign(self.v / 2)
            return {"y": self.v * 2, "w": self.w.read_value()}

    class Branch(Stateful):
        """Each branch assigns another variable, and one of them a third without reading it."""

        state = {"up": 0.0, "down": 0.0, "last": 7.0}

        @tf.function(input_signature=[spec()])
        def step(self, x):
            if x > 0:
                self.up.assign_add(x)
            else:
                self.down.assign_add(x)
                self.last.assign(x)
            return {"y": self.up + self.down, "last": self.last.read_value()}

    class Rotating(Stateful):
        """Variables exchanged without any arithmetic, and set to constants, inside loops."""

        # Only a loop's condition reads the limit.
        state = {"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0], "n": 0, "limit": 2}

        @tf.function(input_signature=[spec(2), spec(dtype="int32")])
        def step(self, x, n):
            rounds = tf.constant(0)
            while rounds < self.limit:
                rounds += 1
            self.limit.assign(n)
            for _ in tf.range(n):
                first = self.a.read_value()
                self.a.assign(self.b)
                self.b.assign(self.c)
                self.c.assign(first)
                self.n.assign(7)
            if n > 2:
                self.c.assign([0.0, 0.0])
                last = self.a.read_value()
                self.a.assign(self.b)
                self.b.assign(last)
            else:
                self.b.assign(x)
            return {"y": self.a * 10 + self.c, "n": self.n.read_value(), "rounds": rounds}

    class Growing(Stateful):
        """A variable that gets longer with each call."""

        signatures = ("push",)

        def __init__(self, rows=2):
            super().__init__()
            self.rows = tf.Variable(np.ones([rows, 3], "float32"), shape=[None, 3], name="rows")

        @tf.function(input_signature=[spec(1, 3)])
        def push(self, x):
            self.rows.assign(tf.concat([self.rows, x], 0))
            return {"rows": self.rows.read_value(), "sum": tf.reduce_sum(self.rows, 0)}

    class Table(Stateful):
        """A variable beside a hash table, which CALL_ONCE fills as well."""

        state = {"hits": np.int64(7)}

        def __init__(self):
            super().__init__()
            words = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([10, 20], "int64"))
            self.table = tf.lookup.StaticHashTable(words, -1)

        @tf.function(input_signature=[spec(1, dtype="string")])
        def step(self, word):
            self.hits.assign_add(tf.reduce_sum(self.table.lookup(word)))
            return {"y": self.hits.read_value()}

    class ConditionAssigns(Stateful):
        """A loop whose condition assigns."""

        state = {"tries": 0.0}

        @tf.function(input_signature=[spec()])
        def step(self, x):
            (rounds,) = tf.while_loop(
                lambda _: self.tries.assign_add(1.0) < x, lambda i: (i + 1.0,), (0.0,)
            )
            return {"y": rounds + self.tries}

    class Stored(Stateful):
        """A variable whose first value is large and random."""

        first = np.random.default_rng(0).standard_normal((64, 64)).astype("float32")
        state = {"v": first}

        @tf.function(input_signature=[spec(1, 64)])
        def step(self, x):
            self.v.assign(0.5 * self.v)
            return {"y": x @ self.v}

    return SimpleNamespace(**{name: made for name, made in locals().items() if name[0].isupper()})


def convert(tf, module, change=None):
    """Convert a module with all its signatures; ``change`` may set what the converter offers."""
    with tempfile.TemporaryDirectory() as folder:
        functions = {name: getattr(module, name) for name in module.signatures}
        tf.saved_model.save(module, folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(module.signatures)
        )
        if change:
            change(converter)
        return converter.convert()


def runners(content, delegates=True):
    """Open an interpreter, and return its signature runners by name."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = (
        OpResolverType.AUTO if delegates else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    return {
        name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()
    }


class Carrier:
    """Runs a lifted file, and carries its state as a caller does."""

    def __init__(self, lifted, delegates=True):
        self.lifted = lifted
        self.state = lifted.start()
        self.runners = runners(lifted.content, delegates)

    def __call__(self, signature, **inputs):
        taken = {name: self.state[name] for name in self.lifted.inputs[signature]}
        answers = self.runners[signature](**inputs, **taken)
        for name in self.lifted.outputs[signature]:
            self.state[name] = answers.pop(name)
        return answers

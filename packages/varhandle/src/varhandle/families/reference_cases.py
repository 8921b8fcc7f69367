"""Programs that no family owns: what works, what a setting hides, and the article's examples."""

from __future__ import annotations

from typing import Any

from varhandle.families.harness import Answers, Trace, case, script_part


@case("read-only", "float32 variable, only read", drawn=True)
def read_only(trace: Trace) -> Answers:
    """Convert a function that reads its variable and never assigns it."""
    start = [1.0, 2.0, 3.0, 4.0]
    return trace.convert_saved(trace.module(lambda self, x: self.weight * x, weight=start))


@case("float16-state-custom-ops", "float16, assigned, allow_custom_ops", drawn=True)
def float16_state_custom_ops(trace: Trace) -> Answers:
    """Answer the VarHandleOp message with allow_custom_ops."""
    return trace.convert_total("float16", allow_custom_ops=True)


@case("optimizer-step", "float32, stepped by an optimizer")
def optimizer_step(trace: Trace) -> Answers:
    """Convert the op by which every optimizer of TensorFlow writes a weight."""
    tf = trace.tf

    def step(self: Any, x: Any) -> Any:
        tf.raw_ops.ResourceApplyGradientDescent(var=self.weight.handle, alpha=0.1, delta=x)
        return self.weight + 0.0

    return trace.convert_saved(trace.module(step, weight=tf.ones([4])))


@script_part
def article_model(trace: Trace) -> Any:
    """Return the article's model of two layers."""
    tf = trace.tf
    tf.random.set_seed(1)
    first = tf.keras.layers.Dense(128, activation="relu", input_shape=(10,))
    return tf.keras.Sequential([first, tf.keras.layers.Dense(10, activation="softmax")])


@script_part
def convert_article_model(trace: Trace, model: Any, float16: bool = False) -> Answers:
    """Convert the article's model, after a change to it."""
    tf = trace.tf
    trace.stage = "convert"
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if float16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        trace.tolerance = 1e-2  # half precision keeps about three digits
    return trace.compare(trace.convert(converter), model, shape=(1, 10))


@case("article-example-1", "article, example 1 as printed", drawn=True)
def article_example_1(trace: Trace) -> Answers:
    """Run the article's first example: a [10, 128] constant for a [10, 10] kernel."""
    tf, model = trace.tf, article_model(trace)
    variable = tf.Variable(tf.random.normal([10, 128]), name="my_variable")
    start = tf.keras.initializers.Constant(variable)
    options = {"activation": "softmax", "use_bias": False, "kernel_initializer": start}
    model.add(tf.keras.layers.Dense(10, **options))
    return convert_article_model(trace, model)


@case("article-example-1-mended", "article, example 1, shape mended", drawn=True)
def article_example_1_mended(trace: Trace) -> Answers:
    """Run the article's first example with a constant of the kernel's own shape."""
    tf, model = trace.tf, article_model(trace)
    variable = tf.Variable(tf.random.normal([10, 10]), name="my_variable")
    start = tf.keras.initializers.Constant(variable.numpy())
    model.add(tf.keras.layers.Dense(10, use_bias=False, kernel_initializer=start))
    return convert_article_model(trace, model)


@case("article-example-2", "article, example 2", drawn=True)
def article_example_2(trace: Trace) -> Answers:
    """Run the article's second example, without its optimization flag."""
    model = article_model(trace)
    weights = trace.tf.random.normal([10, 128]).numpy()
    model.layers[0].set_weights([weights, model.layers[0].get_weights()[1]])
    return convert_article_model(trace, model)


@case("article-example-3", "article, example 3", drawn=True)
def article_example_3(trace: Trace) -> Answers:
    """Run the article's third example: float16 weights."""
    return convert_article_model(trace, article_model(trace), float16=True)

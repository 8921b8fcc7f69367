# The board stops: "Didn't find op for builtin opcode 'TANH'". Its firmware cannot be changed.
# To be true: `file` answers tanh(x), and uses no op but those that the board has registered.
import tensorflow as tf

REGISTERED = {"ADD", "SUB", "MUL", "LOGISTIC", "FULLY_CONNECTED"}  # LOGISTIC is tf.sigmoid


@tf.function(input_signature=[tf.TensorSpec([1, 3])])
def dial(x):
    # ---- broken
    return tf.tanh(x)
    # ---- right 1
    return 2.0 * tf.sigmoid(2.0 * x) - 1.0
    # ---- right 2
    return tf.sigmoid(x + x) - tf.sigmoid(-2.0 * x)
    # ---- wrong 1
    return 2.0 * tf.sigmoid(x) - 1.0
    # ---- wrong 2
    return 1.0 - 2.0 / (tf.exp(2.0 * x) + 1.0)
    # ---- wrong 3
    return tf.sigmoid(x)
    # ---- end


function = dial.get_concrete_function()
file = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()


# ---- check micro-op-not-registered
def check(file):
    """Write tanh with the ops that the board has.

    1. tanh and the sigmoid have the same form. Which values does each reach, and how steep is it?
    2. The sigmoid goes from 0 to 1, tanh from -1 to 1 and is twice as steep at its middle.
    3. tanh(x) = 2 sigmoid(2 x) - 1.
    """
    more = sorted(ops(file) - {"ADD", "SUB", "MUL", "LOGISTIC", "FULLY_CONNECTED"})
    if more:
        raise Wrong(f"`file` uses {', '.join(more)}, which the board has not registered.")
    calls = np.float32([[[0, 1, -1]], [[0.5, 3, -2]]])
    expect_answers(file, calls, np.tanh(calls), 1e-3)
    return "A resolver has only the ops that a program adds; a formula can often do with fewer."

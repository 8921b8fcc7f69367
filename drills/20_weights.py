# The graph converts, and answers whatever it finds: the weights are not in it.
# To be true: `file` answers 2 x0 + 3 x1, as the trained session does.
import tensorflow as tf

v1 = tf.compat.v1
with v1.Graph().as_default() as graph, v1.Session() as session:
    x = v1.placeholder(tf.float32, [1, 2], name="x")
    weight = v1.get_variable("weight", initializer=[[1.0], [1.0]])
    y = tf.matmul(x, weight, name="y")
    train = weight.assign([[2.0], [3.0]])
    session.run(v1.global_variables_initializer())
    session.run(train)
    # ---- broken
    converter = v1.lite.TFLiteConverter(graph.as_graph_def(), [x], [y])
    # ---- right 1
    freeze = v1.graph_util.convert_variables_to_constants
    converter = v1.lite.TFLiteConverter(freeze(session, graph.as_graph_def(), ["y"]), [x], [y])
    # ---- right 2
    converter = v1.lite.TFLiteConverter.from_session(session, [x], [y])
    # ---- wrong 1
    with v1.Session() as other:
        other.run(v1.global_variables_initializer())
        converter = v1.lite.TFLiteConverter.from_session(other, [x], [y])
    # ---- wrong 2
    freeze = v1.graph_util.convert_variables_to_constants
    converter = v1.lite.TFLiteConverter(freeze(session, graph.as_graph_def(), ["x"]), [x], [y])
    # ---- wrong 3
    session.run(v1.global_variables_initializer())
    converter = v1.lite.TFLiteConverter.from_session(session, [x], [y])
    # ---- end
    file = converter.convert()


# ---- check unfrozen-graph
def check(file):
    """Give the converter the values with the graph.

    1. A GraphDef holds ops and no values. Who holds the values?
    2. The session does. It can be handed to the converter, or its graph be frozen in it first.
    3. `v1.lite.TFLiteConverter.from_session(session, [x], [y])`.
    """
    calls = np.float32([[[1, 0]], [[0, 1]], [[2, -1]]])
    expect_answers(file, calls, [[2], [3], [1]])
    return "Freeze in the session that has the trained values: another one has the first values."

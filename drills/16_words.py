# The converter stops where a row is looked up: "expected type resource != float".
# To be true: `file` answers the rows of `table` that two numbers name; zeros if the first is -1.
import tensorflow as tf


class Words(tf.Module):
    def __init__(self):
        super().__init__()
        self.table = tf.Variable(tf.reshape(tf.range(12.0), [6, 2]))

    @tf.function(input_signature=[tf.TensorSpec([2], tf.int32)])
    def rows(self, numbers):
        # ---- broken, right 1
        if numbers[0] < 0:
            return tf.zeros([2, 2])
        return tf.nn.embedding_lookup(self.table, numbers)
        # ---- right 2
        found = tf.gather(self.table.read_value(), tf.maximum(numbers, 0))
        return tf.where(numbers[0] < 0, tf.zeros([2, 2]), found)
        # ---- wrong 1
        found = tf.gather(self.table.read_value(), tf.maximum(numbers, 0))
        return tf.where(numbers[:, tf.newaxis] < 0, tf.zeros([2, 2]), found)
        # ---- wrong 2
        return tf.gather(self.table.read_value(), tf.maximum(numbers, 0))
        # ---- wrong 3
        if numbers[0] < 0:
            return tf.zeros([2, 2])
        return tf.gather(self.table, numbers)
        # ---- end


words = Words()
function = words.rows.get_concrete_function()
# ---- broken, right 2, wrong 1, wrong 2, wrong 3
converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
# ---- right 1
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], words)
# ---- end
file = converter.convert()


# ---- check gather-from-frozen-table
def check(file):
    """Convert a lookup together with its table.

    1. Nothing is assigned here. Which op wants the handle, and was given the frozen value?
    2. Give the converter the object that owns the table, or look up from the value.
    3. `from_concrete_functions([function], words)`.
    """
    table = np.arange(12.0).reshape(6, 2)
    calls = np.int32([[0, 1], [5, 5], [-1, 4], [2, 0]])
    expected = [0 * table[:2] if call[0] < 0 else table[call] for call in calls]
    expect_answers(file, calls, expected)
    return "A lookup reads rows from the handle; a frozen table has no handle any more."

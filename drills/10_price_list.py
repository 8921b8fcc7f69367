# The converter stops at HashTableV2: it is named beside resources, and is no variable.
# To be true: `file` answers the price of each number: 101, 102 and 103, and 0 for any other.
import tensorflow as tf

NUMBERS, PRICES = [101, 102, 103], [2.5, 4.0, 1.5]


class Shop(tf.Module):
    def __init__(self):
        super().__init__()
        # ---- broken, wrong 3
        pairs = tf.lookup.KeyValueTensorInitializer(tf.constant(NUMBERS, tf.int64), PRICES)
        self.table = tf.lookup.StaticHashTable(pairs, 0.0)
        # ---- right 1, right 2, wrong 1, wrong 2
        # ---- end

    @tf.function(input_signature=[tf.TensorSpec([4], tf.int64)])
    def price(self, number):
        # ---- broken, wrong 3
        return self.table.lookup(number)
        # ---- right 1
        hits = number[:, tf.newaxis] == tf.constant(NUMBERS, tf.int64)
        return tf.reduce_sum(tf.cast(hits, tf.float32) * PRICES, axis=1)
        # ---- right 2
        place = tf.clip_by_value(number - 100, 0, 4)
        return tf.gather([0.0, *PRICES, 0.0], place)
        # ---- wrong 1
        return tf.gather(PRICES, tf.clip_by_value(number - 101, 0, 2))
        # ---- wrong 2
        return tf.gather([0.0, *PRICES, 0.0], tf.clip_by_value(number - 101, 0, 4))
        # ---- end


shop = Shop()
converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [shop.price.get_concrete_function()], shop
)
# ---- broken, right 1, right 2, wrong 1, wrong 2
# ---- wrong 3
converter.target_spec.supported_ops = [
    tf.lite.OpsSet.TFLITE_BUILTINS,
    tf.lite.OpsSet.SELECT_TF_OPS,
]
# ---- end
file = converter.convert()


# ---- check other-resource
def check(file):
    """Look prices up without a table.

    1. A hash table is a resource as a variable is. Builtins have tables of strings and int64 only.
    2. The numbers are three: a constant can hold their prices. Mind the numbers that it lacks.
    3. Compare: `number[:, tf.newaxis] == tf.constant(NUMBERS, tf.int64)`, times the prices, summed.
    """
    calls = np.int64([[101, 102, 103, 101], [100, 104, 0, 103], [-5, 102, 999, 1]])
    expected = [[{101: 2.5, 102: 4.0, 103: 1.5}.get(int(one), 0) for one in call] for call in calls]
    expect_answers(file, calls, expected)
    return "Where the message says resource, read on: tables and iterators are resources as well."

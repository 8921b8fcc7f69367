# A radio brings the file in packets, and the interpreter does not take what arrives.
# To be true: `received` is the file that was sent.
import struct

import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter


@tf.function(input_signature=[tf.TensorSpec([2])])
def double(x):
    return 2.0 * x


function = double.get_concrete_function()
file = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
# Each packet begins with its number, in four bytes. They arrive in no order.
parts = [file[start : start + 200] for start in range(0, len(file), 200)]
packets = [struct.pack("<I", number) + part for number, part in enumerate(parts)][::-1]
# ---- broken
received = b"".join(packets)
# ---- right 1
received = b"".join(packet[4:] for packet in sorted(packets))
# ---- right 2
numbered = {struct.unpack_from("<I", packet)[0]: packet[4:] for packet in packets}
received = bytearray()
for number in range(len(numbered)):
    received += numbered[number]
received = bytes(received)
# ---- wrong 1
received = b"".join(sorted(packets))
# ---- wrong 2
received = b"".join(packet[4:] for packet in packets)
# ---- wrong 3
received = b"".join(sorted(packets))[4:]
# ---- end
interpreter = Interpreter(model_content=received)
interpreter.allocate_tensors()


# ---- check not-a-tflite-file
def check(file, received):
    """Put a file together again, so that an interpreter takes it.

    1. Characters 5 to 8 of a .tflite file are `TFL3`: print `received[:8]`.
    2. What is in front of the file's own bytes, and how often?
    3. Leave the four bytes of each packet out, and take the packets by their numbers.
    """
    if received != file:
        begins = "begins as it should, and goes on otherwise"
        if received[4:8] != b"TFL3":
            begins = f"has {bytes(received[4:8])} where a .tflite file has b'TFL3'"
        raise Wrong(
            f"`received` has {len(received)} bytes of {len(file)}, and {begins}. "
            "Do all packets stand in their order, and none of their numbers among them?"
        )
    return "The identifier at bytes 4 to 8 tells at a glance whether bytes are a .tflite file."

"""A model that is larger than the 2 GB which one message or one flatbuffer may have."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern

_ABOUT_TFLITE = (
    *("lite/python", "lite\\python", "TFLiteConverter", "convert_to_constants"),
    *("flatbuffer_utils", "ai_edge_torch", "ai_edge_quantizer", "litert_torch", "tflite"),
)
_FLATBUFFER = "The .tflite file would be larger than the 2 GB that a flatbuffer can address."

FAMILY = Family(
    id="larger-than-2gb",
    order=235,
    what="The converter stops at a model of more than 2 GB.",
    cause="One protocol buffer message and one flatbuffer hold 2 GB at most.",
    fix=(
        "Make the weights smaller (float16 halves them, int8 makes them a quarter), and convert a"
        " SavedModel, whose weights lie outside of its graph. What is still larger can have them"
        " behind the flatbuffer, in the same file. No variable is at fault.\n\n"
        "converter = tf.lite.TFLiteConverter.from_saved_model(folder)\n"
        "converter.optimizations = [tf.lite.Optimize.DEFAULT]\n"
        "converter.target_spec.supported_types = [tf.float16]\n"
        "converter._experimental_use_buffer_offset = True"
    ),
    older=(
        (
            "2.13",
            "cut the model in two, convert each part by itself, and give the answer of the first to"
            " the second; or keep one part of the weights out of the model and pass it as an"
            " input.",
        ),
    ),
    log_patterns=(
        Pattern("2gb-flatbuffer", "Model size is bigger than 2gb"),
        Pattern("2gb-flatbuffer", "Model structure size is bigger than 2gb"),
        Pattern(
            "2gb-flatbuffer",
            "cannot grow buffer beyond 2 gigabytes",
            reach=3000,
            company=_ABOUT_TFLITE,
        ),
        *(
            Pattern("2gb-message", phrase, reach=3000, company=_ABOUT_TFLITE)
            for phrase in (
                "exceeds maximum protobuf size of 2GB",
                "exceeded maximum protobuf size of 2GB",
                "Cannot create a tensor proto whose content is larger than 2GB",
            )
        ),
    ),
    log_meanings={
        "2gb-flatbuffer": Meaning(121, _FLATBUFFER),
        "2gb-message": Meaning(
            122, "With its weights inside, the graph is larger than the 2 GB of one message."
        ),
    },
    of_variables=False,
)

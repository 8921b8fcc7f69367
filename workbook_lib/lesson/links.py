"""The official pages that the lessons point to: the one home of every address outside."""

from __future__ import annotations

#: Key -> title, address. A card names the keys; the cheat sheet and the site list them all.
OFFICIAL_PAGES: dict[str, tuple[str, str]] = {
    "convert": (
        "Convert TensorFlow models",
        "https://ai.google.dev/edge/litert/conversion/tensorflow/overview",
    ),
    "select-ops": (
        "Select TensorFlow operators",
        "https://ai.google.dev/edge/litert/models/ops_select",
    ),
    "inference": (
        "Get started with LiteRT: run a model",
        "https://ai.google.dev/edge/litert/inference",
    ),
    "variables": ("Introduction to variables", "https://www.tensorflow.org/guide/variable"),
    "saved-model": (
        "Using the SavedModel format",
        "https://www.tensorflow.org/guide/saved_model",
    ),
    "recurrent": (
        "Working with RNNs",
        "https://www.tensorflow.org/guide/keras/working_with_rnns",
    ),
    "versions": (
        "TensorFlow version compatibility",
        "https://www.tensorflow.org/guide/versions",
    ),
    "quantization-spec": (
        "The 8-bit quantization specification",
        "https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec",
    ),
    "quantizer": (
        "AI Edge Quantizer, now LiteRT Quantizer",
        "https://github.com/google-ai-edge/ai-edge-quantizer",
    ),
    "qat": (
        "Quantization aware training",
        "https://www.tensorflow.org/model_optimization/guide/quantization/training",
    ),
    "acceleration": (
        "Hardware acceleration",
        "https://ai.google.dev/edge/litert/next/acceleration",
    ),
    "keras-export": (
        "Model export for inference",
        "https://keras.io/api/models/model_saving_apis/export/",
    ),
    "debugger": (
        "Inspecting quantization errors",
        "https://www.tensorflow.org/lite/performance/quantization_debugger",
    ),
    "training": (
        "On-device training",
        "https://www.tensorflow.org/lite/examples/on_device_training/overview",
    ),
    "micro": (
        "Get started with microcontrollers",
        "https://ai.google.dev/edge/litert/microcontrollers/get_started",
    ),
    "security": (
        "Using TensorFlow securely",
        "https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md",
    ),
}

"""TensorFlow Lite Micro, whose arena is too small for the model."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern

_SIZES = r":?(?P<wanted>\d{1,10}),available(?P<there>\d{1,10})(?:,missing:?(?P<missing>\d{1,10}))?"

FAMILY = Family(
    id="micro-arena-too-small",
    order=132,
    what="TensorFlow Lite Micro finds no room for the tensors: AllocateTensors() fails.",
    cause="The arena that the program hands over is smaller than the model's tensors together.",
    fix=(
        "Make the arena larger, until AllocateTensors() succeeds, and read from the interpreter how"
        " much of it is in use. In a microWakeWord model of ESPHome that is tensor_arena_size in"
        " the model's JSON manifest. If the chip has not so much: a smaller input, fewer channels,"
        " or an int8 file.\n\n"
        "constexpr int kArenaSize = 300 * 1024;\n"
        "alignas(16) static uint8_t arena[kArenaSize];\n"
        "// after interpreter.AllocateTensors():\n"
        'MicroPrintf("%d bytes in use", interpreter.arena_used_bytes());'
    ),
    log_patterns=(
        *(
            Pattern("arena", f"Failed to {what}. Requested", after=_SIZES)
            for what in (
                *("resize buffer", "allocate memory", "allocate tail memory"),
                *("allocate temp memory", "allocate persistent memory"),
            )
        ),
        Pattern(
            "arena",
            "Failed to allocate memory for",
            after=r"(?:tensor_info|memoryplanning|(?:context->|compression)\w{1,40}),(?P<wanted>\d{1,10})bytesrequired",
        ),
        Pattern(
            "arena",
            "Failed to allocate memory for",
            after=r"(?:node_and_registrations|builtin_data|modelmetadata|persistenttflitetensor)",
        ),
        Pattern("arena", "Unable to allocate TfLiteAffineQuantization"),
        Pattern(
            "arena",
            "Arena size is too small for",
            after=r"(?:all|activation)buffers\.needed(?P<wanted>\d{1,10})butonly(?P<there>\d{1,10})wasavailable",
        ),
    ),
    log_meanings={
        "arena": Meaning(
            151,
            "The tensor arena is too small: {wanted:more} bytes are asked for, {there:fewer} are"
            " free. The file itself is sound.",
        ),
    },
    of_variables=False,
)

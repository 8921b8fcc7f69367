"""What the lessons ask before a cell is run: whoever has chosen can read why."""

import ipywidgets

# Name -> what can be chosen, and why it is so. The first is right; they are shown by the alphabet.
_QUESTIONS = {
    "addition": (
        (
            "There is no builtin addition of float16.",
            "The converter stops at the first op, and lists all that come after it.",
            "An addition that changes a variable is no addition.",
        ),
        "Look at the types. <code>2xf16</code> is a tensor of two float16 numbers, and each op of "
        "the list works on such a tensor. The converter found no builtin op for that dtype, not "
        "for the variable and not for the addition.",
    ),
    "main-graph": (
        ("VarHandleOp and ReadVariableOp", "VarHandleOp alone", "all three"),
        "There is no <code>AssignVariableOp</code>: the main graph makes the handle and gives it "
        "to the functions that it calls (<code>StatefulPartitionedCall</code>).",
    ),
    "functions": (
        (
            "To save the variable and to restore it.",
            "To check that its dtype is right.",
            "No other one does.",
        ),
        "A SavedModel also brings the functions that save and restore its variables. To save is a "
        "read, and to restore is an assignment. Only <code>__inference_step_14</code> does both.",
    ),
    "ops": (
        (
            "A handle, a read, an addition, an assignment, and one that begins it all.",
            "A handle, a read, an addition and an assignment.",
            "An addition: the runtime keeps the variable.",
        ),
        "<code>CALL_ONCE</code> is the one that begins it: before the first call, it runs the "
        "second graph, which gives the variable its first value.",
    ),
    "two-handles": (
        ("By their name.", "By their number in the file.", "By their dtype and shape."),
        "Two handles with the same <code>shared_name</code> lead to the same value.",
    ),
    "add-on": (
        (
            "All whose names begin with Flex.",
            "Only those that assign the variable.",
            "None: the file was written.",
        ),
        "They are ops of TensorFlow itself, and a runtime without TensorFlow's ops, the <em>Flex "
        "delegate</em>, has no code for them. So the failure has moved to the phone.",
    ),
    "lifted": (
        (
            "Two inputs and two outputs, and no op for variables.",
            "One input and two outputs, and no op for variables.",
            "Two inputs and two outputs, and the same ops.",
        ),
        "<code>x</code> and the total go in, the answer and the next total come out. The second "
        "graph is gone as well.",
    ),
}

# ipywidgets gives each option the height of one line: on a phone, options that wrap would overlap.
_STYLE = """<style>
.predict .widget-radio-box label {display: flex; height: auto; line-height: 1.5;}
.predict .widget-radio-box input {order: -1; flex: none; height: 1.5em;}
</style>"""


def predict(name):
    """Ask a question."""
    options, why = _QUESTIONS[name]
    choice = ipywidgets.RadioButtons(
        options=sorted(options), index=None, layout={"width": "auto", "max_width": "100%"}
    )
    told = ipywidgets.HTML()

    def answer(_):
        choice.disabled = True
        noted = "That is right." if choice.value == options[0] else "It is otherwise."
        told.value = (
            '<div role="status">Noted. Run the next cell, then look here.</div>'
            f"<details><summary>Was it right?</summary>{noted} {why}</details>"
        )

    choice.observe(answer, "value")
    return ipywidgets.VBox([choice, told, ipywidgets.HTML(_STYLE)]).add_class("predict")

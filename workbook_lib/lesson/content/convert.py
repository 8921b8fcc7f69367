"""What notebook 04 asks."""

from collections.abc import Hashable, Mapping, Sequence

from workbook_lib.lesson.content import Question, QuizQuestion


def of_every_door(counts: Sequence[int]) -> Hashable:
    """Return the count that all doors gave, or ``"door"`` where they differ."""
    return counts[0] if len(set(counts)) == 1 else "door"


def without_owner(outcomes: Mapping[tuple[str, str], bytes | str]) -> tuple[str, ...]:
    """Name the functions that gave a file (bytes) and no error when they came without an owner."""
    files = (key for key in outcomes if isinstance(outcomes[key], bytes))
    return tuple(sorted(function for owner, function in files if owner == "no owner"))


PREDICTIONS = (
    Question(
        "convert/what-stays",
        "The weight is read, the total is assigned. Which is still a variable in the file?",
        {2: "both", 1: "the total", 0: "neither", "door": "that depends on the door"},
        why="All three converters saved the object as a SavedModel first. After that one rule "
        "holds: what is only read becomes a constant, and what is assigned stays a variable.",
        key_of=of_every_door,
    ),
    Question(
        "convert/no-owner",
        "add assigns the total, look reads it. Converted without an owner, which gives a file?",
        {("add", "look"): "both", ("look",): "look", ("add",): "add", (): "neither"},
        why="Without an owner there is nothing to save, so the converter freezes the function. "
        "look only reads, so that works; add would need the handle to assign to, and it is gone.",
        key_of=without_owner,
    ),
    Question(
        "convert/look-alone",
        "Convert the signature look alone. What is the total in that file?",
        {1: "a variable", 0: "a constant", None: "nothing: the converter refuses"},
        why="No signature in that file assigns the total. It is only read there, so the converter "
        "makes a constant of it.",
    ),
    Question(
        "convert/owned",
        "service.variables lists what the module owns. How many of the six are in it?",
        {0: "none", 6: "six", 12: "twelve, each twice"},
        why="A tf.Module looks for tf.Variable. A variable of Keras 3 is of another class, which "
        "has its tf.Variable inside, in .value, so the module does not see it.",
    ),
)

QUIZ = (
    QuizQuestion(
        "convert/quiz-no-signature",
        "from_concrete_functions gave a file without a signature. What has happened?",
        {
            "The function has no name.": "One function with its owner becomes serving_default, "
            "and several keep their Python names.",
            "signature_keys was left out.": "That chooses among the signatures that a SavedModel "
            "has.",
            "The converter froze the function, for want of an owner that it could save.": "It does "
            "so without telling you. The missing signature gives it away.",
        },
        "The converter froze the function, for want of an owner that it could save.",
    ),
    QuizQuestion(
        "convert/quiz-signatures",
        "Which signatures decide whether a variable stays a variable in the file?",
        {
            "All that the SavedModel has.": "look alone gave a constant, though add and reset "
            "assign the total.",
            "Those that you convert.": "One of them must assign the variable.",
            "The one that is called first.": "The file is made before anybody calls it.",
        },
        "Those that you convert.",
    ),
    QuizQuestion(
        "convert/quiz-vanished",
        "A Keras 3 model inside a tf.Module: the file answers garbage. Which line cures it?",
        {
            "self._variables = [v.value for v in model.variables]": "Now the module holds each "
            "tf.Variable itself, and saves its value.",
            "from_concrete_functions([function], model)": "The variables of the Keras model are of "
            "Keras's class as well: none of the six was initialized.",
            "converter.allow_custom_ops = True": "No op is missing. The values of the variables "
            "are.",
        },
        "self._variables = [v.value for v in model.variables]",
    ),
)

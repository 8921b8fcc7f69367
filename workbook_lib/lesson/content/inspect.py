"""What notebook 02 asks."""

from collections.abc import Hashable, Iterable

from workbook_lib.lesson.content import Question, QuizQuestion


def values_or_error(seen: list[float] | str) -> Hashable:
    """Take what a read gave: the values, or the name of an error, which has no further meaning."""
    return "error" if isinstance(seen, str) else tuple(seen)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Name each once, in alphabetical order."""
    return tuple(sorted(set(names)))


_GRAPH, _CHECKPOINT = "saved_model.pb", "variables/variables.data-00000-of-00001"

PREDICTIONS = (
    Question(
        "inspect/same-name",
        "Two VarHandleOps share a name. You assign through the first: what does the second read?",
        {
            (1.0, 2.0): "the value that was assigned",
            (0.0, 0.0): "zeros",
            "error": "nothing: it raises an error",
        },
        why="A handle holds no value. It holds a name, by which the runtime finds the value, and "
        "both handles have the same name.",
        key_of=values_or_error,
    ),
    Question(
        "inspect/where-the-value-is",
        "The total starts at 10, 20, 30, 40. Which of these files holds the four numbers?",
        {(_GRAPH,): _GRAPH, (_CHECKPOINT,): _CHECKPOINT, (_GRAPH, _CHECKPOINT): "both of them"},
        why="saved_model.pb holds the graph, and the graph has only the handle: a name, a dtype "
        "and a shape. The numbers are in the checkpoint, in the folder variables.",
        key_of=in_order,
    ),
    Question(
        "inspect/how-many-handles",
        "The model has six weights. How many handles does its SavedModel have?",
        {6: "6", 12: "12", 18: "18"},
        why="There are three handles for each weight: one that a signature reads, one for a copy "
        "that nothing reads, and one without a value, which nothing reads either.",
    ),
    Question(
        "inspect/left-in-the-file",
        "gain is read, total is assigned and read, calls is assigned and never read. "
        "Which are still variables in the .tflite file?",
        {
            (): "none",
            ("total",): "total",
            ("calls", "total"): "total and calls",
            ("calls", "gain", "total"): "all three",
        },
        why="What decides is whether a signature that you convert assigns the variable. step "
        "assigns total and calls, so both stay; gain is only read, so it becomes a constant.",
        key_of=in_order,
    ),
)

QUIZ = (
    QuizQuestion(
        "inspect/quiz-handle",
        "What does a VarHandleOp carry?",
        {
            "The value of the variable.": "The value is in the checkpoint, and in a running "
            "program in the runtime.",
            "The op that reads the variable.": "That is a node of its own, ReadVariableOp, which "
            "takes the handle.",
            "A name, a dtype and a shape.": "These are its attributes. It takes nothing, and gives "
            "a resource.",
        },
        "A name, a dtype and a shape.",
    ),
    QuizQuestion(
        "inspect/quiz-captured",
        "A function of the graph reads a variable. How does it come to it?",
        {
            "The handle is passed to it as one more argument.": "The main graph makes the handle, "
            "and each call passes it on until a ReadVariableOp takes it.",
            "It looks the variable up by its name.": "Inside the function the handle has another "
            "name, such as unknown_0. The variable's name stands in the main graph alone.",
            "The value was copied into it when it was traced.": "Then there would be no "
            "ReadVariableOp at the end of the chain.",
        },
        "The handle is passed to it as one more argument.",
    ),
    QuizQuestion(
        "inspect/quiz-one-signature",
        "You convert one signature, which reads a variable. Another signature of the model, which "
        "you leave out, assigns it. What is the variable in the file?",
        {
            "A variable.": "It would be one if you converted the other signature as well.",
            "A constant.": "Only the signatures that you convert count, and this one only reads.",
            "Nothing: the converter refuses.": "It converts: look alone gave a file without a "
            "variable.",
        },
        "A constant.",
    ),
)

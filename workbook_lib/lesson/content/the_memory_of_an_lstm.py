"""Lesson 90, of the appendix: a recurrent layer of Keras 3, without and with a state."""

from __future__ import annotations

from collections.abc import Mapping

from workbook_lib.lesson.content import Card, Question, QuizQuestion


def which_changes(changes: Mapping[str, bool]) -> str:
    """Say which files answer the same call otherwise when it comes again, as their names."""
    return " and ".join(name for name, changed in changes.items() if changed)


PREDICTIONS = (
    Question(
        "the_memory_of_an_lstm/second-answer",
        "Each file gets the same image twice. Whose second answer is another than its first?",
        {
            "plain and stateful": "both: an LSTM remembers",
            "stateful": "only the one with stateful=True",
            "": "neither: a file has no memory",
        },
        why="A plain LSTM remembers from row to row and forgets at the end of the call. With "
        "stateful=True it goes on from where the call before has ended.",
        key_of=which_changes,
        debrief="Whoever chooses both has heard that an LSTM has a memory. Ask how long it lasts: "
        "a row, a call, or as long as the interpreter.",
    ),
)

QUIZ = (
    QuizQuestion(
        "the_memory_of_an_lstm/quiz-images",
        "An image goes in with one call, and no image has to do with another. Which LSTM?",
        {
            "A plain one.": "It remembers from row to row within the call, and answers the same "
            "image in the same way each time.",
            "One with stateful=True.": "Then an image would begin with what the one before has "
            "left: the second answer to the same image was another.",
            "None: an LSTM mixes its images.": "The plain file did not. What goes from round to "
            "round of its loop ends with the call.",
        },
        "A plain one.",
    ),
    QuizQuestion(
        "the_memory_of_an_lstm/quiz-op",
        "Which op shows that the file of an LSTM keeps a state?",
        {
            "WHILE.": "Both files have the loop. It goes from row to row, within one call.",
            "ASSIGN_VARIABLE.": "Only the stateful file has it: what is kept is in variables, "
            "which each call assigns.",
            "No op: the weights show it.": "Both layers have the same weights.",
        },
        "ASSIGN_VARIABLE.",
    ),
    QuizQuestion(
        "the_memory_of_an_lstm/quiz-turns",
        "Two people draw, and one CompiledModel of the stateful file takes their images in turns. "
        "What happens?",
        {
            "Each image begins anew.": "That is the plain file. This one went on from call to call "
            "as Keras did.",
            "Each person has a state.": "The batch size is 1, so there is one state, and no call "
            "says whose image it is.",
            "They share one state.": "Each call goes on from the one before, whoever made that.",
        },
        "They share one state.",
    ),
)

CARD = Card(
    symptom="An LSTM forgets what came with the call before, or its answer depends on it and "
    "should not.",
    cause="With stateful=True the layer keeps its state in variables, which live as long as the "
    "interpreter. Without it the state ends with the call.",
    cure="lstm = keras.layers.LSTM(24, stateful=True)  # False: each call begins anew\n"
    'model = keras.Sequential([keras.Input([8, 8], batch_size=1, name="rows"), lstm])\n'
    "content = tf.lite.TFLiteConverter.from_keras_model(model).convert()",
    pages=("recurrent", "variables"),
)

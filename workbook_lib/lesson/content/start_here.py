"""What notebook 00 asks."""

from workbook_lib.lesson.content import Question, QuizQuestion

PREDICTIONS = (
    Question(
        "start_here/first-prediction",
        "A model with a tf.Variable in it: does TensorFlow Lite convert it?",
        {0: "never", 2: "always", 1: "it depends on the variable"},  # of the two
        why="Both models assign a variable, and they differ in its dtype alone: the float32 one "
        "converts, and the float16 one is refused. So having a variable does not decide, but "
        "what is done with it, and in which dtype.",
    ),
)

QUIZ: tuple[QuizQuestion, ...] = ()

"""What notebook 06 asks."""

from workbook_lib.lesson.content import Question, QuizQuestion

PREDICTIONS = (
    Question(
        "infer/no-room",
        "The input has room for one image. You set a batch of five. What happens?",
        {1: "it takes the first image", 5: "it makes room for five", None: "it refuses"},
        why="The memory for one image was planned before, and set_tensor plans nothing anew. That "
        "takes resize_tensor_input and allocate_tensors.",
    ),
    Question(
        "infer/white-pixel",
        "Ink is a real value from 0.0 to 1.0. Which integer does the file's input want for 1.0?",
        {1: "1", 100: "100", 127: "127", 255: "255"},
        why="The scale is 1/255, so 1.0 is 255 steps. The zero point of -128 moves them to 127, "
        "the largest integer of an int8.",
    ),
    Question(
        "infer/slowest-op",
        "On a batch of 256, which kind of op takes most of the time?",
        {name: name for name in ("CONV_2D", "MAX_POOL_2D", "FULLY_CONNECTED", "SOFTMAX")},
        why="A convolution multiplies a window of numbers at every place of every image, and there "
        "are two of them: in the table they have most of the time.",
    ),
    Question(
        "infer/stranger",
        "The interpreter runs this file, in a child process. What comes of the first call?",
        {
            "ok": "the sum of the four numbers",
            "raised": "a Python exception",
            "crashed": "the process dies",
        },
        why="The variable of this file grows, and the process touched memory that was not its own. "
        "The operating system ends such a process, and no except can catch that.",
    ),
)

QUIZ = (
    QuizQuestion(
        "infer/quiz-batch",
        "By tensor numbers, you want to hand over five images in place of one. What comes first?",
        {
            "Nothing: the first dimension is open.": "Open is what the file allows. Memory is "
            "planned for one image, and set_tensor refuses five.",
            "resize_tensor_input, then allocate_tensors.": "A new shape needs a new plan. After "
            "that, set and invoke as before.",
            "A new conversion with a batch of five.": "The file allows any batch: its "
            "shape_signature begins with -1.",
        },
        "resize_tensor_input, then allocate_tensors.",
    ),
    QuizQuestion(
        "infer/quiz-zero",
        "An int8 input has the scale 1/255 and the zero point -128. Which integer is 0.0?",
        {
            "0": "That is half the ink: (0 + 128) / 255.",
            "127": "That is 1.0: (127 + 128) / 255.",
            "-128": "The zero point is the integer that stands for 0.0.",
        },
        "-128",
    ),
    QuizQuestion(
        "infer/quiz-stranger",
        "Somebody hands you a .tflite file. Where do you run it first?",
        {
            "In a child process, which may die.": "Whatever it does, you get a record, and your "
            "own process goes on.",
            "Here, inside try and except.": "A process that dies with SIGSEGV comes to no except.",
            "Here, with the plain kernels, which refuse what is wrong.": "They ran this file, and "
            "answered wrong.",
        },
        "In a child process, which may die.",
    ),
)

"""A class of thirty, made by hand: who does what is a rule, so that a test can count it."""

import json

from workbook_lib.lesson.outline import read_outlines


def write_class(folder, size=30):
    """Write ``size`` progress files.

    Learner n gets the first n exercises right at once; at the next one every third is stuck after
    three wrong answers, every third + 1 has tried once, the others have not come to it. Everybody
    who has begun predicts the first option of ``first/…`` (even n) or the second (odd n).

    Returns:
        The exercises, in order.
    """
    exercises = [exercise for notebook in read_outlines() for exercise in notebook.exercises]
    first = next(notebook.predictions[0] for notebook in read_outlines() if notebook.predictions)
    for number in range(size):
        events = [
            {"event": "exercise", "id": exercise, "status": "right"}
            for exercise in exercises[:number]
        ]
        events.append({"event": "prediction", "id": first, "answer": "ab"[number % 2]})
        events.append({"event": "comparison", "id": first, "correct": number % 2 == 0})
        if number < len(exercises):
            wrong = {"event": "exercise", "id": exercises[number], "status": "wrong"}
            events += [wrong] * (3, 1, 0)[number % 3]
        lines = [json.dumps(event) for event in events]
        (folder / f"learner-{number:02d}.jsonl").write_text("\n".join(lines) + "\n")
    return exercises

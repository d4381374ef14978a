"""Judges an answer to an exercise by its values: in the reader's browser, in the notebooks of a
course, and in the tests.
"""

import contextlib
import io
import traceback
from collections.abc import Mapping
from typing import Any

import numpy as np

import bptt
from bptt import EquationFails, verified

FILE = "<answer>"
AGREE = 1e-9  # relative to the largest entry, where an exercise says nothing
LONGEST = 2000  # characters of what an answer prints

# As booktools.exercises reads it; or, as booktools.gaps writes it, with the ``values`` of what is
# right and of what is wrong in place of their code.
Exercise = dict[str, Any]


class NotDefined(Exception):
    """An answer without what it was to define."""


def judge(exercise: Exercise, answer: Any) -> dict[str, Any]:
    """Whether an answer ``passes``, and what is ``said`` of it: code that defines it, or itself.

    Of an error also its ``line``, of a typical wrong answer its ``hint``; and what was ``printed``.
    """
    prints = io.StringIO()
    with contextlib.redirect_stdout(prints), contextlib.redirect_stderr(prints):
        found = compared(exercise, answer)
    return found | {"printed": prints.getvalue()[:LONGEST]}


def compared(exercise: Exercise, answer: Any) -> dict[str, Any]:
    """The same, where it may print."""
    needed = values(exercise, exercise, "right")
    try:
        thing = defined(exercise, answer) if isinstance(answer, str) else answer
        for expression, right in zip(exercise["compare"], needed, strict=True):
            got = value(exercise, expression, thing)
            if not agree(exercise, got, right):
                said = difference(expression, got, right, shows=callable(thing))
                return {"passes": False, "said": said, "hint": hint(exercise, thing)}
    except NotDefined as error:
        return {"passes": False, "said": str(error)}
    except (Exception, SystemExit) as error:
        said = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
        return {"passes": False, "said": said, "line": line(error)}
    return {"passes": True, "said": agreement(len(needed))}


def agreement(count: int) -> str:
    return "Right." if count == 1 else f"Right: all {count} values agree."


def defined(exercise: Exercise, code: str) -> Any:
    """What a piece of code defines under the name that the exercise asks for."""
    space: dict[str, Any] = {"__name__": "answer"}
    with np.errstate(all="ignore"):
        exec(compile(code, FILE, "exec"), space)
    if exercise["name"] not in space:
        raise NotDefined(f"The answer does not define `{exercise['name']}`.")
    return space[exercise["name"]]


def value(exercise: Exercise, expression: str, thing: Any) -> Any:
    """An expression's value, with inputs that no earlier call can have changed."""
    space = {"np": np, "bptt": bptt}
    exec(exercise.get("given", ""), space)
    with np.errstate(all="ignore"):
        return eval(expression, space | {exercise["name"]: thing})


def values(exercise: Exercise, answer: Mapping[str, Any], field: str = "code") -> list[Any]:
    """The values of all expressions that are compared, as kept, or from the code in this field."""
    if "values" in answer:
        return list(answer["values"])
    thing = defined(exercise, answer[field])
    return [value(exercise, expression, thing) for expression in exercise["compare"]]


def agree(exercise: Exercise, got: Any, right: Any) -> bool:
    """Whether two values are finite numbers of one shape, equal up to rounding."""
    with contextlib.redirect_stdout(None):
        try:
            sides = np.asarray(got), np.asarray(right)
            verified("answer", *sides, tol=exercise.get("tol", AGREE))
        except (EquationFails, TypeError, ValueError):
            return False
    return True


def hint(exercise: Exercise, thing: Any) -> str:
    """What helps whoever gave this answer, if it is one of the typical wrong ones."""
    with contextlib.suppress(Exception, SystemExit):
        got = [value(exercise, expression, thing) for expression in exercise["compare"]]
        for wrong in exercise["wrong"]:
            pairs = zip(got, values(exercise, wrong), strict=True)
            if all(agree(exercise, *pair) for pair in pairs):
                return str(wrong["hint"])
    return ""


def difference(expression: str, got: Any, right: Any, shows: bool) -> str:
    """In what way a value is not the right one; a function's right value is shown, too."""
    try:
        a = np.asarray(got)
        b = np.asarray(right)
        numbers = a.dtype.kind in "iufc"
    except ValueError:
        numbers = False
    if not numbers:
        return f"`{expression}` gives {repr(got)[:80]}, needs {kind(right)}."
    if a.shape != b.shape:
        return f"`{expression}` has shape {a.shape}, needs {b.shape}."
    if not np.isfinite(a).all():
        return f"`{expression}` gives {a[~np.isfinite(a)][0]}, needs finite numbers."
    if not shows:
        return f"`{expression}` is not right."
    worst = np.unravel_index(np.argmax(abs(a - b)), a.shape)
    place = f"`{expression}`" + (f", entry {tuple(int(i) for i in worst)}," if a.shape else "")
    return f"{place} gives {a[worst]:.9g}, needs {b[worst]:.9g}."


def kind(right: Any) -> str:
    shape = np.shape(right)
    return f"an array of shape {shape}" if shape else "a number"


def line(error: BaseException) -> int | None:
    """The line of the answer at which an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame.lineno for frame in frames if frame.filename == FILE]
    return ours[-1] if ours else getattr(error, "lineno", None)

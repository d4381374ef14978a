"""Docstrings of public functions: an example, which pytest runs as a doctest; every argument."""

import doctest
import inspect
import re

import pytest

import bptt
import bptt.examples
import bptt.figures

BESIDE = {
    f"{module.__name__}.{name}": value
    for module in (bptt.examples, bptt.figures)
    for name, value in vars(module).items()
    if inspect.isfunction(value) and value.__module__ == module.__name__
}
PUBLIC = {name: getattr(bptt, name) for name in bptt.__all__} | BESIDE
FUNCTIONS = [name for name, value in PUBLIC.items() if inspect.isfunction(value)]


def section(text, heading):
    """The lines of a section, as napoleon finds it: indented below its heading."""
    found = re.search(rf"^{heading}:\n((?:    .*\n?|\n)+)", text, re.MULTILINE)
    return found[1] if found else ""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_has_an_example(name):
    example = section(inspect.getdoc(PUBLIC[name]) or "", "Example")
    assert doctest.DocTestParser().get_examples(example), f"{name}: no '>>>' below 'Example:'"
    assert re.search(r"from bptt|import (.*, )?bptt", example), f"{name}: bptt is not imported"


@pytest.mark.parametrize("name", PUBLIC)
def test_its_example_imports_all_that_it_uses(name):
    """Pytest runs it among the names of its module, a reader does not."""
    members = vars(PUBLIC[name]).values() if inspect.isclass(PUBLIC[name]) else ()
    for value in (PUBLIC[name], *members):
        text = inspect.getdoc(getattr(value, "__func__", value)) or ""
        test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
        said = []
        doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(
            test, out=said.append
        )
        assert said == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_its_arguments_are_described(name):
    """In words, and not by the example alone."""
    text = inspect.getdoc(PUBLIC[name]) or ""
    words = text.replace(section(text, "Example"), "")
    arguments = inspect.signature(PUBLIC[name]).parameters
    missing = [a for a in arguments if not re.search(rf"\b{re.escape(a)}\b", words)]
    assert not missing, f"{name}: {missing} not in its docstring"

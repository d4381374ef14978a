"""The proof is accepted as the book shows it, and false variants of it are refused."""

import re
import subprocess
from pathlib import Path

import pytest
from sphinx.config import Config
from sphinx.directives.code import LiteralIncludeReader

from booktools.mathematics import node

ROOT = Path(__file__).parents[2]
FILE = ROOT / "proofs" / "Readable.v"
TEXT = FILE.read_text(encoding="utf-8")
PAGE = (ROOT / "book" / "any-length.md").read_text(encoding="utf-8")
CLAIM = "ds (k + n) = sum k n + product k n (ds k)"

# What is replaced, by what, and what is false then.
FALSE = {
    "no-remainder": (CLAIM, "ds (k + n) = sum k n", "truncation"),
    "remainder-not-carried": (CLAIM, "ds (k + n) = sum k n + ds k", "truncation"),
    "one-summand-too-few": (CLAIM, CLAIM.replace("sum k n", "sum (S k) (pred n)"), "truncation"),
    "oldest-not-newest": (CLAIM, CLAIM.replace("sum k n", "sum 0 n"), "truncation"),
    "factors-in-wrong-order": (
        "J (S (k + n)) (product k n x)",
        "product k n (J (S (k + n)) x)",
        "multiply_out",
    ),
    "jacobian-forgotten": ("+ J (S t) (ds t)", "+ ds t", "truncation"),
}

# A small network of numbers, in the place of the variables and what is supposed of them. Its
# Jacobians are two matrices whose order matters.
NUMBERS = """
Definition V := (nat * nat)%type.
Definition J (t : nat) (x : V) : V :=
  if Nat.odd t then (fst x + snd x, snd x) else (fst x, fst x + snd x).
Definition add (x y : V) : V := (fst x + fst y, snd x + snd y).
Infix "+" := add.
Definition zero : V := (0, 0).
Definition immediate (t : nat) : V := (t, 1).
Definition ds0 : V := (1, 2).
"""


def edited(old, new):
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def refuted(text):
    """The definitions of a text with numbers, and a proof that its claim fails for them."""
    claim = re.search(r"Theorem truncation k n :(.+?)\.\nProof", text, re.DOTALL)[1]
    definitions = text[text.index("(* 3.") : text.index("(* 6.")]
    fails = f"Example fails : ~ ((fun k n => {claim}) 2 2).\nProof. compute. discriminate. Qed.\n"
    return f"{NUMBERS}{definitions}{fails}Print Assumptions fails.\n"


def shown():
    """What the page shows of the file, piece after piece, as Sphinx reads it."""
    pieces = re.findall(r"```\{literalinclude\} \S+/Readable\.v\n(.+?)```", PAGE, re.DOTALL)
    options = [dict(re.findall(r'^:([\w-]+): "?(.+?)"?$', piece, re.MULTILINE)) for piece in pieces]
    try:
        return "\n".join(
            LiteralIncludeReader(str(FILE), one, Config()).read()[0] for one in options
        )
    except ValueError as error:
        message = f"book/any-length.md shows of proofs/Readable.v what is not there: {error}"
        raise ValueError(message) from error


OTHERS = {
    "shown": shown(),
    "admitted": edited("Proof. exact (truncation 0 T). Qed.", "Admitted."),
    "supposed": edited(
        "Corollary sum", "Axiom same : forall a b : V, a = b.\nCorollary sum"
    ).replace("exact (truncation 0 T)", "apply same"),
    "open": TEXT[: TEXT.index("End Sum")],
    "silent": TEXT[: TEXT.index("(* 9.")],
    "true-is-not-refuted": refuted(TEXT),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the checker says of each text, by name; Coq starts once."""
    if not (ROOT / "node_modules" / "jscoq").is_dir():
        pytest.skip(
            "jscoq is not here; it comes with what make check needs: make node_modules/pyright"
        )
    texts = {"right": TEXT, **OTHERS}
    for name, (old, new, _) in FALSE.items():
        texts |= {name: edited(old, new), f"{name}-is-false": refuted(edited(old, new))}
    folder = tmp_path_factory.mktemp("proofs")
    for name, text in texts.items():
        (folder / f"{name}.v").write_text(text, encoding="utf-8", newline="\n")
    run = subprocess.run(
        [str(node()), str(ROOT / "proofs" / "check.mjs"), *(f"{name}.v" for name in texts)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 1, run.stdout
    found = re.findall(r"^([\w-]+)\.v:(.+(?:\n    .+)*)", run.stdout, re.MULTILINE)
    assert [name for name, _ in found] == list(texts), run.stdout
    return dict(found)


def test_the_proof_is_accepted_and_rests_on_nothing_else(said):
    assert " accepted, " in said["right"]
    theorems = re.findall(r"^(?:Theorem|Corollary) (\w+)", TEXT, re.MULTILINE)
    assert re.findall(r"Print Assumptions (\w+)", TEXT) == theorems
    assert said["right"].count("Closed under the global context") == len(theorems) == 2


@pytest.mark.parametrize("file", sorted(FILE.parent.glob("*.v")), ids=lambda file: file.stem)
def test_no_file_supposes_or_skips_and_each_asks_what_its_theorems_rest_on(file):
    text = re.sub(r"\(\*.*?\*\)", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.search(r"\b(Axioms?|Parameters?|Conjecture|Admitted|admit|give_up|Abort)\b", text)
    theorems = re.findall(r"^(?:Theorem|Corollary) (\w+)", text, re.MULTILINE)
    assert re.findall(r"Print Assumptions (\w+)", text) == theorems
    # What a section supposes becomes a premise at its end, so each has to end.
    begun, ended = (
        re.findall(rf"^{word} (\w+)\.", text, re.MULTILINE) for word in ("Section", "End")
    )
    assert begun == ended
    rest = re.sub(r"^Section (\w+)\..*?^End \1\.", "", text, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"\b(Variable|Hypothes[ie]s|Context)", rest)


def test_the_page_shows_all_of_it_but_its_remarks():
    assert shown().split() == re.sub(r"\(\*.*?\*\)", "", TEXT, flags=re.DOTALL).split()


def test_what_the_page_shows_gets_the_answer_that_it_prints(said):
    answer, (_, *answers) = "Closed under the global context", said["shown"].split("\n    ")
    assert answers == [answer] * 2
    assert f"`{answer}` to both questions" in PAGE


@pytest.mark.parametrize("name", FALSE)
def test_a_false_variant_is_refused_where_its_proof_fails(said, name):
    line = int(re.match(r"(\d+): \S", said[name])[1])
    proof = edited(*FALSE[name][:2]).splitlines()[:line]
    begun = [words for text in proof if (words := re.match(r"(?:Lemma|Theorem) (\w+)", text))]
    assert begun[-1][1] == FALSE[name][2], said[name]


@pytest.mark.parametrize("name", FALSE)
def test_it_is_false_and_not_only_badly_proved(said, name):
    assert " accepted, " in said[f"{name}-is-false"]


def test_what_is_true_is_refuted_by_no_numbers(said):
    assert re.match(r"\d+: ", said["true-is-not-refuted"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("admitted", "rests on more than its text"),
        ("supposed", "rests on more than its text"),
        ("open", "left open"),
        ("silent", "Print Assumptions is asked of no theorem"),
    ],
)
def test_a_theorem_that_is_not_proved_is_refused(said, name, why):
    assert why in said[name]

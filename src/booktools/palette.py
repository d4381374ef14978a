"""The colours of the book: each on the light page and, its twin, on the dark one.

Figures are drawn in them, the style sheet has them as variables, and the dark figures come from
the pairs. What carries text has at least 4.5:1 against the page; the hues of figures are apart for
colour-blind readers.
"""

COLOURS = {
    "ink": ("#1d2430", "#d9dde3"),
    "grey": ("#6a7078", "#a2abb6"),
    "blue": ("#00639c", "#6db6ec"),
    "vermillion": ("#b84e00", "#ff9d5c"),
    "green": ("#007a58", "#54c9a2"),
    "purple": ("#a34a8c", "#e08fca"),
    "paper": ("#fdfdfb", "#14181e"),
    "panel": ("#f4f4f0", "#1c2129"),
    "line": ("#dcdcd4", "#353c46"),
    "soft": ("#57606c", "#a2abb6"),
    "accent": ("#0b5f9e", "#7ab8ec"),
}
IN_THE_DARK = dict(COLOURS.values())


def css() -> str:
    """The palette as variables of a style sheet."""
    pairs = "".join(f"--{name}:light-dark({one},{two});" for name, (one, two) in COLOURS.items())
    return f":root{{{pairs}}}"

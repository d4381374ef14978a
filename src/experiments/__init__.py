"""Trainings that take too long for a build: ``make experiments`` runs them, chapters read them."""

from .runner import (
    Experiment,
    NotRepeated,
    Row,
    StaleResults,
    repeat,
    run,
    stored,
)

"""Exact derivatives of recurrences, by the product rule."""

from ._arguments import OutOfRange
from .cellcheck import WrongCell, check_cell
from .cells import ELMAN, GRU, LSTM, TORCH_GRU, Cell, Partials
from .checkpointing import checkpointed
from .equations import EquationFails, verified
from .gradcheck import (
    CannotJudge,
    GradientMismatch,
    Report,
    central_difference,
    check,
    complex_step,
)
from .lags import summands, truncated
from .network import Batch, Descent, Network, init_network, last, loss_and_gradients, predict
from .optimisers import Moments, Optimiser, adagrad, adam, clip_by_norm, clip_by_value, rmsprop, sgd
from .readout import cross_entropy, mean_squared_error, softmax
from .recurrence import Gradients, ParameterGradients, Params, Unrolled, backward, init, unroll
from .tangents import jacobians, rtrl, sensitivity
from .tasks import AddingProblem, LongLag, Reber, Task, TemporalOrder, TemporalXOR
from .training import Fit, History, Interrupted, descend, fit

__version__ = "0.3.0"

# fmt: off
__all__ = [
    "ELMAN", "GRU", "LSTM", "TORCH_GRU", "AddingProblem", "Batch", "CannotJudge", "Cell", "Descent",
    "EquationFails", "Fit", "GradientMismatch", "Gradients", "History", "Interrupted", "LongLag",
    "Moments", "Network", "Optimiser", "OutOfRange", "ParameterGradients", "Params", "Partials",
    "Reber", "Report", "Task", "TemporalOrder", "TemporalXOR", "Unrolled", "WrongCell", "adagrad",
    "adam", "backward", "central_difference", "check", "check_cell", "checkpointed", "clip_by_norm",
    "clip_by_value", "complex_step", "cross_entropy", "descend", "fit", "init", "init_network",
    "jacobians", "last", "loss_and_gradients", "mean_squared_error", "predict", "rmsprop", "rtrl",
    "sensitivity", "sgd", "softmax", "summands", "truncated", "unroll", "verified",
]
# fmt: on

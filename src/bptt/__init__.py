"""Exact derivatives of recurrences, by the product rule."""

from .cellcheck import WrongCell, check_cell
from .cells import ELMAN, GRU, LSTM, TORCH_GRU, Cell, Partials
from .checkpointing import checkpointed
from .equations import EquationFails, verified
from .gradcheck import GradientMismatch, Report, central_difference, check, complex_step
from .lags import summands, truncated
from .readout import cross_entropy, mean_squared_error, softmax
from .recurrence import (
    Gradients,
    ParameterGradients,
    Params,
    Unrolled,
    backward,
    init,
    unroll,
)
from .tangents import jacobians, rtrl, sensitivity
from .tasks import AddingProblem, LongLag, Reber, Task, TemporalOrder, TemporalXOR
from .training import (
    Batch,
    Descent,
    Fit,
    History,
    Moments,
    Network,
    Optimiser,
    adam,
    clip_by_norm,
    clip_by_value,
    fit,
    init_network,
    loss_and_gradients,
    predict,
    sgd,
)

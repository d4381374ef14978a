"""Exact derivatives of recurrences, by the product rule."""

from .cells import ELMAN, GRU, LSTM, Cell, Partials
from .checkpointing import checkpointed
from .equations import EquationFails, verified
from .gradcheck import GradientMismatch, Report, central_difference, check, complex_step
from .network import (
    Batch,
    Descent,
    Network,
    init_network,
    last,
    loss_and_gradients,
    predict,
)
from .optimisers import (
    Moments,
    Optimiser,
    adagrad,
    adam,
    clip_by_norm,
    clip_by_value,
    rmsprop,
    sgd,
)
from .readout import cross_entropy, mean_squared_error, softmax
from .recurrence import (
    Gradients,
    Params,
    Unrolled,
    backward,
    init,
    jacobians,
    rtrl,
    sensitivity,
    summands,
    truncated,
    unroll,
)
from .tasks import AddingProblem, LongLag, Reber, Task, TemporalOrder, TemporalXOR
from .training import Fit, History, Interrupted, descend, fit

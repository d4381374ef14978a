"""Exact derivatives of recurrences, by the product rule."""

from .cells import ELMAN, GRU, LSTM, Cell, Partials
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

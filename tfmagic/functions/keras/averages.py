"""The moving averages that a Keras optimizer keeps of the weights, and a copy of the model with them in their place.

Keras puts them there itself at the end of ``fit`` (``optimizer.finalize_variable_values``); a loop of one's own, and a
checkpoint in between, leave them with the optimizer. Not for: those of TensorFlow 1, which are variables of the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic import errors
from tfmagic.functions.keras import files as keras_files
from tfmagic.functions.keras import models as keras_models
from tfmagic.runtime import error_texts
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

#: How Keras 3 names the average of a weight among an optimizer's variables.
_SUFFIX = "_average"
#: As many weights are compared with their averages: a display does not wait for more.
_MOST_COMPARED = 12
_BY_HAND = (
    "call model.optimizer.finalize_variable_values(model.trainable_variables), which puts the averages into the model, "
    "and convert it without ema=True"
)


def of_optimizer(model: runtime.Live) -> list[tuple[runtime.Live, runtime.Live]]:
    """Return the weights that a live model trains, each with its moving average; none where Keras keeps none."""
    optimizer: runtime.Live = getattr(model, "optimizer", None)
    if optimizer is None or not getattr(optimizer, "use_ema", False) or keras_runtime.is_keras_2(model):
        return []
    kept = [variable for variable in optimizer.variables if str(variable.path).endswith(_SUFFIX)]
    weights = list(model.trainable_variables)
    # Built only with the first step of a training, and in the order of the weights.
    are_theirs = [tuple(each.shape) for each in kept] == [tuple(each.shape) for each in weights]
    return list(zip(weights, kept, strict=True)) if are_theirs else []


def apart(model: runtime.Live) -> list[str]:
    """Return the names of those weights, of the first, whose moving averages are other values."""
    names = {id(variable): name for name, variable in keras_models.variables(model)}
    with runtime.eager():
        pairs = of_optimizer(model)[:_MOST_COMPARED]
        others = [weight for weight, average in pairs if not np.array_equal(_array(weight), _array(average))]
    return [names.get(id(weight), str(weight.path)) for weight in others]


def _array(variable: runtime.Live) -> npt.NDArray[Any]:
    return np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)


def averaged_copy(model: runtime.Live) -> runtime.Live:
    """Return a copy of a live model with the moving averages in the place of the weights; the user's stays as it is.

    Raises
    ------
    ConversionError
        If its optimizer keeps none, or Keras cannot copy the model.
    """
    with runtime.eager(), keras_files.same_random_numbers():
        averages = {id(weight): average for weight, average in of_optimizer(model)}
        if not averages:
            raise errors.ConversionError(
                f"the optimizer of the Keras model {model.name!r} keeps no moving averages of its weights (it does "
                "with use_ema=True, after a step of training): leave ema=True (--ema) out"
            )
        try:
            copy = keras_runtime.keras().models.clone_model(model)
            sources, places = list(model.variables), list(copy.variables)
            if [tuple(each.shape) for each in sources] != [tuple(each.shape) for each in places]:
                message = "the copy has other variables"
                raise ValueError(message)  # noqa: TRY301 - told like Keras's own
            for source, place in zip(sources, places, strict=True):
                place.assign(averages.get(id(source), source))
        except Exception as error:
            raise errors.ConversionError(
                f"Keras cannot copy the model {model.name!r} ({error_texts.gist(error)}): {_BY_HAND}"
            ) from error
    return copy


def put(model: runtime.Live, averages: Sequence[npt.NDArray[Any]], origin: str) -> None:
    """Put moving averages into a model that was loaded here.

    Parameters
    ----------
    model : keras.Model
        The model.
    averages : sequence of ndarray
        What the optimizer keeps behind its counter and its learning rate, in the order of the weights.
    origin : str
        The file.

    Raises
    ------
    ConversionError
        If these are no averages of the model's weights.
    """
    weights = list(model.trainable_variables)
    if [each.shape for each in averages[: len(weights)]] != [tuple(each.shape) for each in weights]:
        raise errors.ConversionError(
            f"the optimizer in {origin!r} keeps no moving averages of the weights that the model trains: leave "
            "ema=True (--ema) out"
        )
    with runtime.eager():
        for weight, average in zip(weights, averages, strict=False):
            weight.assign(average)

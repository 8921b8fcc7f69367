"""Layers, an activation and a loss of somebody's own, as they lie beside a model."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

serializable = keras.saving.register_keras_serializable("home")


class Gate(keras.layers.Layer):
    """A layer with a config that says how wide it is."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        """Make the weight."""
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")

    def call(self, x: Any) -> Any:
        """Gate the inputs."""
        return ops.sigmoid(ops.matmul(x, self.kernel)) * 2.0

    def get_config(self) -> dict[str, Any]:
        """Return what it was made with."""
        return {**super().get_config(), "units": self.units}


class Sampling(keras.layers.Layer):
    """The draw of a variational autoencoder; without a config of its own, as most are written."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(7)

    def call(self, inputs: Any) -> Any:
        """Draw around the mean."""
        mean, log_variance = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(0.5 * log_variance) * noise


@serializable
def soft_step(x: Any) -> Any:
    """Return an activation of one's own."""
    return x * ops.sigmoid(3.0 * x)


@serializable
def weighted_error(expected: Any, found: Any) -> Any:
    """Return a loss of one's own."""
    return ops.mean(2.0 * ops.square(expected - found), axis=-1)


@serializable
class TwoTowers(keras.Model):
    """A model that is a class of its own."""

    def __init__(self, units: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.left = keras.layers.Dense(units, "relu")
        self.right = keras.layers.Dense(units, "tanh")

    def call(self, x: Any) -> Any:
        """Add both towers."""
        return self.left(x) + self.right(x)

    def get_config(self) -> dict[str, Any]:
        """Return what it was made with."""
        return {"units": self.units}

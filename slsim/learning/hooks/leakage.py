"""`leakage`: how much of the images can be told from what the server receives, as distance correlation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from slsim.learning.hooks.base import Hook, Row

if TYPE_CHECKING:
    from slsim.learning.hooks.look import Look


class Leakage(Hook):
    """Distance correlation between test images and what the server receives of them.

    Székely, Rizzo and Bakirov, *Measuring and testing dependence by correlation of distances*, Annals of
    Statistics 35(6), 2007: 0 where images and activations are independent (of infinitely many samples), 1
    where one is the other, scaled, shifted and rotated. It is the usual measure of what activations tell of
    raw data (Vepakomma et al., *NoPeek*, ICDM Workshops 2020).

    Quantities of the part "activations": `distance_correlation` of what the server receives, and
    `distance_correlation_without_codec` of the activations themselves. Over few samples of many dimensions
    the estimate is too large; `distance_correlation_corrected` is the estimate of its square without that
    bias (Székely and Rizzo, Journal of Multivariate Analysis 117, 2013), which may be below 0.
    """

    needs_own_rows: ClassVar[bool] = True

    samples: int = Field(256, strict=True, ge=4, le=10_000, description="The number of test images.")

    def measure(self, look: Look) -> Iterator[Row]:
        from slsim.learning.hooks.distances import corrected_distance_correlation, distance_correlation

        images = look.test_images(self.samples)
        activations = look.activations_of(images)
        received = look.received_of(activations)
        yield "activations", "distance_correlation", distance_correlation(images, received)
        yield "activations", "distance_correlation_without_codec", distance_correlation(images, activations)
        corrected = corrected_distance_correlation(images, received)
        yield "activations", "distance_correlation_corrected", corrected

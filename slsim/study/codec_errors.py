"""How far codecs change the activations of a trained network, in how many bytes, and beside which limits:
the paper's Figure 2, and rates over distortions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slsim.analysis import diverged_in
from slsim.codecs import Codec, Payload
from slsim.codecs.code_length import code_length
from slsim.errors import StudyError
from slsim.events import Finished, Planned, Tell, silent
from slsim.report import figures
from slsim.results import StudyFolder
from slsim.saved import NO_STAGE
from slsim.scenario import Plan
from slsim.study.compared_codecs import compared
from slsim.study.inputs import localised
from slsim.study.job import train
from slsim.study.placing import folder_for
from slsim.study.training import Training

if TYPE_CHECKING:
    import torch

    from slsim.learning.exchange import Exchange

FIGURES = ("errors_over_ratio", "rate_over_distortion")


def codec_errors(asked: Plan, results: Path, tell: Tell = silent) -> tuple[pd.DataFrame, StudyFolder]:
    """Train the plan's first case uncompressed, encode the activations of its test images batch by batch,
    and save `errors.csv` and its figures; docs/reference/results.md has the columns. Raises `StudyError`
    where there are no activations to compare codecs on."""
    training = Training.of(asked.cases[0].scenario.baseline())
    tell(Planned((training.label,)))
    exchange, recording = train(training, tell)
    tell(Finished(training.label, recording.status, recording.provenance["wall_s"]))
    if recording.status == "diverged":
        raise StudyError(
            f"{training.label} diverged in round {diverged_in(recording)}, so there are no activations of a "
            "trained network to compare codecs on; a smaller training.learning_rate may help"
        )
    epochs = training.scenario.training.epochs
    table = measured(asked, Sample.of(_activations(exchange), exchange.images.raw_sample_bytes / epochs))
    folder = folder_for(asked, results)
    if not folder.scenario_file.exists():
        folder.save_scenario(*localised(asked.document()))
    folder.save_table("errors", table)
    figures.draw(folder, only=list(FIGURES))
    return table, folder


@dataclass(frozen=True)
class Sample:
    """Activations to compare codecs on, by batch; how many samples and elements these are, the variance of
    the elements, and the bytes of a sample and epoch above which more crosses than the raw data, once."""

    batches: list[torch.Tensor]
    samples: int
    elements: int
    variance: float
    floor_bytes: float

    @classmethod
    def of(cls, batches: list[torch.Tensor], floor_bytes: float) -> Sample:
        """Counted, and their variance in two passes."""
        elements = sum(batch.numel() for batch in batches)
        mean = sum(float(batch.double().sum()) for batch in batches) / elements
        squares = sum(float((batch.double() - mean).square().sum()) for batch in batches)
        samples = sum(len(batch) for batch in batches)
        return cls(batches, samples, elements, squares / elements, floor_bytes)


def _activations(exchange: Exchange) -> list[torch.Tensor]:
    """The test images' activations, by batch. Raises `StudyError` where no error can be relative to them."""
    from slsim.learning.evaluation import test_activations

    batches = list(test_activations(exchange.computation, exchange.sampler.batch_size))
    if not all(bool(batch.isfinite().all()) for batch in batches):
        raise StudyError(
            "the activations of the test images are not all finite, so codecs cannot be compared"
        )
    least = min(float(batch.min()) for batch in batches)
    if least == max(float(batch.max()) for batch in batches):
        raise StudyError(
            f"the activations of the test images are all {least:g}, so no error can be relative to them"
        )
    return batches


def measured(asked: Plan, sample: Sample) -> pd.DataFrame:
    """The table of the codecs that are compared, a row each."""
    changes: list[tuple[Codec, dict[str, float]]] = []  # of each codec without its lossless stage
    rows = []
    for one in compared(asked):
        change = next((found for codec, found in changes if codec == one.nominal), None)
        if change is None:
            change = _change(one.nominal, sample)
            changes.append((one.nominal, change))
        named = {"series": one.series, "codec": one.title, "stage": one.stage}
        rows.append({**named, "lossless": one.stage != NO_STAGE, **_sent(one.codec, sample), **change})
    return pd.DataFrame(rows)


def _encoded(codec: Codec, sample: Sample) -> list[Payload]:
    """The batches, encoded; a codec that draws does so as in training."""
    rng = np.random.default_rng(0)
    return [codec.encode(batch, rng) for batch in sample.batches]


def _sent(codec: Codec, sample: Sample) -> dict[str, float]:
    """How many bytes a codec sends, as each of the table's columns counts them."""
    num_bytes = sum(payload.num_bytes for payload in _encoded(codec, sample))
    bytes_per_sample = num_bytes / sample.samples
    return {
        "bytes": num_bytes,
        "compression_ratio": 4 * sample.elements / num_bytes,
        "bits_per_element": 8 * num_bytes / sample.elements,
        "bytes_per_sample": bytes_per_sample,
        "times_raw_data": bytes_per_sample / sample.floor_bytes,
    }


def _change(codec: Codec, sample: Sample) -> dict[str, float]:
    """How far a codec changes the activations, and the bits that this could take."""
    payloads = _encoded(codec, sample)
    difference = norm = 0.0
    for payload, activations in zip(payloads, sample.batches, strict=True):
        difference += float((codec.decode(payload) - activations.cpu()).double().square().sum())
        norm += float(activations.double().square().sum())
    squared_error = difference / sample.elements
    distortion = squared_error / sample.variance
    shapes = [payload.shape for payload in payloads]
    length = code_length([codec.symbols(payload) for payload in payloads], shapes)
    return {
        "relative_error": (difference / norm) ** 0.5,
        "distortion": distortion,
        "gaussian_bits": gaussian_bits(distortion),
        "entropy_bits": length.plain / sample.elements,
        "context_entropy_bits": length.in_context / sample.elements,
    }


def gaussian_bits(distortion: float) -> float:
    """The rate-distortion function of Gaussian samples, ½ log2(σ²/D), in bits an element: enough for any
    source of that variance. `distortion` is D/σ².

    Example:
        >>> gaussian_bits(1 / 16), gaussian_bits(2), gaussian_bits(0)
        (2.0, 0.0, inf)
    """
    return max(0.0, -0.5 * float(np.log2(distortion))) if distortion else np.inf


def beaten(table: pd.DataFrame) -> list[str]:
    """Where QU errs less than MS in no more bytes, a line each; lossless stages are compared apart."""
    lines = []
    for stage, group in table.groupby("stage", sort=False):
        where = "nominal" if stage == NO_STAGE else f"with {stage}"
        ours, theirs = group[group["series"].str.startswith("MS")], group[group["series"] == "QU"]
        for _, ms in ours.iterrows():
            better = theirs[
                (theirs["bytes"] <= ms["bytes"]) & (theirs["relative_error"] < ms["relative_error"])
            ]
            for _, qu in better.iterrows():
                lines.append(
                    f"{where}: {qu['codec']} beats {ms['codec']}: "
                    f"error {qu['relative_error']:.3f} against {ms['relative_error']:.3f}, "
                    f"ratio {qu['compression_ratio']:.1f} against {ms['compression_ratio']:.1f}"
                )
    return lines

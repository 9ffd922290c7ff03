"""How far codecs change the activations of a trained network, and in how many bytes: the paper's Figure 2,
nominal and with a lossless stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slsim import codecs
from slsim.analysis import diverged_in
from slsim.codecs import Codec
from slsim.errors import StudyError
from slsim.events import Finished, Planned, Tell, silent
from slsim.report import figures
from slsim.results import StudyFolder
from slsim.scenario import Choice, Plan
from slsim.study.inputs import localised
from slsim.study.job import train
from slsim.study.placing import folder_for
from slsim.study.training import Training

if TYPE_CHECKING:
    import torch

    from slsim.learning.exchange import Exchange

ROUNDINGS = ("floor", "nearest", "centroid")
SPARSE = (("sp", "SP"), ("rt", "RT"))
SPARSITIES = (0.95875, 0.9275, 0.89625)


def settings() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Series, codec and parameters: the paper's settings, and those of 3 and 4 bits. The sparse codecs are
    given the sparsity at which they send as many bytes as `ms` of 99 % does with 2, 3 and 4 bits."""
    for bits in (2, 3, 4):
        for rounding in ROUNDINGS:
            yield f"MS {rounding}", "ms", {"sparsity": 0.99, "bits": bits, "rounding": rounding}
    for bits in (2, 3, 4):
        yield "QU", "qu", {"bits": bits}
    for name, series in SPARSE:
        for sparsity in SPARSITIES:
            yield series, name, {"sparsity": sparsity}


def codec_errors(asked: Plan, results: Path, tell: Tell = silent) -> tuple[pd.DataFrame, StudyFolder]:
    """Trains the plan's first case uncompressed, encodes the activations of its test images batch by
    batch, and saves `errors.csv` and its figure. Columns: series, codec, lossless, bytes,
    compression_ratio, relative_error (l2, over all batches)."""
    training = Training.of(asked.cases[0].scenario.baseline())
    tell(Planned((training.label,)))
    exchange, recording = train(training, tell)
    tell(Finished(training.label, recording.status, recording.provenance["wall_s"]))
    if recording.status == "diverged":
        raise StudyError(
            f"{training.label} diverged in round {diverged_in(recording)}, so there are no activations of a "
            "trained network to compare codecs on; a smaller training.learning_rate may help"
        )
    batches = _activations(exchange)
    rows = [
        {
            "series": series,
            "codec": Choice("codec", name, params).title,
            "lossless": bool(stage),
            **_measure(codecs.create(name, **params, **stage), batches),
        }
        for series, name, params in settings()
        for stage in ({}, {"lossless": "zstd"})
    ]
    folder = folder_for(asked, results)
    if not folder.scenario_file.exists():
        folder.save_scenario(*localised(asked.document()))
    table = pd.DataFrame(rows)
    folder.save_table("errors", table)
    figures.draw(folder, only=["errors_over_ratio"])
    return table, folder


def _activations(exchange: Exchange) -> list[torch.Tensor]:
    """The test images' activations, by batch. Raises `StudyError` where no error can be relative to them."""
    from slsim.learning.evaluation import test_activations

    batches = list(test_activations(exchange.computation, exchange.sampler.batch_size))
    if not all(bool(batch.isfinite().all()) for batch in batches):
        raise StudyError(
            "the activations of the test images are not all finite, so codecs cannot be compared"
        )
    if not any(bool(batch.any()) for batch in batches):
        raise StudyError("the activations of the test images are all 0, so no error can be relative to them")
    return batches


def _measure(codec: Codec, batches: list[torch.Tensor]) -> dict[str, Any]:
    """Bytes and relative l2 error of a codec over all batches. RT draws as it does in training."""
    rng = np.random.default_rng(0)
    sent = raw = 0
    difference = norm = 0.0
    for activations in batches:
        payload = codec.encode(activations, rng)
        sent, raw = sent + payload.num_bytes, raw + 4 * activations.numel()
        difference += float((codec.decode(payload) - activations).double().square().sum())
        norm += float(activations.double().square().sum())
    return {
        "bytes": sent,
        "compression_ratio": raw / sent,
        "relative_error": (difference / norm) ** 0.5,
    }


def beaten(table: pd.DataFrame) -> list[str]:
    """Where QU errs less than MS in no more bytes, a line each; nominal and zstd are compared apart."""
    lines = []
    for lossless, group in table.groupby("lossless"):
        ours, theirs = group[group["series"].str.startswith("MS")], group[group["series"] == "QU"]
        for _, ms in ours.iterrows():
            better = theirs[
                (theirs["bytes"] <= ms["bytes"]) & (theirs["relative_error"] < ms["relative_error"])
            ]
            for _, qu in better.iterrows():
                lines.append(
                    f"{'with zstd' if lossless else 'nominal'}: {qu['codec']} beats {ms['codec']}: "
                    f"error {qu['relative_error']:.3f} against {ms['relative_error']:.3f}, "
                    f"ratio {qu['compression_ratio']:.1f} against {ms['compression_ratio']:.1f}"
                )
    return lines

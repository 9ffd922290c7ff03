"""Prints the schemes' study as Markdown: what each learned, how much it sent, and when it reached the target.

    python scripts/make_schemes_table.py results/reference/schemes

One table a cut. Accuracies are means over seeds with 95 % intervals by Student's t; differences are of the
same seed. Ratios count all bytes of the training, weights and labels too: those of the uncompressed one ÷
those of this one. Times are medians, over the study's own links and over each replay with two equal links.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from slsim.analysis.statistics import mean_of

CUTS = ("", "shallow", "medium", "deep")  # "": the study has one
NEAR = 0.01  # one point


def runs_of(study: Path) -> dict[str, pd.DataFrame]:
    """The finished runs by the rate of both links, such as "10 Mbps", lowest first."""
    found = {}
    for folder in (study, *(study / "replays").glob("*")):
        runs = pd.read_csv(folder / "runs.csv")
        rates = {*runs.get("uplink_bps", []), *runs.get("downlink_bps", [])}
        if len(rates) == 1:
            cuts = runs["model.cut"] if "model.cut" in runs else [""] * len(runs)
            schemes = [name.replace(f", cut {cut}", "") for name, cut in zip(runs.setting, cuts, strict=True)]
            done = runs.assign(cut=cuts, scheme=schemes)[runs.status == "finished"]
            found[rates.pop()] = done
    return {f"{rate / 1e6:g} Mbps": found[rate] for rate in sorted(found)}


def rows(by_rate: dict[str, pd.DataFrame], cut: str) -> Iterator[tuple[float, list[str]]]:
    """Of each scheme at a cut, how many bytes it saves and its row of the table."""
    at_cut = {rate: runs[runs.cut == cut] for rate, runs in by_rate.items()}
    first = next(iter(at_cut.values()))
    for scheme, own in first.groupby("scheme"):
        against = first.set_index("training").loc[own.baseline].set_index(own.index)  # of the same seed
        is_bare = (own.training == own.baseline).all()
        less = mean_of((own.held_accuracy - against.held_accuracy).tolist())
        sent, would = own[["uplink_bytes", "downlink_bytes"]], against[["uplink_bytes", "downlink_bytes"]]
        both = (would.sum(axis=1) / sent.sum(axis=1)).mean()
        up, down = (would / sent).mean()
        accuracy = mean_of(own.held_accuracy.tolist())
        times = [_time(runs[runs.scheme == scheme].time_to_target_s) for runs in at_cut.values()]
        near = less.mean >= -NEAR and not is_bare
        yield (
            both,
            [
                f"**{scheme}**" if near else str(scheme),
                _points(accuracy.mean, accuracy.low, "{:.1f}"),
                "" if is_bare else _points(less.mean, less.low, "{:+.1f}"),
                *(f"{ratio:.3g}×" for ratio in (up, down, both)),
                *times,
            ],
        )


def _points(mean: float, low: float, form: str) -> str:
    """A mean in percent and half of its interval, which a single seed has not."""
    half = f" ± {100 * (mean - low):.1f}" if low == low else ""
    return form.format(100 * mean).replace("-", "−") + half


def _time(seconds: pd.Series) -> str:
    """The median over seeds, and how many reached the target if not all did."""
    reached = seconds.notna().sum()
    if 2 * reached <= len(seconds):
        return f"not reached ({reached} of {len(seconds)})" if reached else "not reached"
    median = seconds.fillna(float("inf")).median()
    return f"{median:.3g} s" + (f" ({reached} of {len(seconds)})" if reached < len(seconds) else "")


def main(study: Path) -> None:
    """Print a table for each cut that the study sweeps."""
    by_rate = runs_of(study)
    head = ["scheme", "accuracy, %", "against uncompressed, points", "up", "down", "both ways"]
    head += [f"to the target at {rate}" for rate in by_rate]
    for cut in CUTS:
        table = sorted(rows(by_rate, cut), key=lambda row: row[0])
        if not table:
            continue
        seeds = next(iter(by_rate.values())).seed.nunique()
        print(f"\n{f'Cut {cut}, seeds' if cut else 'Seeds'}: {seeds}\n")
        print(f"| {' | '.join(head)} |")
        print(f"|---|{'---:|' * (len(head) - 1)}")
        for _, cells in table:
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A study's figures in Python: `study.plot`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slsim.errors import StudyError
from slsim.report.figures.catalogue import Draw, Source, Tables, curve_name, figures_of, printed
from slsim.report.figures.data import ALONG, Of, Over
from slsim.report.figures.looks import codec_names
from slsim.report.figures.page import inches
from slsim.units import nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Plots:
    """The figures of a study, each a matplotlib `Figure` to look at, change and save.

    `width` is that of the printed figure, with its unit: "3.3 in" for one column of two, "84 mm", "8.4 cm";
    left out, seven inches. Texts have eight and seven points whatever the width. Every method raises
    `StudyError` where the study has nothing to draw, and `UnitError` for a width without a unit.

    Example:
        >>> import slsim
        >>> study = slsim.open_study("results/quickstart")
        >>> figure = study.plot.accuracy(over="uplink", width="3.3 in")
        >>> [axes.get_xlabel() for axes in figure.axes]
        ['traffic up (MB)']
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def __repr__(self) -> str:
        methods = [name for name in dir(self) if not name.startswith("_")]
        return f"<figures of {self._source.path}: {', '.join(methods)}>"

    def accuracy(self, over: Over = "time", width: str | None = None) -> Figure:
        """Draw the test accuracy through the codec over simulated "time", bytes of the "uplink", "all" bytes
        up and down, or "epochs": means over seeds with 95 % intervals, a dot where the target was reached.

        >>> study.plot.accuracy(over="uplink")  # doctest: +SKIP
        """
        return self._curve("accuracy", over, width)

    def loss(self, over: Over = "time", width: str | None = None) -> Figure:
        """Draw the training loss over the same.

        >>> study.plot.loss(over="epochs")  # doctest: +SKIP
        """
        return self._curve("loss", over, width)

    def learning_curves(self, width: str | None = None) -> Figure:
        """Draw accuracy and loss over time, bytes and epochs as one grid.

        >>> study.plot.learning_curves()  # doctest: +SKIP
        """
        return self._draw("learning_curves", width)

    def time_to_target(self, over: str | None = None, width: str | None = None) -> Figure:
        """Draw the time to the target over a swept number, with the places where a codec stops paying. `over`
        is the number's name, such as "uplink"; left out, the first that is swept.

        >>> study.replay({"network.uplink": "1 Mbps .. 1 Gbps / 20"}, save=False).plot.time_to_target()
        ... # doctest: +SKIP
        """
        return self._draw("time_to_target" if over is None else f"time_to_target_over_{over}", width)

    def average_round(self, width: str | None = None) -> Figure:
        """Draw where the seconds of an average round go.

        >>> study.plot.average_round(width="84 mm")  # doctest: +SKIP
        """
        return self._draw("average_round", width)

    def frontier(self, width: str | None = None) -> Figure:
        """Draw which accuracy is held for how many bytes up and down.

        >>> study.plot.frontier()  # doctest: +SKIP
        """
        return self._draw("frontier", width)

    def gantt(self, run: str | None = None, width: str | None = None) -> Figure:
        """Draw the first round of a run step by step, a row a client; of several runs without `run`, which is
        called as in `study.round`, by its setting, or by its codec.

        >>> study.plot.gantt(run="ms")  # doctest: +SKIP
        """
        if run is None:
            return self._draw("gantt", width)
        from slsim.report.figures.gantt import gantt

        figures_of(tables := Tables(self._source), "gantt")
        table, summary = tables("round"), tables("summary")
        codecs = dict(zip(summary["setting"], codec_names(summary), strict=True))
        firsts = table.drop_duplicates("run")[::-1]
        names = dict(zip(firsts["setting"].map(codecs), firsts["run"], strict=True))
        names |= dict(zip(firsts["setting"], firsts["run"], strict=True))
        names |= {name: name for name in firsts["run"]}
        if run not in names:
            known = ", ".join(f'"{name}"' for name in table["setting"].unique())
            raise StudyError(f'no round of "{run}" is kept; {nearest(run, names)}there are: {known}')
        return printed(gantt, table, None, names[run])(inches(width))

    def errors(self, width: str | None = None) -> Figure:
        """Draw the errors of codecs over their compression ratios, of `slsim errors`.

        >>> study.plot.errors()  # doctest: +SKIP
        """
        return self._draw("errors_over_ratio", width)

    def rates(self, width: str | None = None) -> Figure:
        """Draw the bits an element that codecs send over the distortion that they cause, beside limits, of
        `slsim errors`.

        >>> study.plot.rates()  # doctest: +SKIP
        """
        return self._draw("rate_over_distortion", width)

    def partition(self, width: str | None = None) -> Figure:
        """Draw which client holds which training samples, of `slsim partition`.

        >>> study.plot.partition()  # doctest: +SKIP
        """
        return self._draw("partition", width)

    def measurements(self, width: str | None = None) -> Figure:
        """Draw what hooks measured; what the hook "theory" did is drawn by `theory`.

        >>> study.plot.measurements()  # doctest: +SKIP
        """
        return self._draw("measurements", width)

    def theory(self, width: str | None = None) -> Figure:
        """Draw what the hook "theory" measured: errors beside their bounds, biases, alpha.

        >>> study.plot.theory()  # doctest: +SKIP
        """
        return self._draw("theory", width)

    def _curve(self, of: Of, over: Over, width: str | None) -> Figure:
        if over not in ALONG:
            raise StudyError(
                f'"{over}" is nothing to draw over; {nearest(over, ALONG)}allowed: {", ".join(ALONG)}'
            )
        return self._draw(curve_name(of, over), width)

    def _draw(self, name: str, width: str | None) -> Figure:
        width_in = inches(width)
        draws: list[Draw] = list(figures_of(Tables(self._source), name).values())
        return draws[0](width_in)

"""Do measured errors of gradients keep to their bounds?"""

from __future__ import annotations

from collections.abc import Iterator

from slsim.recording import Recording
from slsim.verdict import Check

ROUNDING = 1e-5  # of gradients, whose arithmetic is float32
ERRORS = "gradient errors"  # the group of these checks


def check_bounds(name: str, recording: Recording) -> Iterator[Check]:
    """What the hook "theory" measured: gradient errors against Lemma 2's bound, and biases that stand out."""
    for part in ("client", "server"):
        found = [one for one in recording.measurements if one.part == part]
        errors, bounds, norms, low = (
            [one.value for one in found if one.quantity == quantity]
            for quantity in ("error", "bound", "norm", "bias_low")
        )
        if not errors:
            continue
        triples = zip(errors, bounds, norms, strict=True)
        holds = all(error <= bound + ROUNDING * (bound + norm) for error, bound, norm in triples)
        ratios = [bound / error for error, bound in zip(errors, bounds, strict=True) if error]
        least = f"bound ÷ error is {min(ratios):.3g} or more" if ratios else "no errors"
        drawn = f"bias above 0 with 95 % confidence in {sum(end > 0 for end in low)} of {len(low)}"
        yield Check(
            f"gradient errors of {name}, {part}",
            holds,
            f"{len(errors)} measurements, {least}",
            drawn if low else "",
            group=ERRORS,
        )

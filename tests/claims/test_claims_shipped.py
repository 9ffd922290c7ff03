"""The claims that ship: every figure as it is printed, and what comes out of it."""

from __future__ import annotations

import re

import pytest

from slsim import claims
from slsim.verdict import Check

PAPER = """
cifar10 vgg19 shallow: INF INF 13.11 INF
cifar10 vgg19 medium: 9.92 13.56 13.56 13.71
cifar10 vgg19 deep: 10.37 13.56 13.63 13.71
cifar100 resnet18 shallow: INF INF 12.53 INF
cifar100 resnet18 medium: INF INF 13.50 INF
cifar100 resnet18 deep: INF INF 12.29 INF
imagenet resnet34 shallow: INF INF INF INF
imagenet resnet34 medium: INF INF 13.20 INF
imagenet resnet34 deep: INF INF 12.32 INF
"""
TABLE = {
    f"{row.partition(':')[0]} {column}": text
    for row in PAPER.strip().splitlines()
    for column, text in zip(("qu", "sp", "ms", "rt"), row.partition(":")[2].split(), strict=True)
}
# SplitLite's Table I: SplitLite, RandTopk and AQ-SGD, each up and total.
LITE = {
    "Qwen-2.5 1.5B": "6.8 16.9 50.5 40.2 25.0 37.5",
    "Qwen-2.5 3B": "6.6 16.6 50.6 40.3 25.0 37.5",
    "Gemma-3 1B": "6.9 17.4 50.5 40.2 25.0 37.5",
    "Llama-3.2 3B": "6.5 16.3 52.5 41.2 25.0 37.5",
}


def checks_of(name: str) -> dict[str, Check]:
    return {check.subject: check for check in claims.check(claims.load(name))}


@pytest.mark.parametrize("name", claims.shipped())
def test_what_ships_contradicts_no_format_and_says_what_was_read(name: str) -> None:
    claim = claims.load(name)
    assert [check for check in claims.check(claim) if not check.passed] == []
    assert claim.file.read
    assert {check.group for check in claims.check(claim)} == {name}


def test_all_36_entries_of_the_paper_and_the_steps_that_each_implies() -> None:
    found = checks_of("mask-encoded-sparsification")
    assert len(TABLE) == 36
    finite = {subject: float(text) for subject, text in TABLE.items() if text != "INF"}
    assert len(finite) == 14
    for subject in TABLE.keys() - finite.keys():
        ceiling = "10.67" if subject.endswith("qu") else "13.79"
        assert found[subject].arithmetic == f"INF: never reached; at most {ceiling}"
    for subject, value in finite.items():
        ratio = 32 / 3 if subject.endswith("qu") else 32 / 2.32
        told = re.fullmatch(
            rf"{TABLE[subject]}: (\S+) / {value:.2f}, (\S+) % more steps\n"
            r"both directions counted: 2·\S+ / \(1 \+ \S+\) = (\S+)",
            found[subject].arithmetic,
        )
        assert told, found[subject].arithmetic
        ceiling, steps, both = map(float, told.groups())
        assert ceiling == pytest.approx(ratio, abs=0.005)
        assert steps == pytest.approx(100 * (ratio / value - 1), abs=0.06)
        assert both == pytest.approx(2 * value / (1 + ratio), abs=6e-4)
        assert both < 2


@pytest.mark.parametrize(
    ("codec", "ceiling", "both"),
    [("qu", "10.67", "1.829")] + [(name, "13.79", "1.865") for name in ("sp", "ms", "rt")],
)
def test_the_ceilings_and_what_remains_of_them_in_both_directions(
    codec: str, ceiling: str, both: str
) -> None:
    check = checks_of("mask-encoded-sparsification")[f"ceiling of {codec}"]
    assert check.arithmetic.startswith(f"{ceiling}: 16,777,216 / ")
    assert check.arithmetic.endswith(f"both directions counted: at most 2 / (1 + 1 / {ceiling}) = {both}")


def test_bold_entries_that_are_not_the_best_of_their_row_are_noted_and_no_others() -> None:
    noted = {
        subject: check.note
        for subject, check in checks_of("mask-encoded-sparsification").items()
        if check.note
    }
    assert noted == {
        f"cifar10 vgg19 {entry}": "printed bold, but rt's 13.71 is better than 13.56"
        for entry in ("medium sp", "medium ms", "deep sp")
    }


def test_splitlite_follows_to_the_digit() -> None:
    found = checks_of("splitlite")
    names = [f"{scheme} {what}" for scheme in ("SplitLite", "RandTopk", "AQ-SGD") for what in ("up", "total")]
    printed = {
        f"{model} {name}": text
        for model, row in LITE.items()
        for name, text in zip(names, row.split(), strict=True)
    }
    assert len(printed) == 24
    for subject, text in printed.items():
        assert found[subject].arithmetic.startswith(f"{text} %: ")
        value = float(re.search(r"= (\S+) %", found[subject].arithmetic)[1])  # type: ignore[index]
        assert f"{value:.1f}" == text


@pytest.mark.parametrize(("epochs", "low", "high"), [(3, 44.1, 45.0), (10, 24.6, 25.7)])
def test_splitlite_changes_when_the_first_epoch_counts(epochs: int, low: float, high: float) -> None:
    totals = [
        check.arithmetic
        for subject, check in checks_of("splitlite").items()
        if subject.endswith("SplitLite total")
    ]
    found = [float(re.search(rf"epochs 1 to {epochs}: (\S+) %", text)[1]) for text in totals]  # type: ignore[index]
    assert len(found) == 4
    assert low < min(found) < max(found) < high


def test_splitlite_against_floats_of_32_bits_and_its_headline() -> None:
    found = checks_of("splitlite")
    assert found["Gemma-3 1B SplitLite up"].arithmetic.endswith("32-bit floats: 3.472 %")  # 6.944 / 2
    assert "epochs" not in found["Gemma-3 1B RandTopk up"].arithmetic  # it sends no epoch in full
    assert (
        "= 83.72 %\nepochs 1 to 3: 55.82 %; epochs 1 to 10: 75.35 %"
        in found["Llama-3.2 3B saved in all"].arithmetic
    )


def test_fedlites_figure_is_unread_and_depends_on_the_width_of_floats() -> None:
    (check,) = claims.check(claims.load("fedlite"))
    assert check.verdict == "unread"
    assert (
        "= 490.2\n32-bit floats: 250.4; 16-bit floats: 126.6; 16-bit floats, bits = 32: 125.2"
        in check.arithmetic
    )
    assert "memory" in check.note


def test_randtopks_positions_are_shorter_than_a_mask_up_to_one_in_as_many_as_a_position_has_bits() -> None:
    found = checks_of("randtopk")
    assert found["d = 128, k = 18 positions < mask"].arithmetic.startswith(
        "yes: 32·18·(4 + ceil(log2(128)) / 8) = 2,808 <"
    )
    assert found["d = 128, k = 19 positions < mask"].arithmetic.startswith("no: ")
    assert found["d = 16,384, k = 676 down < up"].arithmetic.startswith("yes: 4·32·676 = 86,528 < ")

"""Claim files of one's own: what they check, and that a bad one is told in one line a fault."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from claim_cases import mine, written

from slsim import claims
from slsim.claims.loading import FOLDER
from slsim.errors import ClaimError, UnknownNameError
from slsim.verdict import Check

Command = Callable[..., Any]
QU4 = "npz shallow qu4"


def checked(folder: Path, **changes: Any) -> dict[str, Check]:
    return {check.subject: check for check in claims.check(claims.load(written(folder, **changes)))}


def faults(folder: Path, **changes: Any) -> list[str]:
    """The faults of a changed claim, each with its path."""
    with pytest.raises(ClaimError) as refused:
        claims.load(written(folder, **changes))
    assert all(line.startswith(str(folder / "mine.toml")) for line in str(refused.value).splitlines())
    return [str(fault) for fault in refused.value.faults]


def test_a_claim_of_ones_own_is_held_to_codec_and_formula(tmp_path: Path) -> None:
    found = checked(tmp_path)
    assert found[QU4].arithmetic.startswith("7.62: 8 / 7.62, 5.0 % more steps")
    assert (
        found["d = 4,096 sparse"].arithmetic == "4.4 %: 204·(16 + ceil(log2(4,096))) / (4,096·32) = 4.358 %"
    )
    assert all(check.passed for check in found.values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows.0.printed.qu4": "8.01"}, "8.01 is above 8 = 512 / 64, what the format saves"),
        ({"rows.0.printed.qu4": "0.00"}, "0.00 is printed: infinitely many steps"),
        ({"rows.0.printed.qu4": "7.62", "rows.0.fewer_steps": ["qu4"]}, "7.62 is below 8, and fewer steps"),
        ({"columns.qu4.ceiling": "8.01"}, "8.01 is printed, but 512 / 64 = 8"),
        ({"rows.1.printed.sparse": "4.3"}, "4.3 % is printed, but 204·"),
    ],
)
def test_a_figure_that_contradicts_its_format_fails_and_says_where(
    changes: dict[str, Any], words: str, tmp_path: Path, command: Command
) -> None:
    path = written(tmp_path, **changes)
    done = command("check", "--claim", "mine.toml")
    assert done.returncode == 1
    assert "FAIL" in done.stdout
    assert words in " ".join(done.stdout.split())
    place = next(iter(changes)).replace("rows.0", "rows[0]").replace("rows.1", "rows[1]")
    assert f"mine.toml: {place}\n" in done.stdout
    assert path.name in done.stdout


@pytest.mark.parametrize(
    "changes",
    [
        {"rows.0.printed.qu4": "8.0"},
        {"rows.0.printed.qu4": "8.40", "rows.0.fewer_steps": ["qu4"]},
        {"rows.0.printed.qu4": "INF"},
        {"columns.qu4.ceiling": "8.0"},
        {
            "accounting.headers": "counted",
            "rows.0.printed.qu4": "6.90",
            "columns.qu4.ceiling": "6.92",  # 512 / (64 + 10)
        },
        {"accounting.baseline_bits": 16, "rows.0.printed.qu4": "4.00", "rows.1.printed.sparse": "8.7"},
        {"rows.1.printed.sparse": "5", "rows.1.unread": "from memory"},
    ],
)
def test_a_figure_that_its_format_allows_passes(changes: dict[str, Any], tmp_path: Path) -> None:
    assert [check for check in checked(tmp_path, **changes).values() if not check.passed] == []


@pytest.mark.parametrize(
    ("downlink", "text", "words"),
    [
        (None, "1.78", "1.78: 1.778 / 1.78, 0.1 % fewer steps"),  # 1.778 when rounded
        (None, "1.79", "1.79 is above 1.778 = 2·512 / (64 + 512), what the format saves"),
        ("qu", "7.00", "7.00: 9.143 / 7.00, 30.6 % more steps"),  # 1024 / (64 + 48)
        ("qu", "9.15", "9.15 is above 9.143 = 2·512 / (64 + 48), what the format saves"),
    ],
)
def test_both_directions_are_held_to_what_both_formats_save(
    downlink: str | None, text: str, words: str, tmp_path: Path
) -> None:
    changes = {"accounting.directions": "both", "rows.0.printed.qu4": text}
    changes |= {"columns.qu4.downlink": downlink} if downlink else {}
    check = checked(tmp_path, **changes)[QU4]
    assert check.arithmetic.startswith(words)
    assert check.passed == ("is above" not in words)


def test_a_half_may_be_rounded_either_way(tmp_path: Path) -> None:
    for text in ("0.12", "0.13"):
        changes = {"columns.sparse.formula": "0.00125", "rows.1.printed.sparse": text}
        assert checked(tmp_path, **changes)["d = 4,096 sparse"].passed


def entries(path: Path) -> list[tuple[str, str]]:
    """The lines with printed figures of a shipped claim, and each with one figure changed."""
    text, found = path.read_text(encoding="utf-8"), []
    for match in re.finditer(r'(?<== ")(INF|yes|no|[0-9.]+)(?=")', text):
        old = match[0]
        if match.start() < text.index("[[rows]]") or old == "INF":
            continue
        new = {"yes": "no", "no": "yes"}.get(old) or str(int(old[0]) + 2) + "9" * (old[1:2].isdigit()) + old[
            1:
        ]
        found.append((f"{old} at {match.start()}", text[: match.start()] + new + text[match.end() :]))
    return found


@pytest.mark.parametrize("name", [name for name in claims.shipped() if name != "fedlite"])
def test_any_figure_of_a_shipped_claim_that_is_changed_fails(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.toml"
    changed = entries(FOLDER / path.name)
    assert len(changed) == {"mask-encoded-sparsification": 16, "splitlite": 26, "randtopk": 8}[name]
    for what, text in changed:
        path.write_text(text, encoding="utf-8")
        failed = [check for check in claims.check(claims.load(path)) if not check.passed]
        assert len(failed) == 1, what
        assert failed[0].note.startswith(f"{path}: rows["), what


BAD: list[tuple[dict[str, Any], str]] = [
    ({"paper": None}, "paper: missing; this key is required"),
    ({"papr": "x"}, 'papr: unknown key; did you mean "paper"?'),
    ({"columns.qu4.codecc": "qu"}, 'columns.qu4.codecc: unknown key; did you mean "codec"?'),
    ({"columns.qu4.codec": "quu"}, 'columns.qu4.codec: there is no codec "quu"; did you mean "qu"?'),
    ({"columns.qu4.codec": {"name": "qu", "bits": 99}}, "columns.qu4.codec.bits: "),
    ({"columns.qu4.codec": {"name": "qu", "lossless": "zstd"}}, "columns.qu4: a codec with a lossless stage"),
    ({"columns.qu4.codec": 3}, "columns.qu4.codec: must be a name or a table with a name, found 3"),
    ({"columns.qu4.codec": "own.py:Mine"}, 'columns.qu4.codec: "own.py:Mine" is code in a file'),
    ({"columns.qu4.codec": None}, "columns.qu4: has either a codec or a formula"),
    ({"columns.sparse.kind": "comparison"}, "columns.sparse: a comparison has a formula, than"),
    ({"columns.sparse.than": "k"}, 'columns.sparse: than is for a column of kind = "comparison"'),
    ({"columns.sparse.kind": "ceiling"}, 'columns.sparse: the quantity of kind = "ceiling"'),
    ({"columns.sparse.ceiling": "8"}, 'columns.sparse: ceiling is for a column of kind = "ceiling"'),
    ({"columns.sparse.formula": "import os"}, "columns.sparse.formula: 'import os' is no formula"),
    (
        {"columns.sparse.formula": "9**9**9"},
        "rows[1].printed.sparse: cannot be computed: 9 ** 387,420,489 is too",
    ),
    (
        {"columns.sparse.formula": "k / (d - 4096)"},
        "rows[1].printed.sparse: cannot be computed: divides 204 by 0",
    ),
    (
        {"columns.sparse.formula": "k - d"},
        "cannot be computed: 204 - 4,096 = -3,892, which must be more than 0",
    ),
    (
        {"columns.sparse.formula": "n"},
        "cannot be computed: n has no value; known: adapter_weights, baseline_bits",
    ),
    ({"parameters.k": "k + 1"}, "rows[1].printed.sparse: cannot be computed: k depends on itself"),
    ({"parameters.k": float("nan")}, "parameters.k: must be a finite number, found nan"),
    ({"parameters.headers": 1}, "parameters.headers: is no parameter"),
    ({"rows.0.parameters": {"d": 3}}, "rows[0].parameters.d: is no parameter"),
    ({"parameters": {f"a{i}": 1 for i in range(51)}}, "parameters: dictionary should have at most 50 items"),
    ({"rows.0.printed.qu4": 7.62}, 'rows[0].printed.qu4: must be a text as it is printed, such as "13.50"'),
    ({"rows.0.printed.qu4": "7.62×"}, "rows[0].printed.qu4: '7.62×' is no printed number"),
    ({"rows.0.printed.qu4": "1" * 40}, "is no printed number"),
    ({"rows.1.printed.sparse": "INF"}, "rows[1].printed.sparse: 'INF' is no printed number"),
    ({"rows.0.printed.qu5": "1"}, "rows[0].printed.qu5: is no column; there are: qu4, sparse"),
    ({"rows.0.bold": ["sparse"]}, 'rows[0]: nothing is printed in "sparse"'),
    ({"rows.0.shape": None}, "rows[0].printed.qu4: its column has a codec, so the row needs a shape"),
    ({"rows.0.shape": [8, -1]}, "rows[0].shape[1]: input should be greater than or equal to 1, found -1"),
    ({"rows.0.shape": [10**9, 10**9]}, "rows[0].shape: has more than 1e+15 elements"),
    ({"rows.0.shape": "8x16"}, "rows[0].shape: "),
    ({"rows.0.setting": {"data": "\x1b[31m"}}, "rows[0].setting.data: '\\x1b[31m' holds a character"),
    ({"columns.qu4.codec": "q\nu"}, "columns.qu4.codec: 'q\\nu' holds a character"),
    ({"columns": {"a\x1bb": {}}}, "columns: 'a\\x1bb' holds a character that cannot be printed"),
    ({"paper": "two\nlines"}, "paper: 'two\\nlines' holds a character that cannot be printed in a line"),
    ({"rows": []}, "rows: tuple should have at least 1 item"),
    ({"read": []}, "read: tuple should have at least 1 item"),
    ({"accounting.baseline_bits": 8}, "accounting.baseline_bits: input should be 16, 32 or 64, found 8"),
    ({"accounting.headers": "yes"}, "accounting.headers: input should be 'counted'"),
    ({"recount": [{}]}, "recount[0]: changes nothing"),
    ({"recount": [{"epochs": 10}]}, "recount[0].epochs: no column has first_epoch_in_full"),
    ({"recount": [{"epochs": 1}]}, "recount[0].epochs: input should be greater than or equal to 2"),
    ({"recount": [{"parameters": {"k": 0}}]}, "rows[1].printed.sparse: cannot be computed with k = 0: "),
    ({"arxiv": "none"}, "arxiv: "),
    ({"columns.idle": {"formula": "1"}}, "columns.idle: no row prints anything in it"),
    ({"columns.qu4.downlink": "qu"}, 'columns.qu4.downlink: counts only with accounting.directions = "both"'),
    ({"columns.sparse.downlink": "qu"}, "columns.sparse: downlink stands beside a codec"),
    ({"columns": 3}, "columns: input should be a valid dictionary, found 3"),
    ({"paper": "x" * 501}, "paper: string should have at most 500 characters"),
]


@pytest.mark.parametrize(("changes", "words"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_a_bad_claim_is_told_with_its_path(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    found = faults(tmp_path, **changes)
    assert any(words in fault for fault in found), found
    assert len(found) <= 2
    assert all("\x1b" not in fault for fault in found)


def test_all_faults_are_told_at_once_and_the_command_exits_2(tmp_path: Path, command: Command) -> None:
    changes = {
        "paper": None,
        "columns.qu4.codec": "quu",
        "rows.1.printed.sparse": 4.4,
        "accounting.headers": 1,
    }
    written(tmp_path, **changes)
    done = command("check", "--claim", "mine.toml")
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("mine.toml: ") for line in lines)


FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "paper: missing"),
    "not UTF-8": (b'paper = "\xff"', "is not TOML"),
    "UTF-16": ('paper = "x"'.encode("utf-16"), "is not TOML"),
    "nested": (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deep"),
    "nested 40 deep": (b"rows = " + b"[" * 40 + b"]" * 40, "is nested more than 32 deep"),
    "a large number": (b"rows = " + b"9" * 400, "is too large a number"),
    "zip": (b"PK\x03\x04" + bytes(100), "is not TOML"),
    "a scenario": (b'name = "x"\n[data]\nname = "cifar10"', "data: unknown key"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_claim_is_told(what: str, tmp_path: Path, command: Command) -> None:
    content, words = FILES[what]
    (tmp_path / "x.toml").write_bytes(content)
    done = command("check", "--claim", "x.toml")
    assert done.returncode == 2
    assert words in done.stderr
    assert all(line.startswith("x.toml: ") for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("none.toml", "none.toml: cannot be read: No such file"),
        ("./", "./: cannot be read: Is a directory"),
        ("a\0b.toml", "cannot be read"),
        ("x" * 5000 + ".toml", "cannot be read"),
        ("splitlit", 'no claim "splitlit" ships with slsim; did you mean "splitlite"? there are: fedlite, '),
    ],
)
def test_a_path_or_name_that_is_none_is_told(path: str, words: str, command: Command) -> None:
    done = command("check", "--claim", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert claims.load(path).file.paper == mine()["paper"]


def test_code_of_ones_own_is_run_only_where_it_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import math, pathlib\nfrom slsim.codecs import QU\npathlib.Path(__file__).with_name('ran').touch()\n"
        "class Half(QU):\n    '''Half.'''\n    def body_bytes(self, shape): return 2 * math.prod(shape)\n"
    )
    changes = {"columns.qu4.codec": "own.py:Half", "rows.0.printed.qu4": "2.00"}
    assert "--trust" in faults(tmp_path, **changes)[0]
    assert not (tmp_path / "ran").exists()
    (check, _) = claims.check(claims.load(tmp_path / "mine.toml", trust=True))
    assert check.arithmetic.startswith("2.00: 2 / 2.00, 0.0 % more steps")


def test_a_name_that_does_not_ship_is_an_error_in_python_too() -> None:
    with pytest.raises(UnknownNameError, match="there are: fedlite"):
        claims.load("mine")

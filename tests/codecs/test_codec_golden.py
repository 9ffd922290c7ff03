"""Golden bytes: one tensor's payload by each codec, and what it decodes to.

A change of any of these is a change of the format: old payloads can then no longer be read. If that is meant,
raise `slsim.codecs.base.FORMAT_VERSION` and write the new bytes here.

The layout, for d = 10 of shape (2, 5): "SL", version 1, one byte of sizes (2 dimensions; the high half is the
side information in units of 4 bytes), the codec's fingerprint, the dimensions 2 and 5, the side information,
and behind the bar the body.
"""

import pytest
import torch

from slsim.codecs import Payload, create, registry

ACTIVATIONS = torch.tensor([[0.0, 1.5, -2.0, 0.25, 3.0], [3.0, 0.0, 0.75, -0.5, 2.25]])
TOP = "00004040 00004040 00001040"  # 3, 3, 2.25
TOP_ALONE = [0, 0, 0, 0, 3, 3, 0, 0, 0, 2.25]
RANGE = "000000c0 00004040"  # -2 … 3

GOLDEN = {
    "identity": (
        {},
        "534c0102 16458caa 0205 |"
        "00000000 0000c03f 000000c0 0000803e 00004040 00004040 00000000 0000403f 000000bf 00001040",
        [0, 1.5, -2, 0.25, 3, 3, 0, 0.75, -0.5, 2.25],
    ),
    "qu": (
        # Steps of 5/7 from -2; codes 3 5 0 3 7 7 3 4 2 6, three bits each.
        {"bits": 3},
        f"534c0122 f826fb8e 0205 {RANGE} | 743fdc58",
        [1 / 7, 11 / 7, -2, 1 / 7, 3, 3, 1 / 7, 6 / 7, -4 / 7, 16 / 7],
    ),
    "qu-4": (
        # Steps of 1/3; codes 6 10 0 7 15 15 6 8 4 13: 10.5 and 4.5 go to the even neighbour.
        {"bits": 4},
        f"534c0122 7d30b48b 0205 {RANGE} | 6a07ff684d",
        [0, 4 / 3, -2, 1 / 3, 3, 3, 0, 2 / 3, -2 / 3, 7 / 3],
    ),
    "sp": (
        # k = 3; the mask is 00001100 01.
        {"sparsity": 0.7},
        f"534c0102 6be25068 0205 | 0c40 {TOP}",
        TOP_ALONE,
    ),
    "rt": (
        {"sparsity": 0.7, "alpha": 0.1},
        f"534c0102 228298b1 0205 | 0c40 {TOP}",
        TOP_ALONE,
    ),
    "ms": (
        # Top_min = 2.25, levels 0, 0.75, 1.5; codes 0 2 0 0 3 3 0 1 0 3.
        {"sparsity": 0.7, "bits": 2},
        f"534c0102 c748e6a6 0205 | 20f130 {TOP}",
        [0, 1.5, 0, 0, 3, 3, 0, 0.75, 0, 2.25],
    ),
    "ms-1": (
        {"sparsity": 0.7, "bits": 1},
        f"534c0102 0d054f09 0205 | 0c40 {TOP}",
        TOP_ALONE,
    ),
    "ms-3": (
        # Levels n · 2.25 / 7; codes 0 4 0 0 7 7 0 2 0 7.
        {"sparsity": 0.7, "bits": 3},
        f"534c0102 817381c3 0205 | 100fc21c {TOP}",
        [0, 4 * 2.25 / 7, 0, 0, 3, 3, 0, 2 * 2.25 / 7, 0, 2.25],
    ),
    "ms-8": (
        # Levels n · 2.25 / 255; codes 0 170 0 28 255 255 0 85 0 255.
        {"sparsity": 0.7, "bits": 8},
        f"534c0102 f9e8f3f1 0205 | 00aa001cffff005500ff {TOP}",
        [0, 1.5, 0, 28 * 2.25 / 255, 3, 3, 0, 0.75, 0, 2.25],
    ),
}
EVERY_GOLDEN = pytest.mark.parametrize("name", GOLDEN)


def golden(name):
    params, text, values = GOLDEN[name]
    data = bytes.fromhex(text.replace("|", ""))
    return create(name.partition("-")[0], **params), data, torch.tensor(values).reshape(2, 5)


@EVERY_GOLDEN
def test_the_bytes_of_a_payload_do_not_change(name):
    codec, data, _ = golden(name)
    assert codec.encode(ACTIVATIONS).to_bytes().hex(" ", 4) == data.hex(" ", 4)


@EVERY_GOLDEN
def test_golden_bytes_are_decoded(name):
    codec, data, values = golden(name)
    assert torch.equal(codec.decode(Payload.from_bytes(data)), values)


def test_the_codecs_of_the_paper_have_golden_bytes():
    assert {"identity", "ms", "qu", "rt", "sp"} == {name.partition("-")[0] for name in GOLDEN}
    assert {name.partition("-")[0] for name in GOLDEN} <= set(registry.names())

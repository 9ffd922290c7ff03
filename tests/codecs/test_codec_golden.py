"""Golden bytes: one tensor's payload by each codec, and what it decodes to.

A change of any of these is a change of the format: old payloads can then no longer be read. If that is meant,
raise `slsim.codecs.payload.FORMAT_VERSION` and write the new bytes here.

The layout, for d = 10 of shape (2, 5): "SL", version 1, the number of dimensions, 2 (0x82 where the body is
longer than nominal), the codec's fingerprint, the dimensions 2 and 5, and behind the bar the content.
"""

import numpy as np
import pytest
import torch

from slsim.codecs import Payload, create, registry
from slsim.testing import same_bits

ACTIVATIONS = torch.tensor([[0.0, 1.5, -2.0, 0.25, 3.0], [3.0, 0.0, 0.75, -0.5, 2.25]])
AFTER_RELU = ACTIVATIONS.relu()
TOP = "00004040 00004040 00001040"  # 3, 3, 2.25
TOP_ALONE = [0, 0, 0, 0, 3, 3, 0, 0, 0, 2.25]
RANGE = "000000c0 00004040"  # -2 … 3
SEED = 7  # of the generator where one is used

GOLDEN = {
    "identity": (
        {},
        "534c0102 16458caa 0205 |"
        "00000000 0000c03f 000000c0 0000803e 00004040 00004040 00000000 0000403f 000000bf 00001040",
        [0, 1.5, -2, 0.25, 3, 3, 0, 0.75, -0.5, 2.25],
    ),
    "cast": (
        {"dtype": "float16"},
        "534c0102 6fb934b8 0205 | 0000 003e 00c0 0034 0042 0042 0000 003a 00b8 8040",
        [0, 1.5, -2, 0.25, 3, 3, 0, 0.75, -0.5, 2.25],
    ),
    "cast/bfloat16": (  # the upper halves of float32
        {"dtype": "bfloat16"},
        "534c0102 493edd64 0205 | 0000 c03f 00c0 803e 4040 4040 0000 403f 00bf 1040",
        [0, 1.5, -2, 0.25, 3, 3, 0, 0.75, -0.5, 2.25],
    ),
    "cast/float8_e4m3": (
        {"dtype": "float8_e4m3"},
        "534c0102 b27fdfcb 0205 | 003cc02844440034b041",
        [0, 1.5, -2, 0.25, 3, 3, 0, 0.75, -0.5, 2.25],
    ),
    "cast/float8_e5m2": (  # 2.25 lies between 2 and 2.5: to even
        {"dtype": "float8_e5m2"},
        "534c0102 72cb3fb8 0205 | 003ec0344242003ab840",
        [0, 1.5, -2, 0.25, 3, 3, 0, 0.75, -0.5, 2],
    ),
    "qu": (
        # Steps of 5/7 from -2; codes 3 5 0 3 7 7 3 4 2 6, three bits each.
        {"bits": 3},
        f"534c0102 636c0b37 0205 | {RANGE} 743fdc58",
        [1 / 7, 11 / 7, -2, 1 / 7, 3, 3, 1 / 7, 6 / 7, -4 / 7, 16 / 7],
    ),
    "qu/4": (
        # Steps of 1/3; codes 6 10 0 7 15 15 6 8 4 13: 10.5 and 4.5 go to the even neighbour.
        {"bits": 4},
        f"534c0102 05b90beb 0205 | {RANGE} 6a07ff684d",
        [0, 4 / 3, -2, 1 / 3, 3, 3, 0, 2 / 3, -2 / 3, 7 / 3],
    ),
    "qu/sample": (
        # Ranges -2 … 3 and -.5 … 3: steps of 5/7 and 1/2; codes 3 5 0 3 7 and 7 1 3 0 6; 2.5 and 5.5 to even
        # (.75 is 2.5 steps above -.5, and goes to 2: .5; 2.25 is 5.5, and goes to 6: 2.5).
        {"bits": 3, "scope": "sample"},
        f"534c0102 957232ea 0205 | {RANGE} 000000bf 00004040 743fca18",
        [1 / 7, 11 / 7, -2, 1 / 7, 3, 3, 0, 0.5, -0.5, 2.5],
    ),
    "qu/channel": (
        # Five ranges of two values each: all are ends of their range. Codes 0 3 0 0 3, 3 0 3 0 0.
        {"bits": 2, "scope": "channel"},
        "534c0102 ab0aba17 0205 | 00000000 00004040 00000000 0000c03f 000000c0 0000403f 000000bf 0000803e"
        "00001040 00004040 33f300",
        [0, 1.5, -2, 0.25, 3, 3, 0, 0.75, -0.5, 2.25],
    ),
    "qu/stochastic": (  # as "qu", but the second 0, 2.8 steps above -2, was rounded down
        {"bits": 3, "rounding": "stochastic"},
        f"534c0102 a62e596a 0205 | {RANGE} 743fd458",
        [1 / 7, 11 / 7, -2, 1 / 7, 3, 3, -4 / 7, 6 / 7, -4 / 7, 16 / 7],
    ),
    "qsgd": (
        # Norms 3.913 and 3.857, seven levels: 0 3 -4 0 5 and 5 0 1 -1 4, sent with 7 added.
        {"bits": 4, "bucket_size": 5},
        "534c0102 161ac9fb 0205 | 8b707a40 03d67640 7a37cc 786b",
        [
            0,
            1.677051067352295,
            -2.2360680103302,
            0,
            2.7950849533081055,
            2.754865884780884,
            0,
            0.5509731769561768,
            -0.5509731769561768,
            2.203892707824707,
        ],
    ),
    "qsgd/random": (  # eight in the first bucket, two in the second; three levels: 0 1 -1 0 2 2 0 1, -1 3
        {"bits": 3, "bucket_size": 8},
        "534c0102 1d0ff69a 0205 | 79999f40 41831340 713b5c58",
        [
            0,
            1.6624947786331177,
            -1.6624947786331177,
            0,
            3.3249895572662354,
            3.3249895572662354,
            0,
            1.6624947786331177,
            -0.7682953476905823,
            2.3048861026763916,
        ],
    ),
    "sp": (  # k = 3; the mask is 00001100 01
        {"sparsity": 0.7},
        f"534c0102 a532e2d6 0205 | 0c40 {TOP}",
        TOP_ALONE,
    ),
    "sp/sample": (  # k = 2 of 5; the masks are 00101 and 10001, each rounded up to a byte
        {"sparsity": 0.6, "scope": "sample"},
        "534c0102 aec0dec1 0205 | 28 88 000000c0 00004040 00004040 00001040",
        [0, 0, -2, 0, 3, 3, 0, 0, 0, 2.25],
    ),
    "randk": (  # the fixed draw takes 5, 6 and 8, times 10 / 3
        {"sparsity": 0.7},
        "534c0102 782fc764 0205 | 0680 00002041 00000000 5555d5bf",
        [0, 0, 0, 0, 0, 10, 0, 0, -5 / 3, 0],
    ),
    "randk/random": (
        {"sparsity": 0.7},
        "534c0102 782fc764 0205 | 02c0 00000000 5555d5bf 0000f040",
        [0, 0, 0, 0, 0, 0, 0, 0, -5 / 3, 7.5],
    ),
    "rt": (
        {"sparsity": 0.7},
        f"534c0102 cc4167ea 0205 | 0c40 {TOP}",
        TOP_ALONE,
    ),
    "rt/random": (  # four of those outside the top: 0, 1, 3 and 6
        {"sparsity": 0.6, "alpha": 1.0},
        "534c0102 f3b03b4d 0205 | d200 00000000 0000c03f 0000803e 00000000",
        [0, 1.5, 0, 0.25, 0, 0, 0, 0, 0, 0],
    ),
    "kmeans": (  # {-2} {0, .25, 0, -.5} {1.5, .75} {3, 3, 2.25}; codes 1 2 0 1 3 3 1 2 1 3
        {"bits": 2},
        "534c0102 5ef5043e 0205 | 000000c0 000080bd 0000903f 00003040 61f670",
        [-0.0625, 1.125, -2, -0.0625, 2.75, 2.75, -0.0625, 1.125, -0.0625, 2.75],
    ),
    "kmeans/1": (
        # From -2 and 3, whose middle is .5: {0, -2, .25, 0, -.5} and {1.5, 3, 3, .75, 2.25} give
        # -.45 and 2.1; .75 is below their middle, .825.
        {"bits": 1, "iterations": 1},
        "534c0102 d6a9f8b4 0205 | 6666e6be 66660640 4c40",
        [-0.45, 2.1, -0.45, -0.45, 2.1, 2.1, -0.45, -0.45, -0.45, 2.1],
    ),
    "ms": (  # Top_min = 2.25, levels 0, .75, 1.5; codes 0 2 0 0 3 3 0 1 0 3
        {"sparsity": 0.7, "bits": 2},
        f"534c0102 104904b0 0205 | 20f130 {TOP}",
        [0, 1.5, 0, 0, 3, 3, 0, 0.75, 0, 2.25],
    ),
    "ms/signs": (  # codes 0 2 2 0 3 3 0 1 0 3; of the three between 0 and the top, the second is negative
        {"sparsity": 0.7, "bits": 2},
        f"534c0182 104904b0 0205 | 28f130 {TOP} 40",
        [0, 1.5, -1.5, 0, 3, 3, 0, 0.75, 0, 2.25],
    ),
    "ms/1": (
        {"sparsity": 0.7, "bits": 1},
        f"534c0102 c0dc0134 0205 | 0c40 {TOP}",
        TOP_ALONE,
    ),
    "ms/3": (  # levels n · 2.25 / 7; codes 0 4 0 0 7 7 0 2 0 7
        {"sparsity": 0.7, "bits": 3},
        f"534c0102 9fc7d77a 0205 | 100fc21c {TOP}",
        [0, 4 * 2.25 / 7, 0, 0, 3, 3, 0, 2 * 2.25 / 7, 0, 2.25],
    ),
    "ms/8": (  # levels n · 2.25 / 255; codes 0 170 0 28 255 255 0 85 0 255
        {"sparsity": 0.7, "bits": 8},
        f"534c0102 7239fb1e 0205 | 00aa001cffff005500ff {TOP}",
        [0, 1.5, 0, 28 * 2.25 / 255, 3, 3, 0, 0.75, 0, 2.25],
    ),
    "ms/nearest": (
        {"sparsity": 0.7, "bits": 2, "rounding": "nearest"},
        f"534c0102 64a03297 0205 | 20f130 {TOP}",
        [0, 1.5, 0, 0, 3, 3, 0, 0.75, 0, 2.25],
    ),
    "ms/centroid": (  # level 0 holds 0, 0, .25, 0, 0
        {"sparsity": 0.7, "bits": 2, "rounding": "centroid"},
        f"534c0102 d129dccc 0205 | 20f130 {TOP} cdcc4c3d 0000403f 0000c03f",
        [0.05, 1.5, 0.05, 0.05, 3, 3, 0.05, 0.75, 0.05, 2.25],
    ),
    "ms/centroid/signs": (  # level 0 holds 0, .25, 0, -.5; level 2 the magnitudes 1.5 and 2
        {"sparsity": 0.7, "bits": 2, "rounding": "centroid"},
        f"534c0182 d129dccc 0205 | 28f130 {TOP} 000080bd 0000403f 0000e03f 40",
        [-0.0625, 1.75, -1.75, -0.0625, 3, 3, -0.0625, 0.75, -0.0625, 2.25],
    ),
    "ms/sample/signs": (
        # k = 2 of 5. Top_min = 2, codes 0 2 3 0 3; Top_min = 2.25, codes 3 0 1 0 3. Both masks, all values,
        # and no signs: the only negative value is in the top, and carries its own.
        {"sparsity": 0.6, "bits": 2, "scope": "sample"},
        "534c0102 1bbb38a7 0205 | 2cc0 c4c0 000000c0 00004040 00004040 00001040",
        [0, 4 / 3, -2, 0, 3, 3, 0, 0.75, 0, 2.25],
    ),
    "fedlite/random": (
        # Sub-vectors (0 1.5 -2), (.25 3 0), (3 0 .75) and (-.5 2.25 0): the third alone, and the means of the
        # others. Codes 1 1 0 1.
        {"subvectors": 2},
        "534c0102 d0be1043 0205 | 00004040 00000000 0000403f abaaaabd 00001040 abaa2abf d0",
        [
            -0.0833333358168602,
            2.25,
            -0.6666666865348816,
            -0.0833333358168602,
            2.25,
            3,
            0,
            0.75,
            -0.0833333358168602,
            2.25,
        ],
    ),
    "tah": (
        # Tokens of a tile of four and a tile of one, all of four bits. The third tile, 3 0 .75 -.5, is
        # transformed: 1.625 2.125 1.375 .875. Zero points -2 3 .875 2.25; scales; codes 9 15 0 10, 0,
        # 9 15 6 0 and 0; and a byte above nominal, the place 0 of the largest value.
        {"tile": 4},
        "534c0182 48aaafee 0205 | 20 00c04040603f1040 6f3e0000ab3d0000 9f0a09f600 00",
        [
            0.1005859375,
            1.5009765625,
            -2,
            0.333984375,
            3,
            3.00244140625,
            0,
            0.75146484375,
            -0.5009765625,
            2.25,
        ],
    ),
    "splitfc-drop/random": (
        # Deviations .3, .15, .275, .075, .075: of two columns the first is kept with 24 / 35, the second with
        # 12 / 35. They were drawn.
        {"reduction": 2.5},
        "534c0102 9087510f 0205 | c0 00000000 00008c40 00008c40 00000000",
        [0, 4.375, 0, 0, 0, 4.375, 0, 0, 0, 0],
    ),
    "splitfc/random": (
        # The same two columns; end points 0 … 4.375, no means; both are wide, from 0 to 255 / 255 of that,
        # with two bits: codes 0 3 and 3 0.
        {"reduction": 2.0, "bits": 18.0},
        "534c0102 0bceddaa 0205 | c0 00000000 00008c40 00000000 00000000 c0 0000 ffff 3c",
        [0, 4.375, 0, 0, 0, 4.375, 0, 0, 0, 0],
    ),
}
EVERY_GOLDEN = pytest.mark.parametrize("name", GOLDEN)


def golden(name):
    params, text, values = GOLDEN[name]
    data = bytes.fromhex(text.replace("|", ""))
    return create(name.partition("/")[0], **params), data, torch.tensor(values).reshape(2, 5)


def encoded(name, codec):
    activations = AFTER_RELU if name.startswith("ms") and not name.endswith("signs") else ACTIVATIONS
    random = {"random", "stochastic"} & set(name.split("/"))
    return codec.encode(activations, np.random.default_rng(SEED) if random else None)


@EVERY_GOLDEN
def test_the_bytes_of_a_payload_do_not_change(name):
    codec, data, _ = golden(name)
    assert encoded(name, codec).to_bytes().hex(" ", 4) == data.hex(" ", 4)


@EVERY_GOLDEN
def test_golden_bytes_are_decoded(name):
    codec, data, values = golden(name)
    assert torch.equal(codec.decode(Payload.from_bytes(data), (2, 5)), values)


def test_all_nine_codecs_have_golden_bytes_and_schemes_whose_arithmetic_is_exact():
    nine = {"cast", "identity", "kmeans", "ms", "qsgd", "qu", "randk", "rt", "sp"}
    schemes = {"fedlite", "splitfc", "splitfc-drop", "tah"}
    assert nine | schemes == {name.partition("/")[0] for name in GOLDEN}
    assert nine | schemes <= set(registry.names())


# --- zstd: its encoder may change from version to version, so only decoding is frozen.
#
# Behind the dimensions 2 and 60: the bytes above nominal, each segment's frame's length (0: stored as it is),
# and the segments.

SPARSE = torch.zeros(2, 60)
SPARSE[0, ::7] = 1.5
SPARSE[1, ::11] = -0.5
SPARSE[1, 5] = 3.0

FRAMES = {
    "identity": (  # one segment, of float32 in planes
        {},
        "534c01029880e925023c007028b52ffd60e00035030044030000c000c000c000c000c000c000c000c000c00040003f00"
        "3f003f003f003f003f003f003f003f000000bfbfbfbfbfbf000000001800600bd80736832df6b01a340c0483c3a06120"
        "181c060d03010b1c0c1c0682c161d030100c0e8386816070e13505b0",
    ),
    "cast": (  # one segment, of float16 in planes
        {},
        "534c01029a47d145023c004228b52ffd20f0cd0100e000003e003e003e003e003e003e003e003e003e000000b8000000"
        "00420d00410158e02240e621d030100c0e838681607018340c043c538005",
    ),
    "qu": (  # ranges, stored; and codes
        {"bits": 4, "scope": "sample"},
        "534c0102f0e449df023c000026000000000000c03f000000bf0000404028b52ffd203ced0000a8f000000f0000000222"
        "2f222220222222222202222202002e88525d8c",
    ),
    "qsgd": (  # norms, stored; and codes
        {"bucket_size": 30},
        "534c01025339821c023c0000399ba956400000404006d74740d7b35d3f28b52ffd203c8501005402a777777a7777777b"
        "777777b767777e7777767777777777677777777773377777777773777703005dc402446b2b46",
    ),
    "kmeans": (  # centroids, stored; and codes
        {"bits": 2},
        "534c010275e31019023c00001b0e6bdfbcabaa2a3f0000c03f0000404028b52ffd201e95000050800200080020000030"
        "000200383e441423",
    ),
    "sp": (  # a mask, stored; values; and nothing
        {"sparsity": 0.8},
        "534c01026dbe5b12023c00003000ffc20408102040884100200400801028b52ffd20603d0100b80000c000c00000c000"
        "403f003f00003fbf40bfbfbfbfbf0600b8d19463345b0398418b370116",
    ),
    "ms": (  # one byte above nominal; a mask and values; signs, stored
        {"sparsity": 0.9, "bits": 3},
        "534c01827933f701023c01001c00e000070000380001c0000e000070000380001c0000e00e001c000700000003000000"
        "0180000000c0000000600028b52ffd20309d0000500000c00040003fbf40bf0310008488ab6001f0",
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_of_an_older_zstd_is_decoded(name):
    params, text = FRAMES[name]
    compressed, plain = create(name, lossless="zstd", **params), create(name, **params)
    payload = Payload.from_bytes(bytes.fromhex(text))
    assert "28b52ffd" in text  # the magic number of a frame
    decoded = compressed.decode(payload, (2, 60))
    assert same_bits(decoded, plain.decode(plain.encode(SPARSE)))
    assert same_bits(decoded, compressed.decode(compressed.encode(SPARSE)))
    assert payload.num_bytes <= plain.encode(SPARSE).num_bytes + 4


def test_what_zstd_golden_tensors_decode_to():
    compressed = Payload.from_bytes(bytes.fromhex(FRAMES["identity"][1]))
    assert torch.equal(create("identity", lossless="zstd").decode(compressed), SPARSE)
    top = create("sp", lossless="zstd", sparsity=0.8).decode(
        Payload.from_bytes(bytes.fromhex(FRAMES["sp"][1]))
    )
    assert torch.equal(top, SPARSE)  # k = 24 is more than the 16 that are not zero

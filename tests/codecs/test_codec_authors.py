"""A user's own codec: ten lines, and `check_codec` says what is wrong with one that is."""

import math
import re
from typing import ClassVar

import numpy as np
import pytest
import torch

from slsim.codecs import Codec, create
from slsim.errors import CodecError, ComponentError
from slsim.registry import Registry
from slsim.testing import check_codec, round_trip

own = Registry("codec", Codec)  # as slsim.codecs.register, without leaving anything behind


@own.register("half")
class Half(Codec):
    """float16: half the bytes."""

    def encode_values(self, values, shape, rng):
        return np.clip(values, -65504, 65504).astype("<f2").tobytes()

    def decode_values(self, content, shape):
        return np.frombuffer(content, "<f2").astype(np.float32)

    def body_bytes(self, shape):
        return 2 * math.prod(shape)

    def size_formula(self, shape):
        return "2·d"

    def bytes_touched(self):
        return 6.0, 6.0


def test_a_users_codec_keeps_the_contract():
    check_codec(own.create("half"))
    check_codec(own.create("half", lossless="zstd"))
    check_codec(own.create("half", lossless="zstd", zstd_level=9))


def test_it_is_the_cast_that_slsim_has():
    activations = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 50), "f4"))
    half, cast = own.create("half"), create("cast", dtype="float16")
    assert torch.equal(round_trip(half, activations), round_trip(cast, activations))
    assert half.encode(activations).num_bytes == cast.encode(activations).num_bytes
    assert half.encode(activations).fingerprint != cast.encode(activations).fingerprint
    assert half.nominal_ratio((3, 50)) == 2.0


def test_a_codec_without_a_method_cannot_be_registered():
    class Partial(Codec):
        def encode_values(self, values, shape, rng):
            return b""

    with pytest.raises(TypeError, match="without abstract methods"):
        own.register("partial")(Partial)


def test_numbers_that_are_not_finite_are_refused_for_it():
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(CodecError, match="Half cannot encode NaN or infinity"):
            own.create("half").encode(torch.tensor([1.0, bad]))


# --- codecs that are wrong in one way each


class Longer(Half):
    def encode_values(self, values, shape, rng):
        return super().encode_values(values, shape, rng) + b"\0"


class Shorter(Half):
    def encode_values(self, values, shape, rng):
        return super().encode_values(values, shape, rng)[:-1]


class SizeOfAnother(Half):
    def body_bytes(self, shape):
        return 2 * math.prod(shape) + 1


class FewerValues(Half):
    def decode_values(self, content, shape):
        return super().decode_values(content, shape)[1:]


class MoreValues(Half):
    def decode_values(self, content, shape):
        return np.append(super().decode_values(content, shape), np.float32(0))


class ChangesInput(Half):
    def encode_values(self, values, shape, rng):
        values += 1
        return super().encode_values(values, shape, rng)


class DrawsWithoutGenerator(Half):
    def encode_values(self, values, shape, rng):
        noise = np.random.default_rng().standard_normal(values.size).astype(np.float32)
        return super().encode_values(values + noise, shape, rng)


class CountsItsCalls(Half):
    calls: ClassVar[list[int]] = []

    def decode_values(self, content, shape):
        self.calls.append(1)
        return super().decode_values(content, shape) + np.float32(len(self.calls))


class AnotherDtype(Half):
    def decode_values(self, content, shape):
        return np.frombuffer(content, "<f2").astype(np.float64)


class FailsOnEmpty(Half):
    def encode_values(self, values, shape, rng):
        values.max()
        return super().encode_values(values, shape, rng)


class BelievesWhatItReceives(Half):
    def encode_values(self, values, shape, rng):
        return b"\1\2\3\4" + super().encode_values(values, shape, rng)

    def decode_values(self, content, shape):
        if content[:4] != b"\1\2\3\4":
            raise KeyError("not a CodecError")
        return super().decode_values(content[4:], shape)

    def body_bytes(self, shape):
        return 4 + 2 * math.prod(shape)


class SaysItNeverDraws(Half):
    @property
    def draws(self):
        return False

    def encode_values(self, values, shape, rng):
        return super().encode_values(values if rng is None else values * 2, shape, rng)


class ForgetsTheLast(Half):
    def encode_many(self, activations, sizes, rngs=None):
        return super().encode_many(activations, sizes, rngs)[:-1]


class SwapsClients(Half):
    def decode_many(self, payloads, shapes):
        return super().decode_many(payloads[::-1], shapes[::-1])


class KeepsWhatItEncoded(Half):
    kept: ClassVar[dict[tuple[int, int], object]] = {}

    def encode_values(self, values, shape, rng):
        self.kept[id(self), values.size] = np.clip(values, -65504, 65504)
        return super().encode_values(values, shape, rng)

    def decode_values(self, content, shape):
        super().decode_values(content, shape)
        size = math.prod(shape)
        return self.kept.get((id(self), size), np.zeros(size, "f4")).copy()


class SharesItsMemory(Half):
    shared: ClassVar[dict[bytes, object]] = {}

    def decode_values(self, content, shape):
        return self.shared.setdefault(bytes(content), super().decode_values(content, shape))


class ForgetsASegment(Half):
    def segments(self, shape, num_bytes):
        return super().segments(shape, num_bytes)[1:]


class DrawsMoreUnderZstd(Half):
    def encode_values(self, values, shape, rng):
        if rng is not None and self.lossless:
            rng.random()
        return super().encode_values(values, shape, rng)


class LongSideInformation(Half):
    @property
    def side_bytes(self):
        return 30

    def encode_values(self, values, shape, rng):
        return bytes(30) + super().encode_values(values, shape, rng)

    def decode_values(self, content, shape):
        return super().decode_values(content[30:], shape)


WRONG = {
    Longer: r"shape \(\): CodecError: codec test_codec_authors.py:Longer, in encode_values: gave 3 bytes",
    Shorter: r"shape \(\): .*in encode_values: gave 1 bytes; .* say 2",
    SizeOfAnother: r"shape \(\): .*in encode_values: gave 2 bytes; .* say 3",
    FewerValues: r"shape \(\): .*in decode_values: gave float32 of shape \(0,\); .* \(1,\) is due",
    MoreValues: r"shape \(\): .*in decode_values: gave float32 of shape \(2,\)",
    ChangesInput: r"shape \(\): .*in encode_values: ValueError: output array is read-only",
    DrawsWithoutGenerator: r"layout matters, encoding is not deterministic",
    SaysItNeverDraws: r"it draws and says that it does not",
    ForgetsTheLast: r"^encode_many gives other payloads than encode",
    SwapsClients: r"^decode_many gives another tensor than decode",
    CountsItsCalls: r"decoding twice gives two tensors",
    AnotherDtype: r"shape \(\): .*in decode_values: gave float64 of shape \(1,\)",
    FailsOnEmpty: r"shape \(0,\): ComponentError: .*in encode_values: ValueError: zero-size array",
    KeepsWhatItEncoded: r"^decoding needs what the encoder did not send",
    SharesItsMemory: r"^two decoded tensors share their memory",
    ForgetsASegment: r"^the segments are not as long as the content",
    DrawsMoreUnderZstd: r"^zstd changes what is drawn",
    LongSideInformation: r"in side_bytes: gave 30 \(int\); a whole number of bytes is due, 0 to 24",
}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("lossless", [None, "zstd"])
def test_check_codec_fails_on_a_codec_that_is_wrong(wrong, lossless):
    if lossless and wrong in (Longer, Shorter, SizeOfAnother, ForgetsASegment, DrawsMoreUnderZstd):
        return  # a wrong size, and what zstd changes, show without the lossless stage
    with pytest.raises(AssertionError) as failure:
        check_codec(wrong(lossless=lossless))
    assert re.search(WRONG[wrong], str(failure.value)), str(failure.value)


def test_check_codec_fails_on_a_decoder_that_does_not_refuse_damage_with_codec_error():
    with pytest.raises((AssertionError, ComponentError), match="KeyError: 'not a CodecError'"):
        check_codec(BelievesWhatItReceives())


class Gives(Half):
    """Gives what it is told to instead of bytes, values or sizes."""

    content: ClassVar[object] = None
    values: ClassVar[object] = None
    size: ClassVar[object] = None

    def encode_values(self, values, shape, rng):
        return super().encode_values(values, shape, rng) if self.content is None else self.content

    def decode_values(self, content, shape):
        return super().decode_values(content, shape) if self.values is None else self.values

    def body_bytes(self, shape):
        return super().body_bytes(shape) if self.size is None else self.size


@pytest.mark.parametrize(
    ("what", "given", "reason"),
    [
        ("content", "ab", r"in encode_values: gave 'ab' \(str\); bytes are due"),
        ("content", 3, r"in encode_values: gave 3 \(int\)"),
        ("content", np.zeros(1, "f2"), r"in encode_values: gave array.* \(ndarray\)"),
        ("content", memoryview(np.zeros(1, "f2")), r"in encode_values: gave <memory"),
        ("values", "ab", r"in decode_values: gave 'ab' \(str\); a flat float32 array is due"),
        ("values", [0.0], r"in decode_values: gave \[0.0\] \(list\)"),
        ("values", np.zeros((1, 1), "f4"), r"in decode_values: gave float32 of shape \(1, 1\)"),
        ("values", np.array([np.nan], "f4"), r"in decode_values: gave NaN or infinity"),
        ("size", 2.0, r"in body_bytes: gave 2.0 \(float\); a whole number of bytes is due, 0 or more"),
        ("size", -2, r"in body_bytes: gave -2 \(int\)"),
        ("size", "2", r"in body_bytes: gave '2' \(str\)"),
    ],
)
def test_what_a_codec_gives_is_checked_and_the_codec_is_named(what, given, reason, monkeypatch):
    monkeypatch.setattr(Gives, what, given)
    codec = Gives()
    with pytest.raises(CodecError, match=f"codec test_codec_authors.py:Gives, {reason}"):
        codec.decode(codec.encode(torch.ones(1)))

"""`cast`: a shorter floating-point type."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from slsim.codecs.base import Codec, check_finite
from slsim.codecs.format import Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape

if TYPE_CHECKING:
    import torch

WIDTHS = {"float16": 2, "bfloat16": 2, "float8_e4m3": 1, "float8_e5m2": 1}


class Cast(Codec):
    """A shorter floating-point type: float16, bfloat16, float8_e4m3 or float8_e5m2.

    Rounded to nearest even, as torch does; values beyond the type's largest become its largest (float8:
    Micikevicius et al., 2022, arXiv 2209.05433, without infinities). Body: the bytes of d values.
    """

    dtype: Literal["float16", "bfloat16", "float8_e4m3", "float8_e5m2"] = Field(
        "float16", description="The type that travels."
    )

    @property
    def draws(self) -> bool:
        return False

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        import torch

        del shape, rng
        check_finite(bool(np.isfinite(values).all()), self)
        if not values.size:
            return b""
        largest = torch.finfo(self._torch_dtype).max
        narrow = torch.from_numpy(values.copy()).clamp_(-largest, largest).to(self._torch_dtype)
        return narrow.view(torch.uint8).numpy().tobytes()

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        import torch

        del shape
        if not content:
            return np.zeros(0, np.float32)
        narrow = torch.from_numpy(np.frombuffer(content, np.uint8).copy()).view(self._torch_dtype)
        values: Values = narrow.float().numpy()
        return values

    @property
    def _torch_dtype(self) -> torch.dtype:
        import torch

        names = {"float8_e4m3": "float8_e4m3fn"}
        dtype: torch.dtype = getattr(torch, names.get(self.dtype, self.dtype))
        return dtype

    def body_bytes(self, shape: Shape) -> int:
        return WIDTHS[self.dtype] * math.prod(shape)

    def size_formula(self, shape: Shape) -> str:
        del shape
        return f"{WIDTHS[self.dtype]}·d"

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        del num_bytes
        return [Segment.of_items(shape, WIDTHS[self.dtype])]

    def bytes_touched(self) -> tuple[float, float]:
        return 4.0 + WIDTHS[self.dtype], 4.0 + WIDTHS[self.dtype]  # one read, one write

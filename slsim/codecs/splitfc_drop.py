"""`splitfc-drop`: the first stage of SplitFC alone, adaptive feature-wise dropout."""

from __future__ import annotations

import numpy as np

from slsim.codecs.base import check_received
from slsim.codecs.columns import Columns, Cut
from slsim.codecs.format import Values
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape, packed_bytes


class SplitFCDrop(Columns):
    """SplitFC's first stage alone: of a mini-batch d'/R columns in full, likelier those that spread.

    See `Columns` for what is kept, its source and what was chosen. Body: ceil(d'/8) bytes of index and
    4·B·D of float32 values, sample by sample.
    """

    def encode_columns(self, columns: Values, cut: Cut) -> bytes:
        del cut
        return columns.astype("<f4").tobytes()

    def decode_columns(self, content: memoryview, cut: Cut) -> Values:
        columns = np.frombuffer(content, "<f4").reshape(cut.samples, cut.kept)
        check_received(columns, self)
        return columns

    def columns_bytes(self, cut: Cut) -> int:
        return 4 * cut.samples * cut.kept

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        index = packed_bytes(self.cut(shape).features, 1)
        return [Segment(index), Segment(num_bytes - index, width=4)]

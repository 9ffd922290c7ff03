"""For authors of components: whether one keeps its contract. slsim's own go through the same checks.

from slsim.testing import check_codec, check_coder, check_adapter
check_codec(MyCodec())          # AssertionError says what does not hold, and on which tensor
check_coder(MyCodec())          # the two ends of a link, for a codec that remembers or learns
check_adapter(MyAdapter())      # layers on both sides of the cut
"""

from slsim.testing.adapters import check_adapter
from slsim.testing.codecs import (
    LARGEST,
    TINIEST,
    awkward_tensors,
    check_codec,
    decode_mutated,
    round_trip,
    same_bits,
)
from slsim.testing.coders import check_coder

__all__ = [
    "LARGEST",
    "TINIEST",
    "awkward_tensors",
    "check_adapter",
    "check_codec",
    "check_coder",
    "decode_mutated",
    "round_trip",
    "same_bits",
]

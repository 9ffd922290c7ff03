"""Codecs: activations ⇄ bytes. `create("ms", sparsity=0.99, bits=2)` gives one, `register` adds one.

A codec's module is imported when the codec is first named, or its class first asked for.
"""

from typing import TYPE_CHECKING

from slsim import lazy
from slsim.codecs.base import Codec, check_finite, register, registry
from slsim.codecs.coder import Coder, Crossing
from slsim.codecs.format import Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Shape

if TYPE_CHECKING:
    from slsim.codecs.cast import Cast
    from slsim.codecs.delta import Delta
    from slsim.codecs.dsq import DSQ
    from slsim.codecs.fedlite import FedLite
    from slsim.codecs.ics import ICS
    from slsim.codecs.identity import Identity
    from slsim.codecs.kmeans import KMeans
    from slsim.codecs.lsq import LSQ
    from slsim.codecs.masked import Masked
    from slsim.codecs.ms import MS
    from slsim.codecs.qsgd import QSGD
    from slsim.codecs.qu import QU
    from slsim.codecs.randk import RandK
    from slsim.codecs.randtopk import RandTopk
    from slsim.codecs.rt import RT
    from slsim.codecs.sl_acc import SLACC
    from slsim.codecs.sl_fac import SLFAC
    from slsim.codecs.sp import SP
    from slsim.codecs.splitfc import SplitFC
    from slsim.codecs.splitfc_drop import SplitFCDrop
    from slsim.codecs.tah import TAH

create = registry.create

__all__ = [
    "DSQ",
    "ICS",
    "LSQ",
    "MS",
    "QSGD",
    "QU",
    "RT",
    "SLACC",
    "SLFAC",
    "SP",
    "TAH",
    "Cast",
    "Codec",
    "Coder",
    "Crossing",
    "Delta",
    "FedLite",
    "Identity",
    "KMeans",
    "Masked",
    "Payload",
    "RandK",
    "RandTopk",
    "Rng",
    "Segment",
    "Shape",
    "SplitFC",
    "SplitFCDrop",
    "Values",
    "check_finite",
    "create",
    "register",
    "registry",
]

_HOMES = {
    "cast": ("Cast",),
    "delta": ("Delta",),
    "dsq": ("DSQ",),
    "fedlite": ("FedLite",),
    "ics": ("ICS",),
    "identity": ("Identity",),
    "kmeans": ("KMeans",),
    "lsq": ("LSQ",),
    "masked": ("Masked",),
    "ms": ("MS",),
    "qsgd": ("QSGD",),
    "qu": ("QU",),
    "randk": ("RandK",),
    "randtopk": ("RandTopk",),
    "rt": ("RT",),
    "sl_fac": ("SLFAC",),
    "sl_acc": ("SLACC",),
    "sp": ("SP",),
    "splitfc": ("SplitFC",),
    "splitfc_drop": ("SplitFCDrop",),
    "tah": ("TAH",),
}
__getattr__ = lazy.attributes(__name__, _HOMES)

"""Codecs: activations ⇄ bytes. `create("ms", sparsity=0.99, bits=2)` gives one, `register` adds one."""

from slsim.codecs.base import Codec, Payload, Values, register, registry
from slsim.codecs.identity import Identity
from slsim.codecs.ms import MS
from slsim.codecs.qu import QU
from slsim.codecs.rt import RT
from slsim.codecs.sp import SP

create = registry.create

__all__ = ["MS", "QU", "RT", "SP", "Codec", "Identity", "Payload", "Values", "create", "register", "registry"]

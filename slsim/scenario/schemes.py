"""What makes what goes up smaller, as tables and figures call it: a codec, and an adapter if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slsim.scenario.choice import Choice

NOTHING = "identity"  # the codec that an adapter's name needs not beside it


@dataclass(frozen=True)
class Scheme:
    """The codec of the uplink, and the adapter in front of it, or None.

    Example:
        >>> from slsim.scenario.choice import Choice
        >>> Scheme(Choice("codec", "qu", {"bits": 8}), Choice("adapter", "c3", {"samples": 4})).title
        'C3 (4 samples) + QU (8 bits)'
    """

    codec: Choice
    adapter: Choice | None = None

    @property
    def name(self) -> str:
        """What figures choose a colour by: the adapter's name, or else the codec's; of code in a file, its
        own."""
        return (self.adapter or self.codec).name.rpartition(":")[2]

    @property
    def label(self) -> str:
        """For folders and messages: "qu 8", "bottleneck 4 2", "bottleneck 4 2 + qu 8"."""
        return self._joined(self.adapter.label if self.adapter else "", self.codec.label)

    @property
    def title(self) -> str:
        """For tables and figures: "QU (8 bits)", "C3 (4 samples)", "C3 (4 samples) + QU (8 bits)"."""
        return self._joined(self.adapter.title if self.adapter else "", self.codec.title)

    def _joined(self, adapter: str, codec: str) -> str:
        is_alone = self.codec.name == NOTHING and not self.codec.called
        return adapter if adapter and is_alone else " + ".join(filter(None, [adapter, codec]))

    def table(self) -> dict[str, Any]:
        """The codec with its parameters, and the adapter beside them."""
        return {**self.codec.table(), **self._beside()}

    def written(self) -> dict[str, Any]:
        """As `table`, with the codec's label if it has one."""
        return {**self.codec.written(), **self._beside()}

    def _beside(self) -> dict[str, Any]:
        return {"adapter": self.adapter.table()} if self.adapter else {}


def is_of_scheme(key: str) -> bool:
    """Whether a dotted key of a scenario is told by a scheme's name."""
    return key.startswith(("codec.uplink", "model.adapter"))

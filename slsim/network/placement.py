"""Which solver a flow is with: that depends on how many others use the links of its route.

A fair link with one flow is folded into that flow's limit. With a second it becomes a pool, divided by a
fair queue of its own for as long as all its flows are on no other pool; pools that a flow joins are divided
by one mesh.
"""

from __future__ import annotations

import math

from slsim.network.fair_queue import FairQueue
from slsim.network.state import FlowState, LinkState, Solver
from slsim.network.unshared import Apart


class Placement:
    """All flows that flow, each with its solver; `changed` has the solvers that have to settle."""

    def __init__(self) -> None:
        self.changed: dict[Solver, None] = {}  # an ordered set
        self._apart = Apart()

    def enter(self, flow: FlowState, bits: float, now_s: float) -> None:
        """Place `flow`, which has `bits` to go and enters all its fair links."""
        limit_bps = _own_limit_bps(flow) if flow.limits else flow.cap_bps
        pools: tuple[LinkState, ...] = ()
        for link in flow.fair:
            link.num_sharing += 1
            if link.num_sharing == 1:
                link.sole = flow
                if link.rate_bps < limit_bps:
                    limit_bps = link.rate_bps
            else:
                if link.solver is None:
                    self._make_pool(link, now_s)
                pools += (link,)
        self._add(flow, limit_bps, pools, bits, now_s)

    def resume(self, flow: FlowState, links: tuple[LinkState, ...], bits: float, now_s: float) -> None:
        """Place `flow`, which has `bits` to go until its next segment and of its fair links enters `links`.

        A flow without bits to go waits, and is with no solver.
        """
        for link in links:
            link.num_sharing += 1
            if link.num_sharing == 1:
                link.sole = flow
            elif link.solver is None:
                self._make_pool(link, now_s)
        if bits:
            self._place(flow, bits, now_s)

    def replace(self, flow: FlowState, now_s: float) -> None:
        """Place `flow` anew, since a limit of it has changed or one of its links has become a pool."""
        solver = flow.solver
        if solver is not None:  # otherwise it is about to be placed, or has arrived
            bits = solver.remove(flow, now_s)
            self.changed[solver] = None
            self._place(flow, bits, now_s)

    def change_rate(self, link: LinkState) -> None:
        """Tell the solver of a pool that the pool's rate has changed."""
        assert link.solver is not None
        link.solver.rate_changed(link)
        self.changed[link.solver] = None

    def _make_pool(self, link: LinkState, now_s: float) -> None:
        """Make a pool of `link`, which a second flow enters."""
        link.solver = FairQueue(link)
        if link.sole is not None:
            self.replace(link.sole, now_s)
            link.sole = None

    def _place(self, flow: FlowState, bits: float, now_s: float) -> None:
        folded = (link.rate_bps for link in flow.fair if link.solver is None)
        limit_bps = min(_own_limit_bps(flow), min(folded, default=math.inf))
        pools = tuple(link for link in flow.fair if link.solver is not None)
        self._add(flow, limit_bps, pools, bits, now_s)

    def _add(
        self, flow: FlowState, limit_bps: float, pools: tuple[LinkState, ...], bits: float, now_s: float
    ) -> None:
        flow.limit_bps, flow.pools = limit_bps, pools
        if not pools:
            solver: Solver = self._apart
        else:
            assert pools[0].solver is not None
            solver = pools[0].solver
            for link in pools:
                if link.solver is not solver:
                    solver = self._joined(pools, now_s)
                    break
        solver.add(flow, bits, now_s)
        self.changed[solver] = None

    def _joined(self, pools: tuple[LinkState, ...], now_s: float) -> Solver:
        """Return one mesh for all these pools: the largest of theirs, or a new one."""
        from slsim.network.mesh import Mesh  # compiles; most networks do without

        solvers = dict.fromkeys(link.solver for link in pools)
        meshes = [solver for solver in solvers if isinstance(solver, Mesh)]
        mesh = max(meshes, key=lambda mesh: len(mesh.pools()), default=None) if len(meshes) > 1 else None
        mesh = mesh or (meshes[0] if meshes else Mesh())
        for solver in solvers:
            if solver is mesh or solver is None:
                continue
            for link in solver.pools():
                mesh.join(link)
            for flow in solver.flows():
                mesh.add(flow, solver.remove(flow, now_s), now_s)
            self.changed[solver] = None
        return mesh


def _own_limit_bps(flow: FlowState) -> float:
    """Return the rate that `flow` does not exceed whatever the others do, without its folded links."""
    limit_bps = flow.cap_bps
    for link in flow.limits:
        if link.rate_bps < limit_bps:
            limit_bps = link.rate_bps
    return limit_bps

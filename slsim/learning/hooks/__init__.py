"""Hooks: what is measured after rounds, beside the accuracy."""

from slsim.learning.hooks.base import Hook, Row, register, registry

create = registry.create

__all__ = ["Hook", "Row", "create", "register", "registry"]

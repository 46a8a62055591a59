"""Render: what services, databases and disks cost by what there is, as an estimate (docs/connectors/render.md)."""

from reconciler.connectors.render.connector import Render, RenderSettings

__all__ = ["Render", "RenderSettings"]

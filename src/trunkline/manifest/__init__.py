"""Manifests: networks and ports as documents say they should be, and the difference to what there is."""

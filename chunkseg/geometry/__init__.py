"""Whole numbers and coordinates: boxes, halos, blocks, looped axes, spacing and units."""

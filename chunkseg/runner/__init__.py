"""Carries passes out over blocks, on threads or on a cluster."""

"""Branches on what the eye does not see: spectrum, phase, bands and residuals of single images."""

"""Backbones on single images: normalised images to pooled features and the maps of every stage."""

"""Classical face forgeries, one per file; each turns frames and landmarks of a target and a donor into forged frames.

They share no code with the self-blending that trains a detector: what it learns there has to carry over.
"""

"""Classical face forgeries, one a file: target and donor, frames and landmarks -> frames.

None shares code with the self-blending that trains a detector: what it learns there has to carry over.
"""

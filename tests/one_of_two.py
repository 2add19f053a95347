"""One of several processes that train, export and evaluate together.

python -m tests.one_of_two PORT COUNT INDEX DATA WORKDIR
"""

import sys

import jax

from fakedetect_jax.experiment import evaluate, export, train
from tests import tiny_config

if __name__ == "__main__":
    port, count, index, data, workdir = sys.argv[1:]
    jax.distributed.initialize(f"localhost:{port}", int(count), int(index))
    config = tiny_config.get_config()
    config.data.folder = data
    config.train.steps = config.train.checkpoint_every = config.validation.every = 4
    config.model.options = {"motion": {"cell": 4, "widths": (8, 8), "filters": 2}}
    # JPEG rounds, and sums over two processes are not those over one to the last bit.
    config.input.recipe.jpeg = 0.0
    train(config, workdir)
    folder = export(config, workdir)
    evaluate(config, workdir, detector_folder=folder)
    jax.distributed.shutdown()

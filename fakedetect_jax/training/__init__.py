"""What a training run is made of: inputs, loss, step, state, loop, checkpoints, logs."""

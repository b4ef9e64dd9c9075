"""Events and spikes: a synthetic event camera, encoders of any data set, event files, and frames of them. numpy only."""

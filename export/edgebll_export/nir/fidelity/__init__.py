"""How far a NIR graph means the same elsewhere: what platforms can take, and what two simulators make of the same spikes."""

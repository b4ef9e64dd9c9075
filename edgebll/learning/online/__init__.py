"""Learning over time as it passes: neurons' state and eligibility traces carried from step to step."""

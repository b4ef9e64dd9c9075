"""Looking into a trained network: what each of its blocks tells of the label."""

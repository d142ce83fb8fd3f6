"""What training and serving agree on: bundle, predictor, label map, decision, feedback."""

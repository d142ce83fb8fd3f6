"""Offline: fit the model, build and calibrate the label map, evaluate, export, retrain."""

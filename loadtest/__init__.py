"""Load tests with locust, one file a scenario; README.md says how to run and read them."""

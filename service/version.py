"""The version of the interface, which is the project's."""

VERSION = "0.1.0"

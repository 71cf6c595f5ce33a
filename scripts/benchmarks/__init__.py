"""Benchmarks of the registry: a server in its own process, a thin client, ceilings measured in the same run."""

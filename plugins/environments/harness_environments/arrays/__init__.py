"""Gymnasium's classic control tasks as array functions: `harness.api.EnvironmentSpec.array`.

Written from the sources of Gymnasium 1.4. States are float64 like Gymnasium's, so that both take the same steps.
"""

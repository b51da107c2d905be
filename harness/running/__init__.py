"""From a suite to stored runs: plan, executor, worker, progress, provenance."""

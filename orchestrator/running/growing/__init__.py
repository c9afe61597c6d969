"""How a sweep grows while it runs: its manifest, and jobs that go on from the weights of shorter ones."""

"""What rows and weights say: ranks, networks, mistakes. Never imports `cluster` or `running`."""

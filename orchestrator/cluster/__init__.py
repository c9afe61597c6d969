"""The cluster: its address, its results, its queue, and the embedded one. Never imports `orchestrator.folder`."""

"""The cluster: its connection, results, queue and registry; the embedded one. Never imports `orchestrator.folder`."""

"""What is trained: the network, its kernel and its data. Imports neither `worker` nor `orchestrator`."""

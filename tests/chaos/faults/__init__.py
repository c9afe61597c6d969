"""The faults, one function each. Imports `arena` and what describes a run; nothing but the runner imports it."""

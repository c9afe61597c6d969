"""How to reach Redis, and which of its errors pass. Imports nothing of ours but errors and settings."""

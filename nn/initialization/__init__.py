"""How weights start: the schemes, and draws that have the same bits on every machine. Imports only modules of `nn`."""

"""The papers' claims, measured: docs/evidence.md and a block of docs/choosing.md, from sweeps and what they gave."""

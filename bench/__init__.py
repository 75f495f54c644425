"""The bench: this service beside a bare server and stock DRF. Run it with `python -m bench`."""

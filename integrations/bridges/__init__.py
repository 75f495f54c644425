"""Bridges: the way to providers in a customer's own network, through an agent that dials out from there."""

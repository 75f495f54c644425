"""Deliveries: each event for each webhook, from the change that caused it to the receiver's answer."""

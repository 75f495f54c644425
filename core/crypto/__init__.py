"""Keys and sealed values: root keys, organization keys, envelopes and keyed hashes."""

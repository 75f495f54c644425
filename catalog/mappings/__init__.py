"""Mappings: documents of JSONata expressions that turn one object into another, kept in versions."""

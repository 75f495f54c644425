"""Permission sets: which verbs of which resource a token may use."""

"""The ground every app stands on. Knows no resource by name and imports no app."""

"""Django's SQLite backend with a short way for the statements of every request."""

"""The roof: settings, URL mount and the WSGI entry point. Nothing imports it."""

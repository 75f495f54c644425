"""Custom providers: services that an organization describes itself, to be connected like those of the catalog."""

"""For whom: the organization's customers. An account is no login."""

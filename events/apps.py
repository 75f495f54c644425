"""The events app's registration."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"
